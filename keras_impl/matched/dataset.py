"""Batches of images and labels: a PyDataset makes each batch as fit() asks for it."""

from typing import TYPE_CHECKING

import keras
import numpy as np

from keras_impl.matched.augmentation import augment
from keras_impl.matched.device import BACKEND
from shared.data.dataset import Split
from shared.dropout import plan_dropout
from shared.model.checkpoints import Description
from shared.sampling import epoch_order

if TYPE_CHECKING:
    import tensorflow as tf


class _EpochDataset(keras.utils.PyDataset):
    """[D14] Batches in the shared permutation of each epoch.

    Keras would shuffle the order of whole batches; fit(shuffle=False) leaves it alone.
    """

    def __init__(
        self, labels: np.ndarray, description: Description, training: bool
    ) -> None:
        super().__init__()
        self.labels = labels
        self.description = description
        self.training = training
        self.set_epoch(1)

    def __len__(self) -> int:
        return -(-len(self.labels) // self.description.config.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of an epoch, counted from 1. PyTorch's loop does so too.

        fit() calls on_epoch_begin() of a data set, but on JAX once more than there are
        epochs, to build the model from a batch.
        """
        self.epoch = epoch
        self.order = np.arange(len(self.labels))
        if self.training:
            seed = self.description.config.seed
            self.order = epoch_order(len(self.labels), seed, epoch)

    def make_pipeline(self) -> "keras.utils.PyDataset | tf.data.Dataset":
        """Return what fit() and predict() take the batches from.

        [D34] On TensorFlow they would put them into a tf.data pipeline whose tuner may
        keep an epoch from ending. PyTorch's loop takes them from the loader itself.
        """
        if BACKEND != "tensorflow":
            return self
        import tensorflow as tf

        spec = tf.nest.map_structure(
            lambda array: tf.TensorSpec((None, *array.shape[1:]), array.dtype), self[0]
        )
        batches = tf.data.Dataset.from_generator(
            lambda: (self[batch] for batch in range(len(self))), output_signature=spec
        )
        options = tf.data.Options()
        options.autotune.enabled = False
        counted = batches.apply(tf.data.experimental.assert_cardinality(len(self)))
        return counted.prefetch(1).with_options(options)

    def indices(self, batch: int) -> np.ndarray:
        """Return which images stand in a batch of this epoch."""
        size = self.description.config.batch_size
        return self.order[batch * size : (batch + 1) * size]

    def _make_batch(self, inputs: np.ndarray, indices: np.ndarray) -> tuple:
        """Return inputs and labels; for training, (inputs, factors) and labels."""
        if self.training:
            config, count = self.description.config, len(self.labels)
            inputs = inputs, plan_dropout(config, count, self.epoch, indices)
        return inputs, self.labels[indices]


class ImageDataset(_EpochDataset):
    """Normalised images of one split, augmented where they are for training.

    One item is a batch: images (N, H, W, 3) float32 and labels (N,) int64. Where it is
    for training, the dropout plan's factors (N, units) go with the images. [D17]
    """

    def __init__(
        self, split: Split, description: Description, training: bool = False
    ) -> None:
        super().__init__(split.labels, description, training)
        self.split = split

    def __getitem__(self, batch: int) -> tuple:
        indices = self.indices(batch)
        images = self.split.images[indices]  # [D04] (N, H, W, 3)
        images = images.astype(keras.config.floatx())
        if self.training and self.description.config.augment:
            images = augment(images, self.description.config, self.epoch, indices)
        return self._make_batch(normalise(images, self.description), indices)


def normalise(images: np.ndarray, description: Description) -> np.ndarray:
    """Scale pixels: (pixel / 255 - mean) / std per channel. [D06]

    Args:
        images: pixel values 0 to 255; (N, H, W, 3) float32.
    """
    mean = np.array(description.mean, images.dtype)
    std = np.array(description.std, images.dtype)
    return (images / images.dtype.type(255) - mean) / std


def make_loader(
    split: Split, description: Description, training: bool = False
) -> ImageDataset:
    """Make batches of (images, labels), in a new order in every training epoch.

    Batches for training are ((images, kept), labels), with the dropout plan's factors
    (N, units). The last, smaller batch is kept.
    """
    return ImageDataset(split, description, training)


def make_feature_loader(
    features: np.ndarray,
    labels: np.ndarray,
    description: Description,
    training: bool = False,
) -> keras.utils.PyDataset:
    """Make batches of (features, labels) in the order of `make_loader`'s images.

    Args:
        features: the backbone's output for each image, (N, 1280) float32.
        labels: (N,) int64.
    """
    return _FeatureDataset(features, labels, description, training)


class _FeatureDataset(_EpochDataset):
    def __init__(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        description: Description,
        training: bool,
    ) -> None:
        super().__init__(labels, description, training)
        self.features = features

    def __getitem__(self, batch: int) -> tuple:
        indices = self.indices(batch)
        return self._make_batch(self.features[indices], indices)
