"""Apply the augmentation plan with PyTorch's grid sampler."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from pytorch_impl.matched.device import find_device
from shared.augmentation import plan_matrix
from shared.config import Config


def augment(
    images: torch.Tensor, config: Config, epoch: int, indices: Sequence[int]
) -> torch.Tensor:
    """Rotate, crop and flip training images by the plan of their epoch.

    Args:
        images: pixel values 0 to 255; (N, 3, H, W) float32.
        epoch: counted from 1.
        indices: which training image each one is, (N,).
    """
    matrices = np.stack([plan_matrix(config, epoch, index) for index in indices])
    # The plan's units are affine_grid's with align_corners=True; [D11] bilinear, zero
    # fill. Keras: keras.ops.image.affine_transform, in pixels.
    # [D19] On the device; Keras's operations run there by themselves.
    device = find_device(config)
    images, thetas = images.to(device), torch.from_numpy(matrices).to(device)
    with torch.autocast(device, enabled=False):  # coordinates need their digits
        grid = F.affine_grid(thetas.to(images), list(images.shape), align_corners=True)
        moved = F.grid_sample(
            images, grid, mode="bilinear", padding_mode="zeros", align_corners=True
        )
    return moved.cpu()
