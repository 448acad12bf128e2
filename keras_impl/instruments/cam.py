"""Grad-CAM: which places of an image speak for a class (Selvaraju et al., 2017)."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops


def compute_cam(
    model: keras.Model, images: np.ndarray, classes: Sequence[int]
) -> np.ndarray:
    """Return a map for each image of what speaks for its class, (N, h, w) float32.

    The map is ReLU(sum over k of w_k A_k). A_k are the channels of the last
    convolution, after ReLU6. w_k is the mean gradient of the class's logit over the
    places of channel k (equations 1 and 2 of the paper).

    Args:
        model: the classifier of either division.
        images: normalised, in this framework's layout.
        classes: the index of a class for each image, (N,).
    """
    import tensorflow as tf  # Keras has no gradients of its own; each backend has them

    backbone, head = model.get_layer("backbone"), model.get_layer("head")
    last_convolution = backbone.get_layer("out_relu").output
    channels = keras.Model(backbone.input, last_convolution)(images)  # (N, h, w, C)
    # The tape records the operations from here on. PyTorch: requires_grad_().
    with tf.GradientTape() as tape:
        tape.watch(channels)
        logits = head(backbone.layers[-1](channels))  # (N, classes)
        chosen = ops.take_along_axis(logits, np.array(classes)[:, None], axis=1)
    # TensorFlow differentiates the sum. No image depends on another one.
    gradients = tape.gradient(chosen, channels)
    weights = ops.mean(gradients, axis=(1, 2), keepdims=True)
    maps = ops.relu(ops.sum(weights * channels, axis=-1))
    return ops.convert_to_numpy(maps).astype("float32")
