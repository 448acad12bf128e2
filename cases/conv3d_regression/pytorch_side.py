"""Regression on volumes: batch norm and dropout of both frameworks."""

import numpy as np
import torch
from torch import nn

from cases.conv3d_regression.data import (
    CHANNELS,
    DROPOUT,
    EPOCHS,
    LEARNING_RATE,
    NUM_PLACES,
    make_data,
    make_values,
    plan_dropout,
)
from cases.data import BATCH_SIZE
from cases.pytorch_common import load_values, make_adam


class Network(nn.Module):
    """A convolution with batch norm and dropout, and a dense layer."""

    def __init__(self, seed: int, differences: frozenset[str]) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.convolution = nn.Conv3d(1, CHANNELS, 2, stride=2)
        self.norm = nn.BatchNorm3d(CHANNELS, eps=1e-3, momentum=0.1)
        # [D44] It drops whole channels; Keras's Dropout drops single values.
        dropout = nn.Dropout3d(DROPOUT)
        self.dropout = dropout if "dropout layer" in differences else nn.Identity()
        self.output = nn.Linear(CHANNELS * NUM_PLACES, 1)
        load_values(self, make_values(seed))

    def forward(self, volumes: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        channels = self.norm(nn.functional.relu(self.convolution(volumes)))
        return self.output((self.dropout(channels) * factors).flatten(1))


def train(
    model: nn.Module,
    volumes: torch.Tensor,
    widths: torch.Tensor,
    seed: int,
    differences: frozenset[str],
) -> None:
    """Train on the mean absolute error."""
    optimizer = make_adam(model, LEARNING_RATE, differences)
    model.train()
    for epoch in range(EPOCHS):
        factors = _to_channels_first(plan_dropout(seed, epoch, differences))
        for rows in torch.arange(len(volumes)).split(BATCH_SIZE):
            optimizer.zero_grad()
            outputs = model(volumes[rows], factors[rows])
            nn.functional.l1_loss(outputs, widths[rows]).backward()
            optimizer.step()
    if "running variance" not in differences:
        # [D23] PyTorch's moves by the unbiased variance, Keras's by the biased one.
        count = BATCH_SIZE * NUM_PLACES
        start = 0.9 ** (EPOCHS * len(volumes) // BATCH_SIZE)
        variance = model.norm.running_var
        variance.copy_(start + (variance - start) * (count - 1) / count)


def _to_channels_first(volumes: np.ndarray) -> torch.Tensor:
    """Return volumes (N, D, H, W, C) in the framework's order of axes. [D04]"""
    return torch.from_numpy(volumes).movedim(-1, 1)


def measure(seed: int, differences: frozenset[str]) -> tuple[float, np.ndarray]:
    """Return the mean absolute error on the validation data, and all outputs."""
    train_x, train_y, x, y = make_data(seed)
    model = Network(seed, differences)
    data = _to_channels_first(train_x), torch.from_numpy(train_y)
    train(model, *data, seed, differences)
    with torch.inference_mode():
        outputs = model.eval()(_to_channels_first(x), torch.ones(1)).numpy()
    return float(np.abs(outputs - y).mean()), outputs
