"""Change training images at random, so that each epoch sees slightly other ones."""

from keras import layers


def make_augmentation() -> layers.Pipeline:
    """Rotate, zoom and flip each image at random."""
    dtype = "float32"  # whatever precision the model has: places need their digits
    return layers.Pipeline(
        [
            # [D11] A share of a full turn; the corners are filled with a mirror image.
            layers.RandomRotation(10 / 360, dtype=dtype),
            # [D12] In and out by up to 10 % of the side.
            layers.RandomZoom(0.1, dtype=dtype),
            layers.RandomFlip("horizontal", dtype=dtype),
        ]
    )
