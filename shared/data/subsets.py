"""Smaller parts of a data set, with images of every class."""

from dataclasses import replace

import numpy as np

from shared.data.dataset import ImageData, Split
from shared.sampling import SHARE, stream

NUM_IMAGES = 256  # that a pass takes at most; 8 batches of 32


def spread(split: Split, count: int) -> Split:
    """Return `count` images spread evenly over a split, and so over its classes."""
    return pick(split, np.linspace(0, len(split.labels) - 1, count).astype(int))


def pick(split: Split, chosen: np.ndarray) -> Split:
    """Return the images of a split at these places."""
    files = tuple(split.files[i] for i in chosen)
    return Split(split.images[chosen], split.labels[chosen], files)


def choose_share(labels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return which images make up a share of each class, in their order, (n,) int64.

    With one seed, the images of a smaller share are among those of a larger one. Each
    class keeps at least one image.

    Args:
        labels: of all images, (N,).
        share: above 0 and at most 1.
    """
    order = stream(seed, SHARE).permutation(len(labels))
    chosen = []
    for label in np.unique(labels):
        of_class = order[labels[order] == label]
        chosen.append(of_class[: max(1, round(share * len(of_class)))])
    return np.sort(np.concatenate(chosen))


def shorten(data: ImageData) -> ImageData:
    """Return a share of each class in each split, at least one image."""
    splits = {}
    for name, split in data.splits.items():
        step = -(-len(split.labels) // NUM_IMAGES)
        places = [np.flatnonzero(split.labels == c) for c in range(len(data.classes))]
        kept = np.concatenate([of_class[::step] for of_class in places])
        splits[name] = pick(split, kept)
    return replace(data, splits=splits)
