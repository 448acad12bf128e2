"""Batches of images and labels: a Dataset of samples, a DataLoader for batches."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from pytorch_impl.augmentation import augment, make_plain_augmentation
from pytorch_impl.device import find_device
from shared.checkpoints import Description
from shared.dataset import Split
from shared.folders import require_whole_split
from shared.sampling import epoch_order


class ImageDataset(Dataset):
    """Normalised images of one split, augmented where they are for training.

    One item is an image (3, H, W) float32 and its label, int64.
    """

    def __init__(
        self, split: Split, description: Description, training: bool = False
    ) -> None:
        self.split = split
        self.labels = split.labels
        self.description = description
        self.augments = training and description.config.augment
        self.epoch = 1  # the training loop counts; Keras: on_epoch_begin

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[tuple[torch.Tensor, int]]:
        """The items of a batch at once, which a DataLoader asks for where it can."""
        images = torch.from_numpy(self.split.images[indices])
        images = images.permute(0, 3, 1, 2)  # [D04] (N, 3, H, W)
        images = images.to(torch.get_default_dtype())
        if self.augments:
            images = augment(images, self.description.config, self.epoch, indices)
        images = normalise(images, self.description)
        return list(zip(images, self.labels[indices].tolist(), strict=True))


def normalise(images: torch.Tensor, description: Description) -> torch.Tensor:
    """Scale pixels: (pixel / 255 - mean) / std per channel. [D06]

    Args:
        images: pixel values 0 to 255; (N, 3, H, W) float32.
    """
    mean = torch.tensor(description.mean).view(3, 1, 1)
    std = torch.tensor(description.std).view(3, 1, 1)
    return (images / 255 - mean) / std


def make_loader(
    split: Split, description: Description, training: bool = False
) -> DataLoader:
    """Batches of (images, labels), reordered every epoch where they are for training.

    The last, smaller batch is kept.
    """
    dataset = ImageDataset(split, description, training)
    return _make_loader(dataset, description, training)


def make_plain_loader(
    folder: Path, description: Description, training: bool = False
) -> DataLoader:
    """Batches of (images, labels) from files, by the framework's own folder loader.

    Shuffled where they are for training; else in the order of (class, name).

    Args:
        folder: one split, a sub-folder of image files for each class.

    Raises:
        UserError: the loader leaves out a file.
    """
    config = description.config
    # allow_empty, since require_whole_split names every file that was left out. [D32]
    dataset = ImageFolder(
        folder, _make_transforms(description, training), allow_empty=True
    )
    require_whole_split(
        folder,
        [file for file, _ in dataset.samples],
        dataset.classes,
        description.classes,
        "torchvision's ImageFolder",
    )
    return DataLoader(
        dataset,
        config.batch_size,
        shuffle=training,  # [D14] all images; Keras: within a buffer
        num_workers=config.loader_workers,  # [D31]
    )


def _make_transforms(description: Description, training: bool) -> v2.Transform:
    config = description.config
    resize = v2.Resize((config.image_size_px, config.image_size_px))  # [D18]
    if training and config.augment:
        resize = make_plain_augmentation(config)
    return v2.Compose(
        [
            resize,
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(description.mean, description.std),  # [D06]
        ]
    )


def make_feature_loader(
    features: np.ndarray,
    labels: np.ndarray,
    description: Description,
    training: bool = False,
) -> DataLoader:
    """Batches of (features, labels) in the order in which `make_loader` has images.

    Args:
        features: the backbone's output for each image, (N, 1280) float32.
        labels: (N,) int64.
    """
    dataset = _FeatureDataset(features, labels)
    return _make_loader(dataset, description, training)


class _FeatureDataset(Dataset):
    def __init__(self, features: np.ndarray, labels: np.ndarray) -> None:
        self.features = torch.from_numpy(features)
        self.labels = labels
        self.epoch = 1

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.features[index], int(self.labels[index])


def _make_loader(
    dataset: Dataset, description: Description, training: bool
) -> DataLoader:
    config = description.config
    return DataLoader(
        dataset,
        config.batch_size,
        sampler=_EpochSampler(dataset, config.seed) if training else None,
        drop_last=False,
        # Copies from pinned memory need not wait for each other; Keras leaves it to
        # its backend.
        pin_memory=find_device(config) == "cuda",
    )


class _EpochSampler(Sampler):
    """[D14] The shared permutation of the dataset's epoch."""

    def __init__(self, dataset: Dataset, seed: int) -> None:
        self.dataset = dataset
        self.seed = seed

    def __len__(self) -> int:
        return len(self.dataset)

    def __iter__(self) -> Iterator[int]:
        order = epoch_order(len(self.dataset), self.seed, self.dataset.epoch)
        return iter(order.tolist())
