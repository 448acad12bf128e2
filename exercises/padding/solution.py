"""With stride 2, "same" pads bottom and right alone."""

import torch
from torch.nn import functional


def convolve(images: torch.Tensor, kernel: torch.Tensor, stride: int) -> torch.Tensor:
    """Convolve images (N, in, H, W) with a kernel (out, in, 3, 3)."""
    before = 1 if stride == 1 else 0  # [D03]
    images = functional.pad(images, (before, 1, before, 1))  # left, right, top, bottom
    return functional.conv2d(images, kernel, stride=stride)
