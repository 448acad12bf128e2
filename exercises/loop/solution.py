"""What fit() does for each batch, spelt out."""

import torch
from torch import nn


def train(
    model: nn.Module, features: torch.Tensor, labels: torch.Tensor, epochs: int
) -> None:
    """Train as fit() does. Features are (N, inputs), labels (N,)."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model.train()  # turns dropout on
    for _ in range(epochs):
        for images, targets in zip(features.split(4), labels.split(4), strict=True):
            optimizer.zero_grad()
            logits = model(images)
            loss = nn.functional.cross_entropy(logits, targets)  # [D13]
            loss.backward()
            optimizer.step()
