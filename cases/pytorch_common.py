"""What the PyTorch sides share; `keras_common` has the same functions."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from cases.data import BATCH_SIZE, CLASSES, SHAPES, draw_values

torch.set_default_dtype(torch.float64)  # so that rounding stays small


def load_values(model: nn.Module, values: Sequence[np.ndarray]) -> None:
    """Copy values into the trainable parameters of a model, in their order."""
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), values, strict=True):
            parameter.copy_(torch.from_numpy(value))


def to_images(pixels: np.ndarray) -> torch.Tensor:
    """Return pixels (N, H, W, C) in the framework's order of axes. [D04]"""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def make_adam(
    model: nn.Module,
    learning_rate: float,
    differences: frozenset[str],  # noqa: ARG001
) -> torch.optim.Optimizer:
    """Return Adam as PyTorch computes it, which is what both sides start from."""
    return torch.optim.Adam(model.parameters(), learning_rate)


def fit(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    inputs: torch.Tensor,
    targets: torch.Tensor,
    epochs: int,
) -> None:
    """Train in batches of 20, in the order of the samples."""
    model.train()
    for _ in range(epochs):
        for rows in torch.arange(len(inputs)).split(BATCH_SIZE):
            optimizer.zero_grad()
            loss(model(inputs[rows]), targets[rows]).backward()
            optimizer.step()
    model.eval()


@torch.inference_mode()
def predict(model: nn.Module, inputs: torch.Tensor) -> np.ndarray:
    """Return the outputs of a model in evaluation mode."""
    return model.eval()(inputs).numpy()


def build_classifier(seed: int) -> nn.Module:
    """Return a small CNN for the drawn photos, with equal first values."""
    model = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        nn.Linear(16 * 2 * 2, len(CLASSES)),
    )
    load_values(model, draw_values(seed, SHAPES))
    return model


def train_classifier(
    seed: int, images: np.ndarray, labels: np.ndarray, epochs: int
) -> nn.Module:
    """Build the small CNN and train it on scaled images (N, H, W, C)."""
    model = build_classifier(seed)
    optimizer = make_adam(model, 0.005, frozenset())
    data = to_images(images), torch.from_numpy(labels)
    fit(model, optimizer, nn.CrossEntropyLoss(), *data, epochs)
    return model
