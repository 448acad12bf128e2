"""Drawn photos in place of digits, and a network as in Keras's first example."""

import numpy as np

from cases.data import CLASSES, draw_values

EPOCHS, LEARNING_RATE, DROPOUT = 30, 0.1, 0.25


def make_values(seed: int) -> list[np.ndarray]:
    """Return the first values of all layers, kernels and biases."""
    shapes = (
        *((16, 3, 3, 3), (16,), (32, 16, 3, 3), (32,)),
        *((len(CLASSES), 32 * 2 * 2), (len(CLASSES),)),
    )
    return draw_values(seed, shapes)
