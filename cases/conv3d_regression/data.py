"""Small volumes with a blob, whose width is to be told, and the plan of the dropout."""

import numpy as np

from cases.data import draw_values

SIZE, NUM_TRAIN, CHANNELS, DROPOUT = 8, 160, 8, 0.25
NUM_PLACES = (SIZE // 2) ** 3  # after the convolution, whose stride is 2
EPOCHS, LEARNING_RATE = 15, 0.003


def make_data(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return volumes and widths to train with, and then those to validate with.

    Returns:
        Volumes (N, 8, 8, 8, 1), widths (N, 1) from 1 to 3 voxels.
    """
    rng = np.random.default_rng([seed, 0])
    widths = rng.uniform(1, 3, (240, 1))
    centres = rng.uniform(2, 5, (240, 3))
    places = np.stack(np.indices((SIZE,) * 3), axis=-1)  # (8, 8, 8, 3)
    squares = ((places - centres[:, None, None, None]) ** 2).sum(axis=-1)
    volumes = np.exp(-squares / (2 * widths[:, :, None, None] ** 2))
    volumes = (volumes + rng.normal(0, 0.1, volumes.shape))[..., None]
    split = NUM_TRAIN
    return volumes[:split], widths[:split], volumes[split:], widths[split:]


def plan_dropout(seed: int, epoch: int, differences: frozenset[str]) -> np.ndarray:
    """Return what to multiply the channels of each training volume by in an epoch.

    Returns:
        (N, 4, 4, 4, C): 0 for a quarter of the values, 4/3 for the others, as dropout
        does. All are 1 if the layers of the frameworks drop values by themselves.
    """
    shape = (NUM_TRAIN, *(SIZE // 2,) * 3, CHANNELS)
    if "dropout layer" in differences:
        return np.ones(shape)
    kept = np.random.default_rng([seed, 2, epoch]).random(shape) >= DROPOUT
    return kept / (1 - DROPOUT)


def make_values(seed: int) -> list[np.ndarray]:
    """Return the first values: convolution, batch norm, dense layer."""
    convolution, dense = (CHANNELS, 1, 2, 2, 2), (1, CHANNELS * NUM_PLACES)
    values = draw_values(seed, (convolution, (CHANNELS,), dense, (1,)))
    return [*values[:2], np.ones(CHANNELS), np.zeros(CHANNELS), *values[2:]]
