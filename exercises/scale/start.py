"""Scale pixels as weights from PyTorch want them.

    v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])

Mend `make_normalisation`. As it stands, it is right for the weights of
keras.applications.MobileNetV2, and raises no error with others.
"""

import numpy as np
from keras import layers


def make_normalisation(mean: np.ndarray, std: np.ndarray) -> layers.Layer:
    """Return a layer that scales pixels (N, H, W, 3), which go from 0 to 255.

    Args:
        mean, std: (3,), of pixels that go from 0 to 1.
    """
    return layers.Rescaling(1 / 127.5, offset=-1)
