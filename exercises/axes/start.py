"""Move the channels of images from PyTorch's place to Keras's.

    images.permute(0, 2, 3, 1)

Mend `to_channels_last`, which seems right as long as the images are square.
"""

import keras


def to_channels_last(images: keras.KerasTensor) -> keras.KerasTensor:
    """Turn images (N, C, H, W) into (N, H, W, C)."""
    return keras.ops.swapaxes(images, 1, 3)
