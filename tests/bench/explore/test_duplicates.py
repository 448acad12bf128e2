"""Images that look alike: changed copies are found, and other photos are not."""

import csv
import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from bench.explore import duplicates
from bench.explore.duplicates import (
    MAX_DISTANCE,
    Pair,
    find_duplicates,
    hash_image,
    to_csv,
)


def ignore(*_: object) -> None:
    pass


def stored_again(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=30)
    return Image.open(buffer).convert("RGB")


def cropped(image: Image.Image) -> Image.Image:
    width, height = image.size
    edge = width // 100
    return image.crop((edge, edge, width - edge, height - edge)).resize(image.size)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "stored again": stored_again,
    "scaled": lambda image: image.resize((112, 112)).resize(image.size),
    "brightened": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "cropped": cropped,
}


def distance(first: np.ndarray, second: np.ndarray) -> int:
    return int(np.bitwise_count(hash_image(first) ^ hash_image(second)).sum())


@pytest.mark.parametrize("change", CHANGES)
def test_changed_copy_of_a_photo_is_alike(few_images, change):
    found = [
        distance(image, np.asarray(CHANGES[change](Image.fromarray(image))))
        for image in few_images
    ]
    assert max(found) <= MAX_DISTANCE


def test_different_photos_are_not_alike(few_images):
    hashes = [hash_image(image) for image in few_images]
    found = [
        int(np.bitwise_count(a ^ b).sum())
        for i, a in enumerate(hashes)
        for b in hashes[:i]
    ]
    assert len(found) == 37 * 36 / 2
    assert min(found) > MAX_DISTANCE


def what_is_wrong(pair: Pair) -> tuple[bool, bool, bool]:
    return pair.across_splits, pair.two_labels, pair.same_pixels


def test_planted_copies_are_found_with_what_is_wrong(make_data):
    data = make_data()
    test, train = data.splits["test"], data.splits["train"]
    test.images[4] = train.images[1]  # shirt and hat: two splits and two labels
    train.images[3] = np.minimum(train.images[2], 250)  # one class and split
    found = find_duplicates(data, ignore)
    first, second = found.alike
    assert first.files == ("train/hat/01.png", "test/shirt/04.png")
    assert what_is_wrong(first) == (True, True, True)
    assert first.distance == 0
    assert second.files == ("train/hat/02.png", "train/hat/03.png")
    assert what_is_wrong(second) == (False, False, False)
    rows = list(csv.reader(io.StringIO(to_csv(found.alike))))
    assert rows[1] == [*first.files, "0", "True"]


@pytest.mark.parametrize("block", [1, 5, 1000])
def test_blocks_of_any_size_find_the_same_pairs(make_data, monkeypatch, block):
    data = make_data()
    data.splits["test"].images[5] = data.splits["train"].images[0]
    monkeypatch.setattr(duplicates, "BLOCK", block)
    found = find_duplicates(data, ignore)
    assert [pair.files for pair in found.alike] == [
        ("train/hat/00.png", "test/shirt/05.png")
    ]
    # The closest other pairs across splits, counted one by one.
    places = [
        (s, i) for s, split in data.splits.items() for i in range(len(split.labels))
    ]
    others = sorted(
        distance(data.splits[s].images[i], data.splits[t].images[j])
        for number, (s, i) in enumerate(places)
        for t, j in places[:number]
        if s != t
    )[1:7]
    assert [pair.distance for pair in found.closest] == others
    assert all(pair.across_splits for pair in found.closest)
