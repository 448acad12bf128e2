"""A small data set of drawn patterns, as decoded images."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from shared.data.dataset import ImageData, Split

SIZE_PX = 64
COUNTS = {"train": 6, "validation": 3, "test": 3}  # images of each class


def draw(seed: int) -> np.ndarray:
    """A pattern of coarse random blocks, (H, W, 3) uint8."""
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return blocks.repeat(SIZE_PX // 8, axis=0).repeat(SIZE_PX // 8, axis=1)


@pytest.fixture
def make_data() -> Callable[..., ImageData]:
    """Make a data set from the number of images of each class, by split."""

    def make(classes: tuple[str, ...] = ("hat", "shirt"), **counts) -> ImageData:
        splits, seed = {}, 0
        for name, usual in COUNTS.items():
            numbers = counts.get(name, [usual] * len(classes))
            labels = np.repeat(np.arange(len(classes)), numbers)
            images = np.stack([draw(seed + i) for i in range(len(labels))])
            files = [f"{classes[c]}/{i:02}.png" for i, c in enumerate(labels)]
            splits[name] = Split(images, labels, tuple(files))
            seed += len(labels)
        return ImageData("0" * 64, classes, splits, (), (), Path("cache"), name="drawn")

    return make
