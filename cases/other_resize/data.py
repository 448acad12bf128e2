"""Photos resized and cropped as for ImageNet: the shorter side, then the centre."""

import numpy as np
from PIL import Image

from cases.data import SIZE_PX, draw_photos

EPOCHS = 40
SHORTER_SIDE_PX = 18  # of which the middle 16 are kept, as 224 of 256


def resize_shorter_side(photo: Image.Image) -> tuple[int, int]:
    """Return the height and width of a photo whose shorter side has 18 pixels."""
    height, width = (
        round(SHORTER_SIDE_PX * side / min(photo.size))
        for side in (photo.height, photo.width)
    )
    return height, width


def crop_centre(pixels: np.ndarray) -> np.ndarray:
    """Return the middle 16x16 pixels of an image (H, W, 3)."""
    top, left = ((side - SIZE_PX) // 2 for side in pixels.shape[:2])
    return pixels[top : top + SIZE_PX, left : left + SIZE_PX]


def prepare(photo: Image.Image) -> np.ndarray:
    """Resize and crop a photo with Pillow; (16, 16, 3) float64 from 0 to 255."""
    height, width = resize_shorter_side(photo)
    resized = photo.resize((width, height), Image.Resampling.BILINEAR)
    return crop_centre(np.asarray(resized, np.float64))


def prepare_all(numbers: np.ndarray) -> np.ndarray:
    """Resize and crop photos by their numbers; (N, 16, 16, 3) float64."""
    photos = draw_photos()[0]
    return np.stack([prepare(photos[number]) for number in numbers])
