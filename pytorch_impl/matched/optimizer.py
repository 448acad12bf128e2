"""Update rule and schedule, and the optimizer's state by names of both sides."""

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
    """Make the configured optimizer for everything that is not frozen.

    Args:
        num_steps: length of the schedule, which is cosine (Loshchilov and Hutter, 2017)
            or one-cycle (Smith and Topin, 2018).
    """
    trained = [array for array in network.parameters() if array.requires_grad]
    optimizer = _make_update_rule(trained, config)
    optimizer.moments = MOMENTS[config.optimizer]
    optimizer.steps_done = 0
    optimizer.register_step_post_hook(_count_step)
    if config.schedule != "constant":
        schedule = _make_schedule(optimizer, config, num_steps)
        # [D29] The schedule moves the optimizer's rate after each step; in Keras the
        # optimizer asks its schedule before each.
        optimizer.register_step_post_hook(lambda *_: schedule.step())
        optimizer.schedule = schedule  # for load_optimizer
    return optimizer


def _make_update_rule(
    trained: list[nn.Parameter], config: Config
) -> torch.optim.Optimizer:
    """Make SGD with momentum, or AdamW (Loshchilov and Hutter, 2019).

    With weight decay 0, AdamW is Adam (Kingma and Ba, 2015).
    """
    if config.optimizer == "sgd":
        # [D36] The momentum sums gradients; in Keras it sums steps.
        rate, momentum = config.learning_rate, config.momentum
        return torch.optim.SGD(trained, lr=rate, momentum=momentum)
    # [D08] Epsilon is added to sqrt(v / (1 - beta_2^t)); Keras's own Adam adds it to
    # sqrt(v), so there a few lines replace its formula. [D09] torch.optim.Adam's own
    # weight_decay would be an L2 term; keras.optimizers.Adam's is decoupled.
    return torch.optim.AdamW(
        trained,
        lr=config.learning_rate,
        betas=(config.adam_beta_1, config.adam_beta_2),
        eps=config.adam_epsilon,
        weight_decay=config.weight_decay,
    )


def _make_schedule(
    optimizer: torch.optim.Optimizer, config: Config, num_steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    if config.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, num_steps)
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, config.learning_rate, num_steps, cycle_momentum=False
    )


def _count_step(optimizer: torch.optim.Optimizer, *_: object) -> None:
    """Count the steps, which SGD does not; Keras's optimizers all do."""
    optimizer.steps_done += 1


def read_optimizer(model: Classifier, optimizer: torch.optim.Optimizer) -> Arrays:
    """Return copies of the optimizer's step and moments, named after what it trains.

    Returns:
        `step`, and each moment as `<moment>/<name>`, such as `exp_avg/<name>`, in
        torchvision's names and layout; all zero before the first step.
    """
    found: Arrays = {"step": np.array(optimizer.steps_done)}
    for name, parameter in find_trained(model).items():
        state = optimizer.state[parameter]  # empty before the first step
        for moment in optimizer.moments:
            values = state.get(moment)
            if values is None:
                values = torch.zeros_like(parameter)
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
        optimizer.moments,
    )
    optimizer.steps_done = int(arrays["step"])
    state = {  # by position among the parameters, as state_dict() has it
        position: {"step": torch.tensor(float(arrays["step"]))}
        | {m: torch.tensor(arrays[f"{m}/{name}"]) for m in optimizer.moments}
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
