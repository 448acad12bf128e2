"""Change training images at random, so that the network never sees one twice."""

from keras import layers


def make_augmentation() -> layers.Pipeline:
    """Rotate, zoom and flip each image at random."""
    return layers.Pipeline(
        [
            layers.RandomRotation(10 / 360),  # [D11] turns; corners mirror the image
            layers.RandomZoom(0.1),  # [D12] in and out, by up to a tenth
            layers.RandomFlip("horizontal"),
        ]
    )
