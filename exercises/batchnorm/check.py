"""Normalise with small stored variances, and then train on one batch."""

from types import ModuleType

import numpy as np

from exercises.expectations import expect_close
from exercises.references import draw

EPSILON, MOMENTUM = 1e-5, 0.1  # PyTorch's defaults


def check(answer: ModuleType) -> None:
    """Compare the output and the running mean with NumPy's."""
    images = draw(4, 5, 6, 8)
    layer = answer.make_batch_norm()
    layer.build(images.shape)
    variance = np.full(8, 1e-4)
    advice = "the layer has one mean and one variance for each channel"
    expect_close(layer.moving_variance, np.ones(8), "the running variance", advice)
    layer.moving_variance.assign(variance)
    wanted = images / np.sqrt(variance + EPSILON)
    advice = "look at epsilon, which is added to the variance"
    expect_close(
        layer(images, training=False), wanted, "evaluation mode", advice, tolerance=0.01
    )
    layer(images + 3, training=True)
    advice = "look at the momentum, and at what it is the share of"
    mean = MOMENTUM * (images + 3).mean(axis=(0, 1, 2))
    expect_close(layer.moving_mean, mean, "the running mean after a batch", advice)
