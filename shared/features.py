"""Where a backbone's features go while they are computed: a file, batch after batch."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np


def store_features(
    batches: Iterable[np.ndarray], num_images: int, path: Path | None = None
) -> np.ndarray:
    """Collect batches of features in one array.

    Args:
        batches: (n, F) each, `num_images` rows in all.
        path: a .npy file to write and map, so that memory does not grow with the
            number of images; without it the array is in memory.

    Returns:
        (num_images, F), writable, of the batches' type.

    Raises:
        ValueError: the batches hold another number of images.
    """
    done, features = 0, np.empty(0)
    for batch in batches:
        if done == 0:
            shape = num_images, batch.shape[1]
            features = (
                np.lib.format.open_memmap(path, "w+", batch.dtype, shape)
                if path
                else np.empty(shape, batch.dtype)
            )
        features[done : done + len(batch)] = batch
        done += len(batch)
    if done != num_images:
        raise ValueError(f"{done} images came, {num_images} were expected")
    return features
