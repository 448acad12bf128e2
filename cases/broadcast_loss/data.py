"""A sum of sines of ten inputs, and a network with one hidden layer."""

import numpy as np

from cases.data import draw_values

NUM_INPUTS, NUM_HIDDEN, NUM_TRAIN = 10, 32, 1000
EPOCHS, LEARNING_RATE = 20, 0.01


def make_data(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return inputs and targets to train with, and then those to validate with.

    Returns:
        Inputs (N, 10), targets (N, 1).
    """
    inputs = np.random.default_rng([seed, 0]).normal(size=(1200, NUM_INPUTS))
    targets = np.sin(inputs).sum(axis=1, keepdims=True)
    split = NUM_TRAIN
    return inputs[:split], targets[:split], inputs[split:], targets[split:]


def make_values(seed: int) -> list[np.ndarray]:
    """Return the first values of both layers, kernels and biases."""
    shapes = (NUM_HIDDEN, NUM_INPUTS), (NUM_HIDDEN,), (1, NUM_HIDDEN), (1,)
    return draw_values(seed, shapes)
