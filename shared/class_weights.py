"""Weights that let a rare class count as much in the loss as a common one."""

import numpy as np


def balance_classes(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the weight of each class, (classes,) float32.

    It is images / (classes * images of this class), so that the weights of all images
    have the mean 1 (King and Zeng, "Logistic regression in rare events data", 2001;
    scikit-learn calls it "balanced").

    Args:
        labels: of the training images, (N,) int64.
    """
    counts = np.bincount(labels, minlength=num_classes)
    weights = len(labels) / (num_classes * np.maximum(counts, 1))
    return weights.astype(np.float32)
