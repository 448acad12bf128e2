"""Change training images at random, so that each epoch sees slightly other ones."""

from keras import layers


def make_augmentation() -> layers.Pipeline:
    """Rotate, zoom and flip each image at random."""
    return layers.Pipeline(
        [
            # [D11] A share of a full turn; the corners are filled with a mirror image.
            layers.RandomRotation(10 / 360),
            layers.RandomZoom(0.1),  # [D12] in and out by up to 10 % of the side
            layers.RandomFlip("horizontal"),
        ]
    )
