"""Write this Keras augmentation in PyTorch.

    layers.Pipeline(
        [
            layers.RandomRotation(10 / 360, fill_mode="constant"),
            layers.RandomFlip("horizontal"),
        ]
    )

Mend `augment`, which raises no error and is wrong in several ways.
"""

import torch
from torchvision.transforms import v2


def augment(images: torch.Tensor) -> torch.Tensor:
    """Rotate and flip each image at random; (N, C, H, W) float32."""
    transform = v2.Compose([v2.RandomRotation(10 / 360), v2.RandomHorizontalFlip()])
    return transform(images)
