"""Apply the augmentation plan with Keras's affine image operation."""

from collections.abc import Sequence

import keras
import numpy as np

from shared.augmentation import plan_matrix
from shared.config import Config


def augment(
    images: np.ndarray, config: Config, epoch: int, indices: Sequence[int]
) -> np.ndarray:
    """Rotate, crop and flip training images by the plan of their epoch.

    Args:
        images: pixel values 0 to 255; (N, H, W, 3) float32.
        epoch: counted from 1.
        indices: which training image each one is, (N,).
    """
    matrices = np.stack([plan_matrix(config, epoch, index) for index in indices])
    # PyTorch: affine_grid and grid_sample, in units of half an image.
    transforms = _to_pixels(matrices, *images.shape[1:3])
    moved = keras.ops.image.affine_transform(
        images, transforms, interpolation="bilinear", fill_mode="constant", fill_value=0
    )  # [D11] bilinear, zero fill
    return keras.ops.convert_to_numpy(moved)


def _to_pixels(matrices: np.ndarray, height: int, width: int) -> np.ndarray:
    """Turn matrices (N, 2, 3) in units of -1 to 1 into transforms (N, 8) in pixels."""
    half_x, half_y = (width - 1) / 2, (height - 1) / 2
    to_unit = np.array([[1 / half_x, 0, -1], [0, 1 / half_y, -1], [0, 0, 1]])
    to_pixel = np.array([[half_x, 0, half_x], [0, half_y, half_y]])
    bottom = np.broadcast_to([[[0.0, 0.0, 1.0]]], (len(matrices), 1, 3))
    squares = np.concatenate([matrices, bottom], axis=1)
    rows = to_pixel @ squares @ to_unit
    return np.pad(rows.reshape(-1, 6), ((0, 0), (0, 2))).astype(np.float32)
