"""Find images that look alike, by a perceptual hash of each image."""

import csv
import io
from dataclasses import dataclass

import imagehash
import numpy as np
from PIL import Image

from shared.data.cache import Progress
from shared.data.dataset import ImageData

# A hash of 16 x 16 bits. With imagehash's default of 8 x 8 bits, different garments of
# the same cut are as close as two copies of one photo.
HASH_SIDE = 16
NUM_BITS = HASH_SIDE**2
# Copies that were stored again, scaled, brightened or cropped by 1 % at each edge stay
# below this. Different garments are farther apart, with few exceptions.
MAX_DISTANCE = 40
NUM_CLOSEST = 6  # pairs across splits that are shown although they are not alike
BLOCK = 256  # rows of the matrix of distances that are in memory at the same time


@dataclass(frozen=True)
class Place:
    """An image by its split and its place in the split."""

    split: str
    index: int


@dataclass(frozen=True)
class Pair:
    """Two images and the number of bits in which their hashes differ.

    Attributes:
        files: both files as 'split/class/name.jpg'.
        labels: the class of each.
        same_pixels: whether the decoded images are equal.
    """

    places: tuple[Place, Place]
    files: tuple[str, str]
    labels: tuple[str, str]
    distance: int
    same_pixels: bool

    @property
    def across_splits(self) -> bool:
        return self.places[0].split != self.places[1].split

    @property
    def two_labels(self) -> bool:
        return self.labels[0] != self.labels[1]


@dataclass(frozen=True)
class Duplicates:
    """All pairs that look alike, and the closest pairs across splits that do not."""

    alike: list[Pair]
    closest: list[Pair]


def find_duplicates(data: ImageData, progress: Progress) -> Duplicates:
    """Compare the perceptual hash of each image with that of every other image."""
    places = [
        Place(name, index)
        for name, split in data.splits.items()
        for index in range(len(split.labels))
    ]
    hashes = np.empty((len(places), NUM_BITS // 64), np.uint64)
    for number, place in enumerate(places):
        if number % BLOCK == 0:
            progress("hashing images", number, len(places))
        hashes[number] = hash_image(data.splits[place.split].images[place.index])
    splits = np.array([place.split for place in places])
    alike, closest = _compare(hashes, splits)

    def make(pairs: list[tuple[int, int, int]]) -> list[Pair]:
        return [_describe(data, places[i], places[j], d) for d, i, j in sorted(pairs)]

    return Duplicates(make(alike), make(closest))


def hash_image(image: np.ndarray) -> np.ndarray:
    """Return the perceptual hash of an image (H, W, 3) uint8, as (4,) uint64."""
    bits = imagehash.phash(Image.fromarray(image), hash_size=HASH_SIDE).hash
    return np.packbits(bits.ravel()).view(np.uint64)


def _compare(hashes: np.ndarray, splits: np.ndarray) -> tuple[list, list]:
    """Return (distance, i, j) of all pairs within the limit, and of the closest others.

    The others are pairs across splits, NUM_CLOSEST at most.
    """
    alike: list[tuple[int, int, int]] = []
    closest: list[tuple[int, int, int]] = []
    for start in range(0, len(hashes), BLOCK):
        rows = slice(start, start + BLOCK)
        distances = _count_differing_bits(hashes[rows], hashes[start:])
        later = np.triu(np.ones(distances.shape, bool), 1)  # each pair once
        near = later & (distances <= MAX_DISTANCE)
        others = later & ~near & (splits[rows, None] != splits[None, start:])
        alike += _list_pairs(distances, near, start)
        if others.any():
            # Only the pairs that can be among the closest ones are listed.
            values = np.sort(distances[others])[:NUM_CLOSEST]
            others &= distances <= values[-1]
            closest += _list_pairs(distances, others, start)
            closest = sorted(closest)[:NUM_CLOSEST]
    return alike, closest


def _count_differing_bits(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the Hamming distances of hashes (N, 4) and (M, 4), (N, M) uint16."""
    distances = np.zeros((len(first), len(second)), np.uint16)
    for word in range(first.shape[1]):
        distances += np.bitwise_count(first[:, word, None] ^ second[None, :, word])
    return distances


def _list_pairs(
    distances: np.ndarray, chosen: np.ndarray, start: int
) -> list[tuple[int, int, int]]:
    return [
        (int(distances[i, j]), start + int(i), start + int(j))
        for i, j in zip(*np.nonzero(chosen), strict=True)
    ]


def _describe(data: ImageData, first: Place, second: Place, distance: int) -> Pair:
    pair = (first, second)
    splits = [data.splits[place.split] for place in pair]
    images = [s.images[p.index] for s, p in zip(splits, pair, strict=True)]
    files = [s.files[p.index] for s, p in zip(splits, pair, strict=True)]
    return Pair(
        places=pair,
        files=(f"{first.split}/{files[0]}", f"{second.split}/{files[1]}"),
        labels=(files[0].split("/")[0], files[1].split("/")[0]),
        distance=distance,
        same_pixels=bool(np.array_equal(*images)),
    )


def to_csv(pairs: list[Pair]) -> str:
    """Return a table of all pairs as the text of a CSV file."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["first", "second", "bits_that_differ", "same_pixels"])
    for pair in pairs:
        table.writerow([*pair.files, pair.distance, pair.same_pixels])
    return text.getvalue()
