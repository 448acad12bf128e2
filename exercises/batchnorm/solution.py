"""Both arguments have other defaults, and the momentum has the opposite meaning."""

from keras import layers


def make_batch_norm() -> layers.Layer:
    """Return a layer for images (N, H, W, 8)."""
    return layers.BatchNormalization(epsilon=1e-5, momentum=0.9)  # [D02]
