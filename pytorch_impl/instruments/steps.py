"""Single steps of training, and the gradients of one batch."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from pytorch_impl.matched.model import Classifier
from pytorch_impl.matched.optimizer import find_trained, load_optimizer, make_optimizer
from pytorch_impl.matched.training import update
from pytorch_impl.precision import autocast
from shared.config import Config
from shared.model.weights import Arrays

Inputs = np.ndarray | tuple[np.ndarray, np.ndarray]  # images, or with dropout's factors
TrainStep = Callable[[Inputs, np.ndarray], float]


def make_train_step(
    model: Classifier,
    config: Config,
    num_steps: int,
    optimizer_state: Arrays | None = None,
    on_features: bool = False,
) -> TrainStep:
    """Return a function that does one update from a batch and returns the loss.

    It takes inputs and labels as a loader for training has them: a pair of images and
    the dropout plan's factors, and (N,) int64.

    Args:
        num_steps: length of the schedule.
        optimizer_state: what `read_optimizer` returned, to go on from there.
        on_features: the inputs are the backbone's features, not images.
    """
    network = model.head if on_features else model
    optimizer = make_optimizer(model, config, num_steps)
    if optimizer_state:
        load_optimizer(model, optimizer, optimizer_state)
    return _make_train_step(network, optimizer, config.label_smoothing)


def make_plain_train_step(model: nn.Module, learning_rate: float) -> TrainStep:
    """Return such a function for the plain program, whose inputs are images alone."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return _make_train_step(model, torch.optim.Adam(parameters, lr=learning_rate))


def _make_train_step(
    network: nn.Module, optimizer: torch.optim.Optimizer, label_smoothing: float = 0.0
) -> TrainStep:
    def train_step(inputs: Inputs, labels: np.ndarray) -> float:
        network.train()
        batch = _to_tensors(inputs), torch.from_numpy(labels)
        loss, _ = update(network, optimizer, *batch, label_smoothing=label_smoothing)
        return float(loss)

    return train_step


def _to_tensors(inputs: Inputs) -> torch.Tensor | list[torch.Tensor]:
    if isinstance(inputs, np.ndarray):
        return torch.from_numpy(inputs)
    return [torch.from_numpy(part) for part in inputs]


def compute_gradients(
    model: Classifier, inputs: Inputs, labels: np.ndarray
) -> tuple[float, Arrays]:
    """Return one batch's loss and its gradients, in torchvision's layout.

    Only what is not frozen has a gradient. The inputs are those of a training step.
    """
    model.train()
    model.zero_grad()
    device = next(model.parameters()).device
    with autocast(device.type):
        logits = model(*(part.to(device) for part in _to_tensors(inputs)))
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(labels).to(device))
    loss.backward()
    gradients = {
        name: np.array(parameter.grad.cpu())  # a copy: backward() adds to .grad itself
        for name, parameter in find_trained(model).items()
    }
    return float(loss.detach()), gradients
