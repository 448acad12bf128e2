"""The formula (pixel / 255 - mean) / std as one product and one sum."""

import numpy as np
from keras import layers


def make_normalisation(mean: np.ndarray, std: np.ndarray) -> layers.Layer:
    """Return a layer that scales pixels (N, H, W, 3), which go from 0 to 255.

    Args:
        mean, std: (3,), of pixels that go from 0 to 1.
    """
    return layers.Rescaling(1 / (255 * std), offset=-mean / std)  # [D06]
