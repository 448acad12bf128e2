"""Apply the augmentation plan: colours, and Keras's affine image operation."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from shared.augmentation import GREY, plan_colors, plan_matrix
from shared.config import Config


def augment(
    images: np.ndarray, config: Config, epoch: int, indices: Sequence[int]
) -> np.ndarray:
    """Colour, rotate, crop and flip training images by the plan of their epoch.

    All of it happens on the CPU, as decoding does: a batch goes to a GPU only once, and
    TF32 cannot round the coordinates. Colours come first: the mean that contrast needs
    must not see black borders.

    Args:
        images: pixel values 0 to 255; (N, H, W, 3) float32.
        epoch: counted from 1.
        indices: which training image each one is, (N,).
    """
    matrices = np.stack([plan_matrix(config, epoch, index) for index in indices])
    # PyTorch: affine_grid and grid_sample, in units of half an image.
    transforms = _to_pixels(matrices, *images.shape[1:3])
    with keras.device("cpu:0"):  # [D19] Keras would take a GPU by itself
        if config.color_jitter:
            images = _change_colors(images, config, epoch, indices)
        moved = ops.image.affine_transform(
            images,
            transforms,
            interpolation="bilinear",
            fill_mode="constant",
            fill_value=0,
        )  # [D11] bilinear, zero fill
        return ops.convert_to_numpy(moved)


def _to_pixels(matrices: np.ndarray, height: int, width: int) -> np.ndarray:
    """Turn matrices (N, 2, 3) in units of -1 to 1 into transforms (N, 8) in pixels."""
    half_x, half_y = (width - 1) / 2, (height - 1) / 2
    to_unit = np.array([[1 / half_x, 0, -1], [0, 1 / half_y, -1], [0, 0, 1]])
    to_pixel = np.array([[half_x, 0, half_x], [0, half_y, half_y]])
    bottom = np.broadcast_to([[[0.0, 0.0, 1.0]]], (len(matrices), 1, 3))
    squares = np.concatenate([matrices, bottom], axis=1)
    rows = to_pixel @ squares @ to_unit
    return np.pad(rows.reshape(-1, 6), ((0, 0), (0, 2))).astype(np.float32)


def _change_colors(
    images: np.ndarray, config: Config, epoch: int, indices: Sequence[int]
):
    """[D38] Change brightness, contrast and saturation of images, (N, H, W, 3).

    The formulas are those of torchvision. Those of Keras are others:
    keras.layers.RandomBrightness adds to the pixels, RandomContrast takes the mean of
    each channel, and RandomSaturation scales the S of HSV.
    """
    factors = np.stack([plan_colors(config, epoch, index) for index in indices])
    factors = factors.astype(images.dtype)[..., None, None, None]
    brightness, contrast, saturation = factors.swapaxes(0, 1)  # each (N, 1, 1, 1)
    colored = _blend(images, np.zeros_like(images), brightness)
    mean = ops.mean(_to_grey(colored), axis=(1, 2, 3), keepdims=True)
    colored = _blend(colored, mean, contrast)
    return _blend(colored, _to_grey(colored), saturation)


def _blend(images, others, factors):
    """Go from the others towards the images, or past them; clip to 0 to 255."""
    return ops.clip(ops.add(factors * images, (1 - factors) * others), 0, 255)


def _to_grey(images):
    red, green, blue = ops.split(images, 3, axis=-1)  # each (N, H, W, 1)
    return GREY[0] * red + GREY[1] * green + GREY[2] * blue
