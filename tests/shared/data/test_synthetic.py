"""The embedded data set: reproducible, complete, and not to be told by its colours."""

import filecmp
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.data import synthetic
from shared.data.synthetic import CLASSES, COUNTS, draw_image, write_dataset

NUM_BINS = 8  # per colour channel


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic")
    write_dataset(root, seed=0)
    return root


@pytest.fixture(scope="session")
def pixels(folder: Path) -> dict[str, list[list[np.ndarray]]]:
    """Split to class to images, each (H, W, 3) uint8."""
    return {
        split: [
            [_decode(path) for path in sorted((folder / split / class_name).iterdir())]
            for class_name in CLASSES
        ]
        for split in COUNTS
    }


def _decode(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert (image.format, image.mode) == ("JPEG", "RGB")
        return np.asarray(image)


def test_classes_are_those_of_the_real_data_set() -> None:
    real = "dress hat longsleeve outwear pants shirt shoes shorts skirt t-shirt"
    assert tuple(real.split()) == CLASSES


def test_folders_and_counts(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == set(COUNTS)
    for split, count in COUNTS.items():
        assert {path.name for path in (folder / split).iterdir()} == set(CLASSES)
        for class_name in CLASSES:
            found = sorted(
                path.name for path in (folder / split / class_name).iterdir()
            )
            assert found == [f"{class_name}-{k:04d}.jpg" for k in range(1, count + 1)]
    assert sum(COUNTS.values()) * len(CLASSES) <= 700


def test_sizes_are_varied_and_never_square(pixels) -> None:
    sizes = {image.shape[:2] for split in pixels.values() for c in split for image in c}
    assert all(height != width for height, width in sizes)
    assert all(min(size) >= 200 and max(size) <= 400 for size in sizes)
    assert len(sizes) > 100
    assert any(h > w for h, w in sizes)
    assert any(h < w for h, w in sizes)


def test_no_image_is_drawn_twice(pixels) -> None:
    images = [
        image.tobytes() for split in pixels.values() for c in split for image in c
    ]
    assert len(set(images)) == len(images) == sum(COUNTS.values()) * len(CLASSES)


@pytest.mark.parametrize("class_name", CLASSES)
def test_same_generator_state_same_pixels(class_name: str) -> None:
    first, again, other = (
        draw_image(class_name, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_an_image_does_not_depend_on_the_others(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writing fewer images gives the same files; the seed changes them."""
    monkeypatch.setattr(synthetic, "COUNTS", {"train": 1, "validation": 1})
    write_dataset(tmp_path / "same", seed=0)
    write_dataset(tmp_path / "other", seed=1)
    names = [
        f"{split}/{class_name}/{class_name}-0001.jpg"
        for split in ("train", "validation")
        for class_name in CLASSES
    ]
    same, different, _ = filecmp.cmpfiles(folder, tmp_path / "same", names, False)
    assert (same, different) == (names, [])
    same, different, _ = filecmp.cmpfiles(folder, tmp_path / "other", names, False)
    assert (same, different) == ([], names)


def test_one_image_drawn_alone_equals_the_one_in_the_set(pixels) -> None:
    label, number = CLASSES.index("shoes"), 7
    rng = np.random.Generator(np.random.Philox((0, 2, label, number)))
    alone = np.asarray(draw_image("shoes", rng), float)
    stored = pixels["test"][label][number - 1]
    assert alone.shape == stored.shape
    # What JPEG takes away is small; another drawing would be far off.
    assert np.abs(alone - stored).mean() < 8
    assert np.abs(alone[::-1] - stored).mean() > 8


def test_unknown_class_is_refused() -> None:
    with pytest.raises(KeyError, match="socks"):
        draw_image("socks", np.random.default_rng(0))


def test_mean_colour_does_not_depend_on_the_class(pixels) -> None:
    """Class means of each channel differ no more than chance lets them: |t| < 4."""
    means = np.array(
        [
            [image.mean((0, 1)) for split in pixels.values() for image in split[label]]
            for label in range(len(CLASSES))
        ]
    )  # (classes, images, channels)
    error = means.std(1, ddof=1) / np.sqrt(means.shape[1])
    assert np.abs((means.mean(1) - means.mean((0, 1))) / error).max() < 4


def test_colour_histograms_do_not_give_the_class_away(pixels) -> None:
    assert _probe_accuracy(pixels) < 0.70


def test_the_probe_would_notice_a_colour_that_tells_the_class(pixels) -> None:
    planted = {
        split: [
            [np.concatenate([image, _patch(label, image)]) for image in images]
            for label, images in enumerate(classes)
        ]
        for split, classes in pixels.items()
    }
    assert _probe_accuracy(planted) > 0.9


def _patch(label: int, image: np.ndarray) -> np.ndarray:
    """Half as many rows as the image has, in a colour of the class's own."""
    colour = np.array([label % NUM_BINS, label // NUM_BINS, 0]) * (256 // NUM_BINS)
    return np.broadcast_to(colour, image[::2].shape).astype(np.uint8)


def _probe_accuracy(pixels: dict) -> float:
    """Ridge regression from colour histograms to classes; accuracy on unseen images.

    The best of several strengths counts: that favours the probe.
    """
    train, train_labels = _histograms(pixels, ["train"])
    unseen, labels = _histograms(pixels, ["validation", "test"])
    targets = np.eye(len(CLASSES))[train_labels]
    accuracies = []
    for ridge in (1e-4, 1e-3, 1e-2, 1e-1, 1.0):
        # The dual form: there are fewer images than bins.
        gram = train @ train.T + ridge * np.eye(len(train))
        scores = unseen @ train.T @ np.linalg.solve(gram, targets)
        accuracies.append(float((scores.argmax(1) == labels).mean()))
    return max(accuracies)


def _histograms(pixels: dict, splits: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Square roots of colour shares, centred by a constant bin, and the labels."""
    rows, labels = [], []
    for split in splits:
        for label, images in enumerate(pixels[split]):
            rows += [_histogram(image) for image in images]
            labels += [label] * len(images)
    return np.array(rows), np.array(labels)


def _histogram(image: np.ndarray) -> np.ndarray:
    sampled = (
        image[::2, ::2].reshape(-1, 3).astype(int)
    )  # enough, and four times faster
    red, green, blue = (sampled * NUM_BINS // 256).T
    bins = (red * NUM_BINS + green) * NUM_BINS + blue
    shares = np.bincount(bins, minlength=NUM_BINS**3) / len(bins)
    return np.append(np.sqrt(shares), 1.0)
