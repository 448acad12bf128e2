"""In degrees, bilinear, and decided anew for each image."""

import torch
from torchvision.transforms import v2


def augment(images: torch.Tensor) -> torch.Tensor:
    """Rotate and flip each image at random; (N, C, H, W) float32."""
    # [D11] Degrees in place of full turns; by default the nearest pixel is taken.
    rotate = v2.RandomRotation(10, v2.InterpolationMode.BILINEAR)
    transform = v2.Compose([rotate, v2.RandomHorizontalFlip()])
    return torch.stack([transform(image) for image in images])  # [D26] each on its own
