"""A trained network is tested on photos that another library resized and cropped."""

from functools import cache

import keras
import numpy as np
from PIL import Image

from cases.data import SIZE_PX, draw_photos, split_photos
from cases.keras_common import predict, to_images, train_classifier
from cases.other_resize.data import (
    EPOCHS,
    crop_centre,
    prepare,
    prepare_all,
    resize_shorter_side,
)


@cache
def train(seed: int) -> keras.Model:
    """Train on photos that Pillow resized."""
    numbers, _ = split_photos(seed)
    labels = draw_photos()[1][numbers]
    return train_classifier(seed, prepare_all(numbers) / 255, labels, EPOCHS)


def resize(photo: Image.Image, size: tuple[int, int], mode: str) -> np.ndarray:
    """Resize a photo to (height, width) with the framework's own function."""
    pixels = to_images(np.asarray(photo, np.float64)[None])
    resized = keras.ops.image.resize(pixels, size, interpolation=mode)
    return np.asarray(resized[0])


def load(photo: Image.Image, differences: frozenset[str]) -> np.ndarray:
    """Return a photo as the program that tests loads it, (16, 16, 3) float64."""
    if "squeezed, not cropped" in differences:
        size = SIZE_PX, SIZE_PX
        return np.asarray(photo.resize(size, Image.Resampling.BILINEAR), np.float64)
    size = resize_shorter_side(photo)
    if "without antialias" in differences:
        return crop_centre(resize(photo, size, "bilinear"))  # the default
    if "nearest pixel" in differences:
        return crop_centre(resize(photo, size, "nearest"))  # as load_img() does
    return prepare(photo)


def measure(seed: int, differences: frozenset[str]) -> tuple[float, np.ndarray]:
    """Return the accuracy on the test photos, in percent, and all outputs."""
    photos, labels = draw_photos()
    _, numbers = split_photos(seed)
    images = np.stack([load(photos[number], differences) for number in numbers])
    outputs = predict(train(seed), to_images(images / 255))
    return 100 * float(np.mean(outputs.argmax(axis=1) == labels[numbers])), outputs
