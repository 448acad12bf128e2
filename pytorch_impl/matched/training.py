"""Train the head, then the backbone: an explicit loop over epochs and batches."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from pytorch_impl.matched.checkpoint import save_checkpoint
from pytorch_impl.matched.inference import predict_logits
from pytorch_impl.matched.model import (
    Classifier,
    fold_classifier,
    set_backbone_trainable,
)
from pytorch_impl.matched.optimizer import make_optimizer, read_optimizer
from pytorch_impl.precision import autocast
from shared.class_weights import balance_classes
from shared.clock import now
from shared.metrics import EpochRecord, score_epoch
from shared.model.checkpoints import Description, copy_checkpoint
from shared.phases import Phase, plan_phases


def train(
    model: Classifier,
    train_loader: DataLoader,
    validation_loader: DataLoader,
    description: Description,
    folder: Path | None,
    on_epoch: Callable[[EpochRecord, np.ndarray], None],
    image_loaders: tuple[DataLoader, DataLoader] | None = None,
) -> list[EpochRecord]:
    """Train for all epochs and keep the best and the last checkpoint in `folder`.

    The head is trained on the frozen backbone. Then, where configured, fine-tuning
    trains the backbone too. Best is the first epoch of all with the highest validation
    accuracy. Training loss and accuracy are those of each batch as it was trained on,
    dropout included.

    Args:
        train_loader, validation_loader: batches of images, or of features where the
            configuration says that features are cached.
        folder: None to keep no checkpoints.
        on_epoch: gets the epoch's record and its validation logits, (N, classes).
        image_loaders: two loaders of images for fine-tuning, where the others bring
            features; None if they bring images.
    """
    history: list[EpochRecord] = []

    def finish_epoch(
        record: EpochRecord, optimizer: torch.optim.Optimizer, logits: np.ndarray
    ) -> None:
        history.append(record)
        if folder:
            keep_checkpoints(model, optimizer, history, description, folder)
        on_epoch(record, logits)

    for phase in plan_phases(description.config):
        loaders = train_loader, validation_loader
        if image_loaders and not phase.on_features:
            loaders = image_loaders
        _train_phase(model, phase, loaders, finish_epoch)
    return history


def _train_phase(
    model: Classifier,
    phase: Phase,
    loaders: tuple[DataLoader, DataLoader],
    finish_epoch: Callable[[EpochRecord, torch.optim.Optimizer, np.ndarray], None],
) -> None:
    """Train the epochs of a phase with an optimizer of its own."""
    train_loader, validation_loader = loaders
    network = _choose_network(model, phase)
    num_steps = len(phase.epochs) * len(train_loader)
    optimizer = make_optimizer(model, phase.config, num_steps)
    class_weights = None
    if phase.config.class_weights:  # [D37] Keras: fit(class_weight=...)
        num_classes = model.head.output.out_features
        class_weights = balance_classes(train_loader.dataset.labels, num_classes)
    weighting = class_weights, phase.config.label_smoothing
    for epoch in phase.epochs:
        start = now()
        train_loader.dataset.epoch = epoch
        trained = _train_epoch(network, optimizer, train_loader, *weighting)
        logits = predict_logits(network, validation_loader)
        validation = logits, validation_loader.dataset.labels
        record = score_epoch(epoch, trained, validation, now() - start)
        finish_epoch(record, optimizer, logits)


def _choose_network(model: Classifier, phase: Phase) -> nn.Module:
    """Freeze what the phase does not train, and return the smallest network for it.

    Images pass through `fold_classifier`'s copy of a backbone that stays as it is,
    where configured.
    """
    learns, first_block = phase.batch_norm_learns, phase.first_block or 0
    set_backbone_trainable(model, phase.backbone_learns, learns, first_block)
    if phase.on_features:
        return model.head
    return (
        model if learns or not phase.config.fold_batch_norm else fold_classifier(model)
    )


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
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    loader: DataLoader,
    class_weights: np.ndarray | None,
    label_smoothing: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Learn from every batch once; return the logits and the labels in their order."""
    network.train()
    seen_logits, seen_labels = [], []
    for inputs, labels in loader:
        _, logits = update(
            network, optimizer, inputs, labels, class_weights, label_smoothing
        )
        seen_logits.append(logits.clone())  # a CUDA graph would write over them
        seen_labels.append(labels)
    # Fetched once: a GPU would be waited for at every batch.
    return torch.cat(seen_logits).cpu().numpy(), torch.cat(seen_labels).numpy()


def update(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    inputs: torch.Tensor | list[torch.Tensor],
    labels: torch.Tensor,
    class_weights: np.ndarray | None = None,
    label_smoothing: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Go forward, backward, and take a step, as fit() does for each batch in Keras.

    Args:
        class_weights: factor of the loss for the images of each class, (classes,).
        label_smoothing: share of each label that is spread over all classes.
    """
    device = next(network.parameters()).device
    optimizer.zero_grad()  # [D40]
    parts = [inputs] if isinstance(inputs, torch.Tensor) else inputs
    with autocast(device.type):  # the loss of float32 logits is float32 outside too
        logits = network(*(part.to(device, non_blocking=True) for part in parts))
    labels = labels.to(device, non_blocking=True)
    # [D13] (logits, labels), softmax inside; Keras: (labels, predictions), told so.
    cross_entropy = partial(nn.functional.cross_entropy, logits, labels)
    if class_weights is None:
        loss = cross_entropy(label_smoothing=label_smoothing)
    else:
        # [D39] Weighted afterwards: cross_entropy(weight=...) would weight the smoothed
        # share of every class.
        losses = cross_entropy(label_smoothing=label_smoothing, reduction="none")
        weights = torch.from_numpy(class_weights).to(logits)[labels]
        loss = _average(losses, weights)
    loss.backward()
    optimizer.step()
    return loss.detach(), logits.detach()


def _average(losses: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """[D37] Divide by the number of images, as Keras does.

    The mean of cross_entropy(weight=...) divides by the sum of their weights.
    """
    return (losses * weights).sum() / len(losses)
