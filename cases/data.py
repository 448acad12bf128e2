"""What the cases share: drawn photos, and first values for both sides."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image

from shared.data.synthetic import draw_image

CLASSES = ("dress", "hat", "pants", "shoes")
NUM_TRAIN, NUM_TEST = 200, 100
BATCH_SIZE = 20
SIZE_PX = 16
# Of the parameters of the small CNN, kernels and biases, in PyTorch's layout.
SHAPES = (
    *((8, 3, 3, 3), (8,), (16, 8, 3, 3), (16,)),
    *((len(CLASSES), 16 * 2 * 2), (len(CLASSES),)),
)


@cache
def draw_photos() -> tuple[list[Image.Image], np.ndarray]:
    """Draw the photos of all image cases: 300 RGB images, and their labels, (300,)."""
    labels = np.arange(NUM_TRAIN + NUM_TEST) % len(CLASSES)
    photos = [
        draw_image(CLASSES[label], np.random.default_rng([label, number]))
        for number, label in enumerate(labels)
    ]
    return photos, labels


def squeeze(photo: Image.Image) -> np.ndarray:
    """Resize a photo as Pillow does, bilinear with antialias; (16, 16, 3) uint8."""
    return np.asarray(photo.resize((SIZE_PX, SIZE_PX), Image.Resampling.BILINEAR))


@cache
def _squeezed() -> np.ndarray:
    return np.stack([squeeze(photo) for photo in draw_photos()[0]])


def split_photos(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the order of the photos, of which the first 200 are for training.

    Returns:
        The numbers of the training photos, (200,), and of the test photos, (100,).
    """
    order = np.random.default_rng([seed, 0]).permutation(NUM_TRAIN + NUM_TEST)
    return order[:NUM_TRAIN], order[NUM_TRAIN:]


def load_images(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return images and labels for training, and then images and labels to test with.

    Returns:
        Images (N, 16, 16, 3) float64 from 0 to 255, labels (N,) int64.
    """
    images, labels = _squeezed().astype(np.float64), draw_photos()[1]
    train, test = split_photos(seed)
    return images[train], labels[train], images[test], labels[test]


def draw_values(seed: int, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """Draw first values as Keras does: Glorot uniform, and zeros for biases.

    Args:
        shapes: of the parameters of a model, in its order and in PyTorch's layout:
            the outputs come first, then the inputs.
    """
    rng = np.random.default_rng([seed, 1])
    values = []
    for shape in shapes:
        if len(shape) == 1:
            values.append(np.zeros(shape))
        else:
            limit = np.sqrt(6 / ((shape[0] + shape[1]) * np.prod(shape[2:])))
            values.append(rng.uniform(-limit, limit, shape))
    return values
