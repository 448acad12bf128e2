"""A converted residual network: what keeps the outputs of both sides apart."""

import keras
import numpy as np
from keras import layers

from cases.converted_resnet.data import (
    CHANNELS,
    NUM_CLASSES,
    SIZE_PX,
    make_images,
    make_kernels,
)
from cases.keras_common import predict, to_images


def build_model(seed: int, differences: frozenset[str]) -> keras.Model:
    """Return a convolution, and a residual block that halves the image."""
    kernels = [np.moveaxis(kernel, (0, 1), (-1, -2)) for kernel in make_kernels(seed)]
    images = keras.Input((SIZE_PX, SIZE_PX, 3))
    stem = _convolve(images, kernels[0], differences)
    epsilon = 1e-3 if "batch norm's epsilon" in differences else 1e-5  # [D02]
    stem = layers.ReLU()(layers.BatchNormalization(epsilon=epsilon)(stem))
    block = _convolve(stem, kernels[1], differences)
    block = layers.BatchNormalization(epsilon=epsilon)(block)
    shortcut = layers.Conv2D(CHANNELS, 1, strides=2, use_bias=False)
    block = layers.ReLU()(layers.Add()([block, shortcut(stem)]))
    output = layers.Dense(NUM_CLASSES, use_bias=False)
    logits = output(layers.GlobalAveragePooling2D()(block))
    shortcut.set_weights([kernels[2]])
    output.set_weights([kernels[3]])
    return keras.Model(images, logits)


def _convolve(inputs, kernel: np.ndarray, differences: frozenset[str]):
    """Apply a convolution of stride 2."""
    padding = "same"  # [D03] of an even size: at the bottom and at the right only
    if "padding" not in differences:
        inputs, padding = layers.ZeroPadding2D(1)(inputs), "valid"
    layer = layers.Conv2D(CHANNELS, 3, strides=2, padding=padding, use_bias=False)
    outputs = layer(inputs)
    layer.set_weights([kernel])
    return outputs


def measure(seed: int, differences: frozenset[str]) -> tuple[float, np.ndarray]:
    """Return the mean logit of four images, and all of their logits, (4, 10)."""
    model = build_model(seed, differences)
    outputs = predict(model, to_images(make_images(seed)))
    return float(outputs.mean()), outputs
