"""Write this compile() and fit() as a training loop.

    model.compile(
        optimizer=keras.optimizers.SGD(0.1),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(features, labels, batch_size=4, epochs=epochs, shuffle=False)

The model gives logits, and may contain dropout.
"""

import torch
from torch import nn


def train(
    model: nn.Module, features: torch.Tensor, labels: torch.Tensor, epochs: int
) -> None:
    """Train as fit() does. Features are (N, inputs), labels (N,)."""
