"""The sections on a data set alone, from contact sheets to ImageNet guesses."""

import numpy as np

from bench.explore.duplicates import MAX_DISTANCE, NUM_BITS, Duplicates, Pair
from bench.explore.findings import ALL, CROP, FLIP, ROTATION, VARIANTS, Findings
from bench.explore.pictures import make_grid, to_uint8
from bench.report.blocks import Block, Fold, Gallery, Picture, Row, Table, Text
from bench.report.numbers import percent, short
from shared.config import make_config
from shared.data.dataset import ImageData, Split
from shared.data.images import encode_thumbnail

NAMES = {"pytorch": "PyTorch", "keras": "Keras"}
COLUMNS = 10  # images in a row of a contact sheet
SHEET_ROWS = {"train": 2, "validation": 1, "test": 1}
TILE_PX, PHOTO_PX = 84, 224
MOST_PAIRS = 24  # that are shown as pictures; the CSV file has all of them


def contact_sheets(found: Findings) -> list[Block]:
    """Return one picture for each class, with images of all splits."""
    lead = (
        "Each sheet shows images of one class, spread evenly over the files of a "
        "split. Look for images in the wrong class, and for splits that look different."
    )
    sheets = [_sheet(found.data, label) for label in range(len(found.data.classes))]
    return [Text(lead), Gallery(sheets, width_rem=30)]


def _sheet(data: ImageData, label: int) -> Picture:
    rows: dict[str, list[np.ndarray]] = {}
    counts = []
    for name, split in data.splits.items():
        chosen = _spread(split, label, COLUMNS * SHEET_ROWS[name])
        for row, start in enumerate(range(0, len(chosen), COLUMNS)):
            images = split.images[chosen[start : start + COLUMNS]]
            key = " " * len(rows) if row else name  # only its first row has a name
            rows[key] = list(images)
        counts.append(f"{np.sum(split.labels == label):,} {name}")
    title = data.classes[label]
    return Picture(make_grid(rows, TILE_PX), title, [f"Images: {', '.join(counts)}"])


def _spread(split: Split, label: int, count: int) -> np.ndarray:
    """Return the places of at most `count` images of a class, evenly spread."""
    places = np.flatnonzero(split.labels == label)
    if len(places) <= count:
        return places
    return places[np.linspace(0, len(places) - 1, count).round().astype(int)]


def count_alike(duplicates: Duplicates) -> str:
    """Say in one or two sentences how many pairs of images look alike."""
    pairs = duplicates.alike
    if not pairs:
        return "No two images look alike."
    crossing = sum(pair.across_splits for pair in pairs)
    labelled = sum(pair.two_labels for pair in pairs)
    equal = sum(pair.same_pixels for pair in pairs)
    number = "1 pair of images looks" if len(pairs) == 1 else f"{len(pairs)} pairs of"
    images = "" if len(pairs) == 1 else " images look"
    return (
        f"{number}{images} alike: {crossing} across splits, {labelled} with two "
        f"labels, {equal} with the same pixels."
    )


def alike(found: Findings) -> list[Block]:
    """Return pairs of images that look alike, and the closest ones that do not."""
    pairs = found.duplicates.alike
    lead = (
        "A perceptual hash describes the coarse pattern of an image in "
        f"{NUM_BITS} bits. Two images look alike if at most {MAX_DISTANCE} bits "
        "differ, which holds for copies that were scaled, brightened, cropped a "
        "little or stored again. An image that is in two splits makes the test score "
        "too high, and an image with two labels cannot be learned. Look at each pair: "
        "different garments of the same cut may be among them."
    )
    blocks: list[Block] = [Text(lead), Text(count_alike(found.duplicates))]
    # First the pairs that do harm.
    order = sorted(pairs, key=lambda p: not (p.across_splits or p.two_labels))
    if pairs:
        shown = [_pair(found.data, pair) for pair in order[:MOST_PAIRS]]
        blocks.append(Gallery(shown, width_rem=17))
    if len(pairs) > MOST_PAIRS:
        blocks.append(
            Text(f"{MOST_PAIRS} pairs are shown here. duplicates.csv has all of them.")
        )
    if closest := found.duplicates.closest:
        shown = [_pair(found.data, pair) for pair in closest]
        summary = "The closest pairs across splits that do not count as alike"
        blocks.append(Fold(summary, [Gallery(shown, width_rem=17)], is_open=not pairs))
    return blocks


def _pair(data: ImageData, pair: Pair) -> Picture:
    images = [data.splits[p.split].images[p.index] for p in pair.places]
    judged = [
        *(["two splits"] if pair.across_splits else []),
        *(["two labels"] if pair.two_labels else []),
        "the same pixels" if pair.same_pixels else f"{pair.distance} bits differ",
    ]
    jpeg = make_grid({"": images}, 160, names=False)
    return Picture(jpeg, ", ".join(judged), pair.files)


def augmentation(found: Findings) -> list[Block]:
    """Return what each kind of augmentation makes of one image in both frameworks."""
    image = found.data.splits["train"].images[found.example]
    file = found.data.splits["train"].files[found.example]
    lead = (
        f"The first picture of each row is train/{file}. The others are random draws. "
        "In the matched programs, one plan draws the numbers for both frameworks, and "
        "each framework moves the pixels itself. The plain programs draw their own "
        "numbers with the layers of their framework. Marks such as [D11] name entries "
        "of docs/differences.md."
    )
    grids = [_variant(found, image, name) for name in (*VARIANTS, "plain")]
    return [Text(lead), Gallery(grids, width_rem=30)]


def _variant(found: Findings, image: np.ndarray, name: str) -> Picture:
    drawn = {NAMES[arm]: arrays[name] for arm, arrays in found.augmented.items()}
    rows = {arm: [image, *map(to_uint8, images)] for arm, images in drawn.items()}
    config = make_config()
    said = {
        ROTATION: f"by up to {config.rotation_degrees:g} degrees to either side",
        CROP: f"of {percent(config.crop_scale_min)} to 100% of the area, with another "
        "aspect ratio",
        FLIP: f"with a probability of {percent(config.flip_probability)}",
        ALL: "as the matched programs train with --augment",
        "plain": "all three as the plain programs draw them",
    }[name]
    lines = [said]
    if name in VARIANTS:
        lines.append(_compare(*drawn.values()))
    else:
        lines.append(
            "PyTorch fills the corners with black, and Keras with a mirror image "
            "[D11]. PyTorch crops, and Keras zooms in and out [D12]."
        )
    return Picture(make_grid(rows, TILE_PX), name, lines)


def _compare(first: np.ndarray, second: np.ndarray) -> str:
    largest = float(np.abs(first - second).max())
    return (
        f"The largest difference between the two is {short(largest)} of 255 grey "
        "levels."
    )


def guesses(found: Findings) -> list[Block]:
    """Return the ImageNet classes that the pretrained network sees in some photos."""
    if not found.guesses:
        return [
            Text(
                "These weights have no layer for ImageNet's 1000 classes, so there are "
                "no guesses."
            )
        ]
    lead = (
        "The pretrained network knows 1000 ImageNet classes, and few of them are "
        "clothes. These are its five most probable classes for some test photos, from "
        "the two plain programs, before any training. The two pad images differently "
        "[D03], so their probabilities differ."
    )
    return [Text(lead), *(_guess(found, n) for n in range(len(found.guessed)))]


def _guess(found: Findings, number: int) -> Row:
    """Return a photo, and beside it the guesses of both frameworks."""
    split, place = found.data.splits["test"], found.guessed[number]
    jpeg = encode_thumbnail(split.images[place], PHOTO_PX)
    label, name = split.files[place].split("/", 1)
    ranked = [list(guessed[number].items()) for guessed in found.guesses.values()]
    rows = [
        [text for guess, share in cells for text in (guess, percent(share))]
        for cells in zip(*ranked, strict=True)
    ]
    header = [text for arm in found.guesses for text in (NAMES[arm], "Probability")]
    photo = Gallery([Picture(jpeg, label, [f"test/{label}/{name}"])], width_rem=20)
    return Row([photo, Table("", "lr" * len(found.guesses), header, rows)])
