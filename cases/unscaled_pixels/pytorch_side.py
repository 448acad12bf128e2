"""The same images are validated twice: while a network is trained, and afterwards."""

from functools import cache

import numpy as np
from torch import nn

from cases.pytorch_common import predict, to_images, train_classifier
from cases.unscaled_pixels.data import EPOCHS, load_two_classes


@cache
def train(seed: int) -> nn.Module:
    """Train on pixels from 0 to 1."""
    images, labels, _, _ = load_two_classes(seed)
    return train_classifier(seed, images / 255, labels, EPOCHS)


def measure(seed: int, differences: frozenset[str]) -> tuple[float, np.ndarray]:
    """Return the accuracy of the second validation, in percent, and all outputs."""
    _, _, images, labels = load_two_classes(seed)
    if "other order" in differences:
        order = np.random.default_rng(seed).permutation(len(labels))
        images, labels = images[order], labels[order]
    if "pixels not scaled" not in differences:
        images = images / 255  # [D06] as in the training
    outputs = predict(train(seed), to_images(images))
    return 100 * float(np.mean(outputs.argmax(axis=1) == labels)), outputs
