"""Load images from folders: a tf.data pipeline, or a PyDataset, gives batches."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from keras_impl.augmentation import make_augmentation
from shared.model.weights import Scaling
from shared.program import BATCH_SIZE, IMAGE_SIZE_PX

# Of files that image_dataset_from_directory reads. [D32]
ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
SIZE = (IMAGE_SIZE_PX, IMAGE_SIZE_PX)  # [D25] squeezed to a square


def make_loader(
    folder: Path, scaling: Scaling, training: bool = False, augment: bool = False
) -> tf.data.Dataset:
    """Make batches of images and labels with the framework's own folder loader.

    Args:
        folder: one split, with a sub-folder of images for each class.
        scaling: mean and deviation by which the pretrained network wants its images.
        training: shuffle the images in every epoch; else they come sorted by name.
        augment: change each training image at random.

    Returns:
        Batches of images (N, H, W, 3) float32 and labels (N,) int32; the last batch
        may be smaller.
    """
    batches = keras.utils.image_dataset_from_directory(
        folder,
        batch_size=BATCH_SIZE,
        image_size=SIZE,
        shuffle=training,  # [D14] within a buffer; PyTorch: all images
        verbose=False,
    )
    transform = _make_transform(scaling, training and augment)
    return batches.map(
        lambda images, labels: (transform(images), labels),
        num_parallel_calls=tf.data.AUTOTUNE,  # [D31] threads; PyTorch: processes
    ).prefetch(tf.data.AUTOTUNE)


def make_own_loader(
    folder: Path, scaling: Scaling, training: bool = False, augment: bool = False
) -> keras.utils.PyDataset:
    """Make batches of the same form with a dataset class of our own."""
    return ImageFiles(folder, _make_transform(scaling, training and augment), training)


class ImageFiles(keras.utils.PyDataset):
    """Images of one split, read from their files when they are asked for.

    One item is a whole batch; in PyTorch it is one image.
    """

    def __init__(self, folder: Path, transform: layers.Layer, shuffle: bool) -> None:
        super().__init__(workers=2)
        self.paths = sorted(folder.glob("*/*"))
        classes = sorted({path.parent.name for path in self.paths})
        labels = [classes.index(path.parent.name) for path in self.paths]
        self.labels = np.array(labels, "int32")
        self.transform, self.shuffle = transform, shuffle
        self.order = np.arange(len(self.paths))
        self.on_epoch_end()

    def __len__(self) -> int:
        return -(-len(self.paths) // BATCH_SIZE)  # rounded up

    def on_epoch_end(self) -> None:
        """Shuffle for the next epoch; fit() calls this. PyTorch's DataLoader shuffles.

        At the beginning of an epoch the workers have already taken the first images.
        """
        if self.shuffle:
            self.order = np.random.permutation(len(self.paths))

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self.order[number * BATCH_SIZE : (number + 1) * BATCH_SIZE]
        # [D24] By default load_img takes the nearest pixel. Here Pillow resizes, and in
        # make_loader TensorFlow, so the pixels differ slightly.
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
    """Scale pixels: (pixel / 255 - mean) / std per channel. [D06]"""
    mean, std = np.array(scaling.mean), np.array(scaling.std)
    return layers.Rescaling(scale=1 / (255 * std), offset=-mean / std)


def _make_transform(scaling: Scaling, augment: bool) -> layers.Layer:
    """From pixels (N, H, W, 3), 0 to 255, to what the network wants."""
    # [D20] Here and not in the model: onnxruntime refuses an export with random layers.
    steps = [make_augmentation()] if augment else []
    return layers.Pipeline([*steps, make_normalisation(scaling)])
