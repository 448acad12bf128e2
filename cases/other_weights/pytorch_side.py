"""Features of one network: what of weights and pixels changes their range."""

from functools import cache

import numpy as np
from torch import nn

from cases.data import load_images
from cases.other_weights.data import EPOCHS
from cases.pytorch_common import predict, to_images, train_classifier
from shared.model.weights import IMAGENET_MEAN, IMAGENET_STD


@cache
def train(seed: int, values: int) -> nn.Module:
    """Train on pixels from 0 to 1.

    Args:
        values: seed of the first values.
    """
    images, labels, _, _ = load_images(seed)
    return train_classifier(values, images / 255, labels, EPOCHS)


def compute_features(model: nn.Module, images: np.ndarray) -> np.ndarray:
    """Return the outputs of the layer before the last one, (N, 64)."""
    return predict(model[:-1], to_images(images))


def measure(seed: int, differences: frozenset[str]) -> tuple[float, np.ndarray]:
    """Return the largest feature of the test images, and all features."""
    _, _, images, _ = load_images(seed)
    if "pixel scale" in differences:
        # [D06] torchvision's usual scale
        images = (images / 255 - IMAGENET_MEAN) / IMAGENET_STD
    else:
        images = images / 255
    own = 1000 + seed  # a training of this side alone
    model = train(seed, own if "weights" in differences else seed)
    features = compute_features(model, images)
    return float(features.max()), features
