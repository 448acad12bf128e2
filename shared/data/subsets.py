"""Smaller parts of a data set, with images of every class."""

from dataclasses import replace

import numpy as np

from shared.data.dataset import ImageData, Split

NUM_IMAGES = 256  # that a pass takes at most; 8 batches of 32


def spread(split: Split, count: int) -> Split:
    """Return `count` images spread evenly over a split, and so over its classes."""
    return pick(split, np.linspace(0, len(split.labels) - 1, count).astype(int))


def pick(split: Split, chosen: np.ndarray) -> Split:
    """Return the images of a split at these places."""
    files = tuple(split.files[i] for i in chosen)
    return Split(split.images[chosen], split.labels[chosen], files)


def shorten(data: ImageData) -> ImageData:
    """Return a share of each class in each split, at least one image."""
    splits = {}
    for name, split in data.splits.items():
        step = -(-len(split.labels) // NUM_IMAGES)
        places = [np.flatnonzero(split.labels == c) for c in range(len(data.classes))]
        kept = np.concatenate([of_class[::step] for of_class in places])
        splits[name] = pick(split, kept)
    return replace(data, splits=splits)
