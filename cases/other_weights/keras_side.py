"""Features of one network: what of weights and pixels changes their range."""

from functools import cache

import keras
import numpy as np

from cases.data import load_images
from cases.keras_common import predict, to_images, train_classifier
from cases.other_weights.data import EPOCHS


@cache
def train(seed: int, values: int) -> keras.Model:
    """Train on pixels from 0 to 1.

    Args:
        values: seed of the first values.
    """
    images, labels, _, _ = load_images(seed)
    return train_classifier(values, images / 255, labels, EPOCHS)


def compute_features(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return the outputs of the layer before the last one, (N, 64)."""
    layer = model.layers[-2].output
    return predict(keras.Model(model.inputs, layer), to_images(images))


def measure(seed: int, differences: frozenset[str]) -> tuple[float, np.ndarray]:
    """Return the largest feature of the test images, and all features."""
    _, _, images, _ = load_images(seed)
    if "pixel scale" in differences:
        # [D06] that of many Keras networks
        images = keras.applications.mobilenet_v2.preprocess_input(images)
    else:
        images = images / 255
    own = 2000 + seed  # a training of this side alone
    model = train(seed, own if "weights" in differences else seed)
    features = compute_features(model, images)
    return float(features.max()), features
