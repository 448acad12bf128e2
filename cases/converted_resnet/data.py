"""A small residual network, whose weights are drawn."""

import numpy as np

SIZE_PX, CHANNELS, NUM_CLASSES = 32, 8, 10


def make_images(seed: int) -> np.ndarray:
    """Return drawn pixels, (4, 32, 32, 3), from 0 to 1."""
    return np.random.default_rng([seed, 0]).random((4, SIZE_PX, SIZE_PX, 3))


def make_kernels(seed: int) -> list[np.ndarray]:
    """Return the kernels in PyTorch's layout: three convolutions, a dense layer."""
    rng = np.random.default_rng([seed, 1])
    shapes = (
        *((CHANNELS, 3, 3, 3), (CHANNELS, CHANNELS, 3, 3), (CHANNELS, CHANNELS, 1, 1)),
        (NUM_CLASSES, CHANNELS),
    )
    return [rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape) for shape in shapes]
