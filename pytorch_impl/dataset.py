"""Load images from folders: a Dataset gives single images, a DataLoader batches."""

from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms import v2

from pytorch_impl.augmentation import make_augmentation
from shared.model.weights import Scaling
from shared.program import BATCH_SIZE, IMAGE_SIZE_PX

ENDINGS = IMG_EXTENSIONS  # [D32] ends of the file names that ImageFolder reads
NUM_WORKERS = 2  # [D31] processes that load images; Keras's pipeline has threads


def make_loader(
    folder: Path, scaling: Scaling, training: bool = False, augment: bool = False
) -> DataLoader:
    """Make batches of images and labels with the framework's own folder loader.

    Args:
        folder: one split, with a sub-folder of images for each class.
        scaling: the mean and standard deviation with which to normalise the images.
        training: shuffle the images in every epoch; else they come sorted by name.
        augment: change each training image at random.

    Returns:
        Batches of images (N, 3, H, W) float32 and labels (N,) int64. A label is the
        index of its class among the sorted names. The last batch may be smaller.
    """
    dataset = ImageFolder(folder, _make_transform(scaling, training and augment))
    return _make_batches(dataset, training)


def make_own_loader(
    folder: Path, scaling: Scaling, training: bool = False, augment: bool = False
) -> DataLoader:
    """Make batches of the same form with a dataset class of our own."""
    dataset = ImageFiles(folder, _make_transform(scaling, training and augment))
    return _make_batches(dataset, training)


class ImageFiles(Dataset):
    """Images of one split, read from their files when they are asked for.

    One item is one image; in Keras it is a whole batch.
    """

    def __init__(self, folder: Path, transform: v2.Transform) -> None:
        self.paths = sorted(folder.glob("*/*"))
        classes = sorted({path.parent.name for path in self.paths})
        self.labels = [classes.index(path.parent.name) for path in self.paths]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        with Image.open(self.paths[index]) as image:
            return self.transform(image.convert("RGB")), self.labels[index]


def make_normalisation(scaling: Scaling) -> v2.Transform:
    """Scale pixels from 0..255 to (pixel / 255 - mean) / std, per channel. [D06]"""
    return v2.Compose(
        [
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),  # 0 to 255 becomes 0 to 1
            v2.Normalize(scaling.mean, scaling.std),
        ]
    )


def _make_transform(scaling: Scaling, augment: bool) -> v2.Transform:
    """Return a transform from a Pillow image of any size to a tensor (3, H, W)."""
    resize = v2.Resize((IMAGE_SIZE_PX, IMAGE_SIZE_PX))  # [D24] [D25] squeezed
    to_square = make_augmentation() if augment else resize
    return v2.Compose([to_square, make_normalisation(scaling)])


def _make_batches(dataset: Dataset, training: bool) -> DataLoader:
    return DataLoader(
        dataset,
        BATCH_SIZE,
        shuffle=training,  # [D14] all images; Keras's loader only within a buffer
        num_workers=NUM_WORKERS,
        persistent_workers=True,  # else every epoch starts new processes
    )
