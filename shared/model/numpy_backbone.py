"""MobileNetV2's forward pass in NumPy: a third opinion, and calibrated random weights.

Slow and plain on purpose: each line is the definition that both frameworks implement.
"""

from collections.abc import Callable

import numpy as np

from shared.model.architecture import TORCH_EPSILON, ConvBatchNorm, conv_layers
from shared.model.weights import KERAS_MEAN, KERAS_STD, Arrays, Weights
from shared.preprocessing import scale_pixels
from shared.sampling import BACKBONE, CALIBRATION, stream

NUM_CALIBRATION_IMAGES = 32


def compute_features(
    images: np.ndarray,
    arrays: Arrays,
    before_norm: Callable[[np.ndarray, ConvBatchNorm], None] | None = None,
) -> np.ndarray:
    """Return features (N, 1280) of normalised images (N, H, W, 3) float32.

    Args:
        before_norm: called with the input of each batch norm, and its layer.
    """
    values, block_input, block = images, images, 0
    for layer in conv_layers():
        if layer.block != block:  # a new inverted residual begins
            block, block_input = layer.block, values
        values = _convolve(values, arrays[f"{layer.torch_conv}.weight"], layer)
        if before_norm:
            before_norm(values, layer)
        values = _batch_norm(values, arrays, layer.torch_norm)
        if layer.relu6:
            values = np.clip(values, 0, 6)
        elif values.shape == block_input.shape:
            values = values + block_input  # the residual connection
    return values.mean(axis=(1, 2))


def _batch_norm(values: np.ndarray, arrays: Arrays, norm: str) -> np.ndarray:
    variance = arrays[f"{norm}.running_var"]
    scale = arrays[f"{norm}.weight"] / np.sqrt(variance + TORCH_EPSILON)
    centred = values - arrays[f"{norm}.running_mean"]
    return centred * scale + arrays[f"{norm}.bias"]


def _convolve(values: np.ndarray, kernel: np.ndarray, layer) -> np.ndarray:
    """Convolution of (N, H, W, C); [D03] symmetric padding of one for 3x3 kernels."""
    if kernel.shape[2] == 1:
        return values @ kernel[:, :, 0, 0].T
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)))
    height, width = values.shape[1:3]
    total = np.zeros((), values.dtype)
    for row in range(3):
        for column in range(3):
            window = padded[:, row : row + height, column : column + width]
            window = window[:, :: layer.stride, :: layer.stride]
            tap = kernel[:, :, row, column]
            total = total + (window * tap[:, 0] if layer.depthwise else window @ tap.T)
    return total


def random_weights(images: np.ndarray, seed: int) -> Weights:
    """Return seeded random weights whose batch norms fit `images`.

    He initialisation (He et al., 2015), then one pass in which every batch norm takes
    the mean and variance it sees, so that features keep their scale; without it the
    logits of an untrained MobileNetV2 are near zero and any comparison passes.

    Args:
        images: training images (N, H, W, 3) uint8; some are drawn from them.
    """
    arrays: Arrays = {}
    for number, layer in enumerate(conv_layers()):
        deviation = np.sqrt(2 / np.prod(layer.shape[1:]))
        values = stream(seed, BACKBONE, number).normal(0, deviation, layer.shape)
        arrays[f"{layer.torch_conv}.weight"] = values.astype(np.float32)
        arrays[f"{layer.torch_norm}.weight"] = np.ones(layer.shape[0], np.float32)
        arrays[f"{layer.torch_norm}.bias"] = np.zeros(layer.shape[0], np.float32)
    count = min(NUM_CALIBRATION_IMAGES, len(images))
    chosen = stream(seed, CALIBRATION).choice(len(images), count, replace=False)
    pixels = scale_pixels(images[np.sort(chosen)], KERAS_MEAN, KERAS_STD)

    def calibrate(values: np.ndarray, layer: ConvBatchNorm) -> None:
        mean = values.mean(axis=(0, 1, 2), dtype=np.float64)
        variance = values.var(axis=(0, 1, 2), dtype=np.float64)
        arrays[f"{layer.torch_norm}.running_mean"] = mean.astype(np.float32)
        arrays[f"{layer.torch_norm}.running_var"] = variance.astype(np.float32)

    compute_features(pixels, arrays, calibrate)
    return Weights(arrays, KERAS_MEAN, KERAS_STD, "random", "not needed")
