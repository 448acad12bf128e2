"""Augmentation plan: which rotation, crop and flip each image gets in each epoch.

The plan is a matrix for every image; each framework applies it with its own sampler.
"""

import numpy as np

from shared.config import Config
from shared.sampling import AUGMENTATION, stream

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
