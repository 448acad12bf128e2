"""Which data set is taken, and what is said about one that cannot be."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.config import make_config
from shared.data import dataset, downloads
from shared.data.dataset import open_cached, prepare, scan_folder
from shared.data.images import decode_image
from shared.errors import UserError

CONFIG = make_config(image_size_px=32)


@pytest.fixture
def data(tmp_path) -> Path:
    return write_tiny(tmp_path / "tiny")


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """No $BENCH_DATA, no network, and a synthetic set that is quick to draw."""
    monkeypatch.delenv("BENCH_DATA", raising=False)
    monkeypatch.setattr(dataset, "write_dataset", write_tiny)
    monkeypatch.setattr(downloads, "DATASET_URL", "http://127.0.0.1:9/closed.zip")


def write_tiny(folder: Path) -> Path:
    for split in ("train", "validation", "test"):
        for label, colour in (("t-shirt", "red"), ("t", "blue"), ("hat", "lime")):
            (folder / split / label).mkdir(parents=True)
            for name in ("b.jpg", "a.jpg"):
                Image.new("RGB", (20, 30), colour).save(folder / split / label / name)
    return folder


def complaint(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        scan_folder(folder)
    return str(caught.value)


def test_files_are_sorted_by_class_and_then_name(data):
    names = list(scan_folder(data)["train"])
    # 't' comes before 't-shirt', although '-' sorts before '/'.
    labels = ("hat", "t", "t-shirt")
    assert names == [
        f"{label}/{name}" for label in labels for name in ("a.jpg", "b.jpg")
    ]


def test_val_is_validation_and_strays_are_ignored(data):
    expected = {split: list(files) for split, files in scan_folder(data).items()}
    (data / "validation").rename(data / "val")
    (data / "LICENSE").write_text("CC0")
    (data / "extra").mkdir()
    (data / "train/.cache").mkdir()
    (data / "train/notes.txt").write_text("stray")
    (data / "train/hat/.DS_Store").write_text("hidden")
    found = {split: list(files) for split, files in scan_folder(data).items()}
    assert found == expected


def test_system_files_are_no_images(data):
    (data / "train/hat/Thumbs.db").write_text("of Windows")
    (data / "train/hat/desktop.ini").write_text("of Windows")
    assert len(scan_folder(data)["train"]) == 6


def test_a_folder_among_the_images_is_named(data):
    (data / "train/hat/summer").mkdir()
    assert "train/hat/summer is a folder: images lie directly in" in complaint(data)


@pytest.mark.parametrize(
    "name", ["Screenshot 9.41\u202fAM.jpg", "a\u200bb.jpg", "é.jpg"]
)
def test_odd_names_are_names(data, name):
    (data / "train/hat/a.jpg").rename(data / "train/hat" / name)
    assert f"hat/{name}" in scan_folder(data)["train"]


@pytest.mark.parametrize("name", ["a\nb.jpg", "a\x1b[1m.jpg", "a\udcff.jpg"])
def test_names_that_are_no_text_are_refused(data, name):
    (data / "train/hat/a.jpg").rename(data / "train/hat" / name)
    assert "is not valid text" in complaint(data)


def test_a_class_in_composed_and_decomposed_letters_is_one_class(data):
    (data / "train/hat").rename(data / "train/h\u00e9")
    (data / "validation/hat").rename(data / "validation/he\u0301")
    (data / "test/hat").rename(data / "test/he\u0301")
    found = scan_folder(data)
    assert {name.split("/")[0] for name in found["test"]} == {"t", "t-shirt", "h\u00e9"}
    shutil.copytree(data / "train/h\u00e9", data / "train/he\u0301")
    assert "train has two folders with the name 'h\u00e9'" in complaint(data)


def test_copies_are_told(data, cache):
    """The images of a class are all the same here, in every split."""
    copies = prepare(str(data), CONFIG, cache=cache).copies
    assert copies == (
        "6 validation images are also in train. 6 test images are also in train. "
        "6 test images are also in validation."
    )


def test_images_of_a_guessed_depth_are_named(data, cache):
    faint = Image.fromarray(np.full((20, 30), 4000, np.uint16))
    faint.save(data / "test/hat/a.jpg", "PNG")
    found = prepare(str(data), CONFIG, cache=cache)
    assert found.guessed == (("test/hat/a.jpg", 12),)
    assert found.splits["test"].images[0].mean() == round(255 * 4000 / 4095)
    assert "test/hat/a.jpg (12 bits)." in found.warnings[-1]


def test_missing_folder_and_file(data):
    assert "nowhere: no such folder" in complaint(data / "nowhere")
    assert "a.jpg: is a file" in complaint(data / "train/hat/a.jpg")
    assert "--data synthetic" in complaint(data / "nowhere")


@pytest.mark.parametrize(
    ("split", "name"), [("validation", "Valid"), ("train", "Train")]
)
def test_other_spellings_of_a_split(data, split, name):
    (data / split).rename(data / name)
    assert len(scan_folder(data)[split]) == 6


def test_classes_without_splits_are_told_from_a_data_set(data):
    said = complaint(data / "train")
    assert "If its folders (hat, t, t-shirt) are classes" in said
    assert "python -m bench prepare --split 80/10/10" in said


def test_both_names_of_the_validation_split(data):
    shutil.copytree(data / "validation", data / "val")
    assert "both val and validation are there: keep one" in complaint(data)


def test_all_problems_are_listed_at_once(data):
    shutil.rmtree(data / "validation")
    shutil.rmtree(data / "test/hat")
    shutil.rmtree(data / "train/t")
    (data / "train/t").mkdir()
    assert complaint(data).splitlines()[1:4] == [
        "  no folder validation or val or valid",
        "  train/t is empty",
        "  test has no class 'hat', which another split has",
    ]


def test_one_class_is_too_few(data):
    for split in ("train", "validation", "test"):
        shutil.rmtree(data / split / "hat")
        shutil.rmtree(data / split / "t")
    assert "class folders: t-shirt; 2 are the least" in complaint(data)


def test_unreadable_folder(data, monkeypatch):
    listing = Path.iterdir

    def refuse(path):  # root may read everything, so permission bits show nothing
        if path.name == "hat":
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert f"{data}/train/hat cannot be read: Permission denied" in complaint(data)


def test_the_one_nested_data_set_is_named(data):
    assert f"{data} has these: give that folder." in complaint(data.parent)
    write_tiny(data.parent / "second")
    assert "give that folder" not in complaint(data.parent)


@pytest.mark.parametrize("resize", ["squeeze", "crop"])
def test_prepare_makes_squares_as_configured(data, cache, resize):
    Image.effect_noise((30, 20), 80).save(data / "test/hat/a.jpg")
    config = make_config(image_size_px=32, resize=resize)
    split = prepare(str(data), config, cache=cache).splits["test"]
    for file, image in zip(split.files, split.images, strict=True):
        expected = decode_image(data / "test" / file, 32, resize)
        np.testing.assert_array_equal(image, expected)


def test_prepare_decodes_a_folder(data, cache):
    found = prepare(str(data), CONFIG, cache=cache)
    assert (found.name, found.source, found.notice) == ("tiny", "path", None)
    assert found.classes == ("hat", "t", "t-shirt")
    assert list(found.splits) == ["train", "validation", "test"]
    for split, part in found.splits.items():
        assert part.labels.dtype == np.int64
        assert part.labels.tolist() == [0, 0, 1, 1, 2, 2]
        assert isinstance(part.images, np.memmap)
        for file, image in zip(part.files, part.images, strict=True):
            np.testing.assert_array_equal(image, decode_image(data / split / file, 32))


def test_a_worker_opens_the_same_arrays(data, cache):
    made = prepare(str(data), CONFIG, cache=cache)
    opened = open_cached(made.folder)
    assert opened.fingerprint == made.fingerprint
    assert opened.splits["test"].files == made.splits["test"].files
    np.testing.assert_array_equal(
        opened.splits["test"].images, made.splits["test"].images
    )
    with pytest.raises(ValueError, match="read-only"):
        opened.splits["test"].images[0] = 0


def test_a_worker_names_a_damaged_entry(data, cache):
    made = prepare(str(data), CONFIG, cache=cache)
    (made.folder / "test.npy").unlink()
    with pytest.raises(UserError, match=r"cannot be used.*bench prepare"):
        open_cached(made.folder)


def test_skipped_images_are_recorded(data, cache):
    (data / "train/hat/a.jpg").write_bytes(b"")
    found = prepare(str(data), CONFIG, cache=cache, skip_bad_images=True)
    assert found.skipped == (("train/hat/a.jpg", "the file is empty"),)
    assert len(found.splits["train"].files) == 5


def test_a_named_path_wins_over_the_environment(data, cache, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", "synthetic")
    assert prepare(str(data), CONFIG, cache=cache).source == "path"
    found = prepare(None, CONFIG, cache=cache)
    assert (found.source, found.notice) == ("synthetic", None)
    monkeypatch.setenv("BENCH_DATA", str(data))
    assert prepare(None, CONFIG, cache=cache).name == "tiny"


@pytest.mark.parametrize("named", ["argument", "environment"])
def test_a_bad_named_path_is_never_replaced(named, tmp_path, cache, monkeypatch):
    missing = str(tmp_path / "missing")
    monkeypatch.setenv("BENCH_DATA", missing)
    with pytest.raises(UserError, match="missing: no such folder"):
        prepare(missing if named == "argument" else None, CONFIG, cache=cache)
    assert not cache.exists()


def test_without_network_the_synthetic_set_says_why(cache):
    found = prepare(None, CONFIG, cache=cache)
    assert (found.name, found.source) == ("embedded synthetic clothing", "synthetic")
    assert "http://127.0.0.1:9/closed.zip: no connection" in found.notice
    assert prepare("synthetic", CONFIG, cache=cache).notice is None


def test_an_earlier_download_is_used(cache):
    write_tiny(cache / f"{downloads.DATASET_NAME}-{downloads.DATASET_COMMIT[:12]}")
    found = prepare(None, CONFIG, cache=cache)
    assert (found.name, found.source) == ("clothing-dataset-small", "download")
