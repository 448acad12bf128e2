"""Load images from folders: a tf.data pipeline, or a PyDataset, gives batches."""

from math import ceil
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from keras_impl.augmentation import make_augmentation
from shared.model.weights import Scaling
from shared.program import BATCH_SIZE, IMAGE_SIZE_PX

# [D32] Ends of the file names that image_dataset_from_directory reads.
ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
SIZE = (IMAGE_SIZE_PX, IMAGE_SIZE_PX)  # [D25] images are squeezed to it

Batches = tf.data.Dataset | keras.utils.PyDataset  # what fit() takes


def make_loader(
    folder: Path, scaling: Scaling, training: bool = False, augment: bool = False
) -> Batches:
    """Make batches of images and labels with the framework's own folder loader.

    Args:
        folder: one split, with a sub-folder of images for each class.
        scaling: the mean and standard deviation with which to normalise the images.
        training: shuffle the images in every epoch; else they come sorted by name.
        augment: change each training image at random.

    Returns:
        Batches of images (N, H, W, 3) float32 and labels (N,) int32. A label is the
        index of its class among the sorted names. The last batch may be smaller.
    """
    batches = keras.utils.image_dataset_from_directory(
        folder,
        batch_size=BATCH_SIZE,
        image_size=SIZE,
        # [D14] Keras shuffles all images once, and then in every epoch within a buffer
        # of 8 batches; PyTorch's DataLoader shuffles all anew.
        shuffle=training,
        verbose=False,
    )
    transform = _make_transform(scaling, training and augment)
    return batches.map(
        lambda images, labels: (transform(images), labels),
        num_parallel_calls=tf.data.AUTOTUNE,  # [D31] in threads; PyTorch: in processes
    ).prefetch(tf.data.AUTOTUNE)


def make_own_loader(
    folder: Path, scaling: Scaling, training: bool = False, augment: bool = False
) -> Batches:
    """Make batches of the same form with a dataset class of our own."""
    dataset = ImageFiles(folder, _make_transform(scaling, training and augment))
    dataset.shuffle = training
    dataset.on_epoch_end()  # so that the first epoch is shuffled as well
    return dataset


class ImageFiles(keras.utils.PyDataset):
    """Images of one split, read from their files when they are asked for.

    One item is a whole batch; in PyTorch it is one image.
    """

    def __init__(self, folder: Path, transform: layers.Layer) -> None:
        super().__init__(workers=2)  # [D31] threads
        self.paths = sorted(folder.glob("*/*"))
        classes = sorted({path.parent.name for path in self.paths})
        labels = [classes.index(path.parent.name) for path in self.paths]
        self.labels = np.array(labels, "int32")
        self.transform, self.shuffle = transform, False
        self.order = np.arange(len(self.paths))

    def __len__(self) -> int:
        return ceil(len(self.paths) / BATCH_SIZE)

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch; fit() calls this. PyTorch's DataLoader shuffles.

        on_epoch_begin() would be too late: the workers have taken the first batches.
        """
        if self.shuffle:
            self.order = np.random.permutation(len(self.paths))

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.order[index * BATCH_SIZE : (index + 1) * BATCH_SIZE]
        # [D24] Pillow resizes with antialias, TensorFlow in make_loader without it, so
        # their pixels differ. By default load_img would take the nearest pixel.
        images = [
            keras.utils.img_to_array(
                keras.utils.load_img(
                    self.paths[i], target_size=SIZE, interpolation="bilinear"
                )
            )
            for i in chosen
        ]
        batch = keras.ops.convert_to_numpy(self.transform(np.stack(images)))
        return batch, self.labels[chosen]


def make_normalisation(scaling: Scaling) -> layers.Layer:
    """Scale pixels from 0..255 to (pixel / 255 - mean) / std, per channel. [D06]"""
    mean, std = np.array(scaling.mean), np.array(scaling.std)
    # The same formula as one product and one sum: pixel * scale + offset.
    scale, offset = 1 / (255 * std), -mean / std
    return layers.Rescaling(scale, offset, dtype="float32")  # as in augmentation.py


def _make_transform(scaling: Scaling, augment: bool) -> layers.Layer:
    """Return a layer from pixels (N, H, W, 3), 0 to 255, to normalised images."""
    # [D20] Keras's guides put the random layers into the model. We do not: onnxruntime
    # would refuse the exported file.
    steps = [make_augmentation()] if augment else []
    return layers.Pipeline([*steps, make_normalisation(scaling)])
