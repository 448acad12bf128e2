"""What both frameworks have to agree with, computed by NumPy alone."""

import numpy as np

from shared.metrics import softmax

NUM_INPUTS, NUM_CLASSES = 4, 3


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    """Return normally distributed float32 numbers, the same ones for the same seed."""
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def draw_samples(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features (count, NUM_INPUTS) float32 and labels (count,) int64."""
    labels = np.random.default_rng(1).integers(0, NUM_CLASSES, count)
    return draw(count, NUM_INPUTS), labels


def train_linear(
    kernel: np.ndarray,
    features: np.ndarray,
    labels: np.ndarray,
    epochs: int,
    batch_size: int = 4,
    learning_rate: float = 0.1,
) -> list[np.ndarray]:
    """Train one linear layer without bias, by plain gradient descent.

    Args:
        kernel: first weights (inputs, classes).
        features: (N, inputs), in the order in which each epoch takes them.

    Returns:
        The kernel after each step.
    """
    kernels = []
    for _ in range(epochs):
        for start in range(0, len(labels), batch_size):
            batch = features[start : start + batch_size]
            targets = np.eye(NUM_CLASSES)[labels[start : start + batch_size]]
            errors = softmax(batch @ kernel) - targets
            kernel = kernel - learning_rate * batch.T @ errors / len(batch)
            kernels.append(kernel)
    return kernels


def convolve_same(images: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """Convolve as Keras does with padding="same", for images with even sides.

    Args:
        images: (N, H, W, in).
        kernel: (3, 3, in, out).
        stride: 1, which pads all four sides, or 2, which pads bottom and right. [D03]
    """
    before = 1 if stride == 1 else 0
    pad = (before, 1)
    padded = np.pad(images, ((0, 0), pad, pad, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return np.einsum("nhwcij,ijco->nhwo", windows[:, ::stride, ::stride], kernel)
