"""How pixels become the network's input, in NumPy: for onnxruntime and as reference."""

from collections.abc import Sequence

import numpy as np


def scale_pixels(
    images: np.ndarray, mean: Sequence[float], std: Sequence[float]
) -> np.ndarray:
    """Images (N, H, W, 3) of pixel values 0 to 255 to float32, per channel:
    (pixel / 255 - mean) / std. [D06]
    """
    scaled = images.astype(np.float32) / np.float32(255)
    return (scaled - np.array(mean, np.float32)) / np.array(std, np.float32)
