"""Batches of images and labels: a Dataset of samples, a DataLoader for batches."""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from pytorch_impl.matched.augmentation import augment
from pytorch_impl.matched.device import find_device
from shared.data.dataset import Split
from shared.dropout import plan_dropout
from shared.model.checkpoints import Description
from shared.sampling import epoch_order


class ImageDataset(Dataset):
    """Normalised images of one split, augmented where they are for training.

    One item is an image (3, H, W) float32 and its label, int64. Where it is for
    training, the dropout plan's factors (units,) go with the image. [D17]
    """

    def __init__(
        self, split: Split, description: Description, training: bool = False
    ) -> None:
        self.split = split
        self.labels = split.labels
        self.description = description
        self.training = training
        self.epoch = 1  # the training loop counts; Keras: on_epoch_begin

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[int]) -> list[tuple]:
        """Return the items of a batch at once; a DataLoader asks for them if it can."""
        images = torch.from_numpy(self.split.images[indices])
        images = images.permute(0, 3, 1, 2)  # [D04] (N, 3, H, W)
        images = images.to(torch.get_default_dtype())
        if self.training and self.description.config.augment:
            images = augment(images, self.description.config, self.epoch, indices)
        images = normalise(images, self.description)
        return _make_items(self, images, indices)


def _make_items(
    dataset: "ImageDataset | _FeatureDataset", inputs: torch.Tensor, indices: list[int]
) -> list[tuple]:
    """Return pairs of input and label; for training, of (input, factors) and label."""
    labels = dataset.labels[indices].tolist()
    if dataset.training:
        config, count = dataset.description.config, len(dataset)
        kept = plan_dropout(config, count, dataset.epoch, indices)
        inputs = zip(inputs, torch.from_numpy(kept), strict=True)
    return list(zip(inputs, labels, strict=True))


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
    """Make batches of (images, labels), in a new order in every training epoch.

    Batches for training are ((images, kept), labels), with the dropout plan's factors
    (N, units). The last, smaller batch is kept.
    """
    dataset = ImageDataset(split, description, training)
    return _make_loader(dataset, description, training)


def make_feature_loader(
    features: np.ndarray,
    labels: np.ndarray,
    description: Description,
    training: bool = False,
) -> DataLoader:
    """Make batches of (features, labels) in the order of `make_loader`'s images.

    Args:
        features: the backbone's output for each image, (N, 1280) float32.
        labels: (N,) int64.
    """
    dataset = _FeatureDataset(features, labels, description, training)
    return _make_loader(dataset, description, training)


class _FeatureDataset(Dataset):
    def __init__(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        description: Description,
        training: bool,
    ) -> None:
        self.features = torch.from_numpy(features)
        self.labels = labels
        self.description = description
        self.training = training
        self.epoch = 1

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, indices: list[int]) -> list[tuple]:
        return _make_items(self, self.features[indices], indices)


def _make_loader(
    dataset: Dataset, description: Description, training: bool
) -> DataLoader:
    config = description.config
    return DataLoader(
        dataset,
        config.batch_size,
        sampler=_EpochSampler(dataset, config.seed) if training else None,
        drop_last=False,
        # Copies from pinned memory need not wait for each other. Keras cannot ask for
        # it, so a run that compares leaves it out.
        pin_memory=config.pin_memory and find_device(config) == "cuda",
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
