"""Apply the augmentation plan: colours, and PyTorch's grid sampler."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from shared.augmentation import GREY, plan_colors, plan_matrix
from shared.config import Config


def augment(
    images: torch.Tensor, config: Config, epoch: int, indices: Sequence[int]
) -> torch.Tensor:
    """Colour, rotate, crop and flip training images by the plan of their epoch.

    All of it happens on the CPU, as decoding does: a batch goes to a GPU only once, and
    TF32 cannot round the coordinates. Colours come first: the mean that contrast needs
    must not see black borders.

    Args:
        images: pixel values 0 to 255; (N, 3, H, W) float32.
        epoch: counted from 1.
        indices: which training image each one is, (N,).
    """
    matrices = np.stack([plan_matrix(config, epoch, index) for index in indices])
    # The plan's units are affine_grid's with align_corners=True; [D11] bilinear, zero
    # fill. Keras: keras.ops.image.affine_transform, in pixels.
    thetas = torch.from_numpy(matrices).to(images)
    if config.color_jitter:
        images = _change_colors(images, config, epoch, indices)
    grid = F.affine_grid(thetas, list(images.shape), align_corners=True)
    return F.grid_sample(
        images, grid, mode="bilinear", padding_mode="zeros", align_corners=True
    )


def _change_colors(
    images: torch.Tensor, config: Config, epoch: int, indices: Sequence[int]
) -> torch.Tensor:
    """[D38] Change brightness, contrast and saturation of images, (N, 3, H, W).

    The formulas are those of torchvision, but v2.functional takes one factor for a
    whole batch. Here each image has factors of its own.
    """
    factors = np.stack([plan_colors(config, epoch, index) for index in indices])
    factors = torch.from_numpy(factors).to(images)[..., None, None, None]
    brightness, contrast, saturation = factors.unbind(1)  # each (N, 1, 1, 1)
    images = _blend(images, torch.zeros_like(images), brightness)
    mean = _to_grey(images).mean(dim=(1, 2, 3), keepdim=True)
    images = _blend(images, mean, contrast)
    return _blend(images, _to_grey(images), saturation)


def _blend(
    images: torch.Tensor, others: torch.Tensor, factors: torch.Tensor
) -> torch.Tensor:
    """Go from the others towards the images, or past them; clip to 0 to 255."""
    return (factors * images + (1 - factors) * others).clamp(0, 255)


def _to_grey(images: torch.Tensor) -> torch.Tensor:
    red, green, blue = images.split(1, dim=1)  # each (N, 1, H, W)
    return GREY[0] * red + GREY[1] * green + GREY[2] * blue
