"""A small regression: what of a usual program makes its error larger."""

import numpy as np
import torch
from torch import nn

from cases.broadcast_loss.data import (
    EPOCHS,
    LEARNING_RATE,
    NUM_HIDDEN,
    NUM_INPUTS,
    make_data,
    make_values,
)
from cases.pytorch_common import fit, load_values, make_adam, predict


def build_model(seed: int, differences: frozenset[str]) -> nn.Module:
    """Return the network, with the framework's own first values if left in."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Linear(NUM_INPUTS, NUM_HIDDEN), nn.ReLU(), nn.Linear(NUM_HIDDEN, 1)
    )
    if "first values" not in differences:
        load_values(model, make_values(seed))
    return model


def measure(seed: int, differences: frozenset[str]) -> tuple[float, np.ndarray]:
    """Return the mean squared error on the validation data, and all outputs."""
    train_x, train_y, x, y = make_data(seed)
    model = build_model(seed, differences)
    optimizer = make_adam(model, LEARNING_RATE, differences)
    if "targets (N,)" in differences:
        # [D43] (20, 1) - (20,) is (20, 20): each output meets all samples' targets.
        train_y = train_y[:, 0]
    data = torch.from_numpy(train_x), torch.from_numpy(train_y)
    fit(model, optimizer, nn.MSELoss(), *data, EPOCHS)
    outputs = predict(model, torch.from_numpy(x))
    return float(np.mean((outputs - y) ** 2)), outputs
