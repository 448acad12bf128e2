"""Every axis is named, so none of them is swapped by accident."""

import keras


def to_channels_last(images: keras.KerasTensor) -> keras.KerasTensor:
    """Turn images (N, C, H, W) into (N, H, W, C)."""
    return keras.ops.transpose(images, (0, 2, 3, 1))  # [D04]
