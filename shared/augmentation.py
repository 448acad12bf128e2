"""Augmentation plan: how each image is moved and coloured in each epoch.

The plan of rotation, crop and flip is a matrix for every image, and the plan of colours
three factors; each framework applies them with its own operations.
"""

import numpy as np

from shared.config import Config
from shared.sampling import AUGMENTATION, stream

COLORS = 3  # last part of the key; the matrices have none, the switches take 1 and 2
GREY = (0.2989, 0.587, 0.114)  # of red, green and blue; torchvision's, after BT.601
ASPECT_RATIOS = (3 / 4, 4 / 3)  # torchvision's RandomResizedCrop


def plan_matrix(config: Config, epoch: int, index: int) -> np.ndarray:
    """Return the affine matrix (2, 3) float32 of a training image in an epoch.

    It takes an output position (x, y, 1) to an input position, in units where the
    image spans -1 to 1 between the centres of its outermost pixels.

    [D11] Rotation in degrees about the centre, zero fill, bilinear. [D12] The crop's
    scale is a share of the area, its aspect ratio is drawn too, and it is always
    inside the image: where torchvision redraws until a crop fits, the range of ratios
    is cut to those that do.
    """
    random = stream(config.seed, AUGMENTATION, epoch, index)
    angle = np.deg2rad(random.uniform(-1, 1) * config.rotation_degrees)
    scale = random.uniform(config.crop_scale_min, 1)
    low, high = max(ASPECT_RATIOS[0], scale), min(ASPECT_RATIOS[1], 1 / scale)
    ratio = np.exp(random.uniform(np.log(low), np.log(high)))
    width, height = np.sqrt(scale * ratio), np.sqrt(scale / ratio)
    shift_x, shift_y = random.uniform(-1, 1, 2) * (1 - width, 1 - height)
    mirror = -1 if random.random() < config.flip_probability else 1
    crop = np.array([[width * mirror, 0, shift_x], [0, height, shift_y], [0, 0, 1]])
    cos, sin = np.cos(angle), np.sin(angle)
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    return (rotation @ crop)[:2].astype(np.float32)


def plan_colors(config: Config, epoch: int, index: int) -> np.ndarray:
    """Return the factors (3,) float32 of a training image's colours in an epoch.

    They change brightness, contrast and saturation, in this order. Each is drawn from
    [1 - color_jitter, 1 + color_jitter], and 1 changes nothing.
    """
    random = stream(config.seed, AUGMENTATION, epoch, index, COLORS)
    factors = 1 + random.uniform(-1, 1, 3) * config.color_jitter
    return factors.astype(np.float32)
