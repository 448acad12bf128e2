"""A converted residual network: what keeps the outputs of both sides apart."""

import numpy as np
import torch
from torch import nn

from cases.converted_resnet.data import (
    CHANNELS,
    NUM_CLASSES,
    make_images,
    make_kernels,
)
from cases.pytorch_common import to_images


class Network(nn.Module):
    """A convolution, and a residual block that halves the image."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, CHANNELS, 3, stride=2, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(CHANNELS)  # [D02] epsilon is 1e-5
        self.inner = nn.Conv2d(CHANNELS, CHANNELS, 3, stride=2, padding=1, bias=False)
        self.inner_norm = nn.BatchNorm2d(CHANNELS)
        self.shortcut = nn.Conv2d(CHANNELS, CHANNELS, 1, stride=2, bias=False)
        self.output = nn.Linear(CHANNELS, NUM_CLASSES, bias=False)
        layers = self.stem, self.inner, self.shortcut, self.output
        with torch.no_grad():
            for layer, kernel in zip(layers, make_kernels(seed), strict=True):
                layer.weight.copy_(torch.from_numpy(kernel))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        stem = nn.functional.relu(self.stem_norm(self.stem(images)))
        block = self.inner_norm(self.inner(stem)) + self.shortcut(stem)
        return self.output(nn.functional.relu(block).mean(dim=(2, 3)))


def measure(seed: int, differences: frozenset[str]) -> tuple[float, np.ndarray]:
    """Return the mean logit of four images, and all of their logits, (4, 10)."""
    # A new module is in training mode: batch norm takes the statistics of the batch.
    model = Network(seed).train("training mode" in differences)
    with torch.no_grad():
        outputs = model(to_images(make_images(seed))).numpy()
    return float(outputs.mean()), outputs
