"""Adam with weight decay and a schedule, and its state by names of both sides."""

import warnings

import numpy as np
import torch
from torch import nn

from pytorch_impl.matched.model import Classifier
from shared.config import Config
from shared.model.checkpoints import MOMENTS, require_optimizer
from shared.model.weights import Arrays


def make_optimizer(
    network: nn.Module, config: Config, num_steps: int
) -> torch.optim.Optimizer:
    """Make AdamW (Loshchilov and Hutter, 2019) for everything that is not frozen.

    With weight decay 0 it is Adam (Kingma and Ba, 2015).

    Args:
        num_steps: length of a cosine schedule (Loshchilov and Hutter, 2017).
    """
    # [D08] Epsilon is added to sqrt(v / (1 - beta_2^t)); Keras's own Adam adds it to
    # sqrt(v), so there a few lines replace its formula. [D09] torch.optim.Adam's own
    # weight_decay would be an L2 term; keras.optimizers.Adam's is decoupled.
    optimizer = torch.optim.AdamW(
        [array for array in network.parameters() if array.requires_grad],
        lr=config.learning_rate,
        betas=(config.adam_beta_1, config.adam_beta_2),
        eps=config.adam_epsilon,
        weight_decay=config.weight_decay,
    )
    if config.schedule == "cosine":
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
        # [D29] The schedule moves the optimizer's rate after each step; in Keras the
        # optimizer asks its schedule before each.
        optimizer.register_step_post_hook(lambda *_: schedule.step())
        optimizer.schedule = schedule  # for load_optimizer
    return optimizer


def read_optimizer(model: Classifier, optimizer: torch.optim.Optimizer) -> Arrays:
    """Return copies of the optimizer's step and moments, named after what it trains.

    Returns:
        `step`, and `exp_avg/<name>` and `exp_avg_sq/<name>` in torchvision's names and
        layout; all zero before the first step.
    """
    found: Arrays = {"step": np.array(0)}
    for name, parameter in find_trained(model).items():
        state = optimizer.state[parameter]  # empty before the first step
        found["step"] = np.array(int(state.get("step", 0)))
        for moment in MOMENTS:
            values = state.get(moment, torch.zeros_like(parameter))
            found[f"{moment}/{name}"] = np.array(values.cpu(), order="C")
    return found


def load_optimizer(
    model: Classifier, optimizer: torch.optim.Optimizer, arrays: Arrays
) -> None:
    """Set the optimizer to the state that `read_optimizer` of either side has read.

    Raises:
        UserError: the state is of another optimizer or model.
    """
    trained = find_trained(model)
    require_optimizer(
        {name: array.shape for name, array in arrays.items()},
        {name: tuple(parameter.shape) for name, parameter in trained.items()},
    )
    state = {  # by position among the parameters, as state_dict() has it
        position: {"step": torch.tensor(float(arrays["step"]))}
        | {moment: torch.tensor(arrays[f"{moment}/{name}"]) for moment in MOMENTS}
        for position, name in enumerate(trained)
    }
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
    if hasattr(optimizer, "schedule"):  # [D29] Keras's reads the optimizer's step
        with warnings.catch_warnings(action="ignore"):  # of steps without an update
            while optimizer.schedule.last_epoch < arrays["step"]:
                optimizer.schedule.step()


def find_trained(model: Classifier) -> dict[str, nn.Parameter]:
    """Return every array that is trained, by its name in torchvision."""
    return {
        name.removeprefix("backbone."): parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
