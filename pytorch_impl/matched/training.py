"""Train the head: an explicit loop over epochs and batches."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from pytorch_impl.matched.checkpoint import save_checkpoint
from pytorch_impl.matched.inference import predict_logits
from pytorch_impl.matched.model import Classifier, fold_classifier
from shared.clock import now
from shared.config import Config
from shared.metrics import EpochRecord, score_epoch
from shared.model.checkpoints import (
    MOMENTS,
    Description,
    copy_checkpoint,
    require_optimizer,
)
from shared.model.weights import Arrays

Inputs = np.ndarray | tuple[np.ndarray, np.ndarray]  # images, or with dropout's factors
TrainStep = Callable[[Inputs, np.ndarray], float]


def make_optimizer(
    network: nn.Module, config: Config, num_steps: int
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov and Hutter, 2019) over what is not frozen.

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
    """The optimizer's step and moments by the names of what it trains; copies.

    Returns:
        `step`, and `exp_avg/<name>` and `exp_avg_sq/<name>` in torchvision's names and
        layout; all zero before the first step.
    """
    found: Arrays = {"step": np.array(0)}
    for name, parameter in _trained(model).items():
        state = optimizer.state[parameter]  # empty before the first step
        found["step"] = np.array(int(state.get("step", 0)))
        for moment in MOMENTS:
            values = state.get(moment, torch.zeros_like(parameter))
            found[f"{moment}/{name}"] = np.array(values.cpu(), order="C")
    return found


def load_optimizer(
    model: Classifier, optimizer: torch.optim.Optimizer, arrays: Arrays
) -> None:
    """Let the optimizer go on from where `read_optimizer` of either side read it.

    Raises:
        UserError: the state is of another optimizer or model.
    """
    trained = _trained(model)
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


def _trained(model: Classifier) -> dict[str, nn.Parameter]:
    """Every parameter that is not frozen, by its name in torchvision."""
    return {
        name.removeprefix("backbone."): parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def make_train_step(
    model: Classifier,
    config: Config,
    num_steps: int,
    optimizer_state: Arrays | None = None,
    on_features: bool = False,
) -> TrainStep:
    """A function that does one update from one batch and returns the batch's loss.

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
    return _make_train_step(network, optimizer)


def make_plain_train_step(model: nn.Module, learning_rate: float) -> TrainStep:
    """As `make_train_step`, for the plain program: its inputs are images alone."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return _make_train_step(model, torch.optim.Adam(parameters, lr=learning_rate))


def _make_train_step(network: nn.Module, optimizer: torch.optim.Optimizer) -> TrainStep:
    def train_step(inputs: Inputs, labels: np.ndarray) -> float:
        network.train()
        batch = _to_tensors(inputs), torch.from_numpy(labels)
        loss, _ = _update(network, optimizer, *batch)
        return float(loss)

    return train_step


def _to_tensors(inputs: Inputs) -> torch.Tensor | list[torch.Tensor]:
    if isinstance(inputs, np.ndarray):
        return torch.from_numpy(inputs)
    return [torch.from_numpy(part) for part in inputs]


def compute_gradients(
    model: Classifier, inputs: Inputs, labels: np.ndarray
) -> tuple[float, Arrays]:
    """Loss of one batch of images and its gradients, in torchvision's layout.

    Only what is not frozen has a gradient. The inputs are those of a training step.
    """
    model.train()
    model.zero_grad()
    device = next(model.parameters()).device
    logits = model(*(part.to(device) for part in _to_tensors(inputs)))
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(labels).to(device))
    loss.backward()
    gradients = {
        name: parameter.grad.cpu().numpy()
        for name, parameter in _trained(model).items()
    }
    return float(loss.detach()), gradients


def train(
    model: Classifier,
    train_loader: DataLoader,
    validation_loader: DataLoader,
    description: Description,
    folder: Path,
    on_epoch: Callable[[EpochRecord, np.ndarray], None],
) -> list[EpochRecord]:
    """Train for all epochs and keep the best and the last checkpoint in `folder`.

    Images pass through `fold_classifier`'s copy of a frozen backbone, where configured.
    Best is the first epoch with the highest validation accuracy. Training loss and
    accuracy are those of each batch as it was trained on, dropout included.

    Args:
        train_loader, validation_loader: batches of images, or of features where the
            configuration says that features are cached.
        on_epoch: gets the epoch's record and its validation logits, (N, classes).
    """
    config = description.config
    network = _choose_network(model, config)
    optimizer = make_optimizer(model, config, config.epochs * len(train_loader))
    history: list[EpochRecord] = []
    for epoch in range(1, config.epochs + 1):
        start = now()
        train_loader.dataset.epoch = epoch
        logits, labels = _train_epoch(network, optimizer, train_loader)
        validation_logits = predict_logits(network, validation_loader)
        validation_labels = validation_loader.dataset.labels
        validation = validation_logits, validation_labels
        record = score_epoch(epoch, (logits, labels), validation, now() - start)
        history.append(record)
        keep_checkpoints(model, optimizer, history, description, folder)
        on_epoch(record, validation_logits)
    return history


def _choose_network(model: Classifier, config: Config) -> nn.Module:
    """What the batches pass through: of a frozen backbone, as little as will do."""
    if config.features_are_cached:
        return model.head
    frozen = not any(p.requires_grad for p in model.backbone.parameters())
    return fold_classifier(model) if frozen and config.fold_batch_norm else model


def keep_checkpoints(
    model: Classifier,
    optimizer: torch.optim.Optimizer,
    history: list[EpochRecord],
    description: Description,
    folder: Path,
) -> None:
    """Save `last`, and `best` if this epoch's validation accuracy is a new maximum."""
    record = history[-1]
    state = read_optimizer(model, optimizer)
    last = save_checkpoint(model, folder, "last", description, record.epoch, state)
    earlier = [past.validation_accuracy for past in history[:-1]]
    if record.validation_accuracy > max(earlier, default=-1):
        copy_checkpoint(last, "best")


def _train_epoch(
    network: nn.Module, optimizer: torch.optim.Optimizer, loader: DataLoader
) -> tuple[np.ndarray, np.ndarray]:
    """One pass over all batches; returns the logits seen and the labels, in order."""
    network.train()
    seen_logits, seen_labels = [], []
    for inputs, labels in loader:
        _, logits = _update(network, optimizer, inputs, labels)
        seen_logits.append(logits.clone())  # a CUDA graph would write over them
        seen_labels.append(labels)
    # Fetched once: a GPU would be waited for at every batch.
    return torch.cat(seen_logits).cpu().numpy(), torch.cat(seen_labels).numpy()


def _update(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    inputs: torch.Tensor | list[torch.Tensor],
    labels: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Forward, backward, step: what fit() does for each batch in Keras."""
    device = next(network.parameters()).device
    optimizer.zero_grad()
    parts = [inputs] if isinstance(inputs, torch.Tensor) else inputs
    logits = network(*(part.to(device, non_blocking=True) for part in parts))
    logits = logits.to(torch.get_default_dtype())
    # [D13] (logits, labels), softmax inside; Keras: (labels, predictions), told so.
    loss = nn.functional.cross_entropy(logits, labels.to(device, non_blocking=True))
    loss.backward()
    optimizer.step()
    return loss.detach(), logits.detach()
