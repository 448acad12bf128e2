"""Change training images at random, so that each epoch sees slightly other ones."""

from torchvision.transforms import v2

from shared.program import IMAGE_SIZE_PX


def make_augmentation() -> v2.Transform:
    """Rotate, zoom and flip each image at random."""
    return v2.Compose(
        [
            v2.RandomRotation(10),  # [D11] in degrees; the corners become black
            # [D12] A crop of 90 to 100 % of the area, in another aspect ratio as well;
            # Keras zooms in and out, and keeps the aspect ratio.
            v2.RandomResizedCrop(IMAGE_SIZE_PX, scale=(0.9, 1)),
            v2.RandomHorizontalFlip(),
        ]
    )
