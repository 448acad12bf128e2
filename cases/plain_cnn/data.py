"""Drawn photos of clothes, and a network of two convolutions and two dense layers."""

import numpy as np

from cases.data import CLASSES, draw_values

EPOCHS, LEARNING_RATE = 20, 0.003
NUM_FEATURES = 16 * 2 * 2  # channels, height and width before the dense layers
NUM_HIDDEN = 32


def make_values(seed: int) -> list[np.ndarray]:
    """Return the first values of all layers, kernels and biases."""
    shapes = (
        *((8, 3, 3, 3), (8,), (16, 8, 3, 3), (16,)),
        *((NUM_HIDDEN, NUM_FEATURES), (NUM_HIDDEN,)),
        *((len(CLASSES), NUM_HIDDEN), (len(CLASSES),)),
    )
    return draw_values(seed, shapes)
