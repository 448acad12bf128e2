"""Change training images at random, so that the network never sees one twice."""

from torchvision.transforms import v2

from shared.program import IMAGE_SIZE_PX


def make_augmentation() -> v2.Transform:
    """Rotate, zoom and flip each image at random."""
    return v2.Compose(
        [
            v2.RandomRotation(10),  # [D11] in degrees; the corners become black
            # [D12] A crop that keeps 90 to 100 % of the area; Keras zooms out as well.
            v2.RandomResizedCrop(IMAGE_SIZE_PX, (0.9, 1)),
            v2.RandomHorizontalFlip(),
        ]
    )
