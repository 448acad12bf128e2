"""Train the head: an explicit loop over epochs and batches."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from pytorch_impl.matched.checkpoint import save_checkpoint
from pytorch_impl.matched.inference import predict_logits
from pytorch_impl.matched.model import Classifier, fold_classifier
from pytorch_impl.matched.optimizer import make_optimizer, read_optimizer
from shared.class_weights import balance_classes
from shared.clock import now
from shared.config import Config
from shared.metrics import EpochRecord, score_epoch
from shared.model.checkpoints import Description, copy_checkpoint


def train(
    model: Classifier,
    train_loader: DataLoader,
    validation_loader: DataLoader,
    description: Description,
    folder: Path | None,
    on_epoch: Callable[[EpochRecord, np.ndarray], None],
) -> list[EpochRecord]:
    """Train for all epochs and keep the best and the last checkpoint in `folder`.

    Images pass through `fold_classifier`'s copy of a frozen backbone, where configured.
    Best is the first epoch with the highest validation accuracy. Training loss and
    accuracy are those of each batch as it was trained on, dropout included.

    Args:
        train_loader, validation_loader: batches of images, or of features where the
            configuration says that features are cached.
        folder: None to keep no checkpoints.
        on_epoch: gets the epoch's record and its validation logits, (N, classes).
    """
    config = description.config
    network = _choose_network(model, config)
    class_weights = None
    if config.class_weights:  # [D37] Keras: fit(class_weight=...)
        num_classes = len(description.classes)
        class_weights = balance_classes(train_loader.dataset.labels, num_classes)
    optimizer = make_optimizer(model, config, config.epochs * len(train_loader))
    history: list[EpochRecord] = []
    for epoch in range(1, config.epochs + 1):
        start = now()
        train_loader.dataset.epoch = epoch
        logits, labels = _train_epoch(network, optimizer, train_loader, class_weights)
        validation_logits = predict_logits(network, validation_loader)
        validation_labels = validation_loader.dataset.labels
        validation = validation_logits, validation_labels
        record = score_epoch(epoch, (logits, labels), validation, now() - start)
        history.append(record)
        if folder:
            keep_checkpoints(model, optimizer, history, description, folder)
        on_epoch(record, validation_logits)
    return history


def _choose_network(model: Classifier, config: Config) -> nn.Module:
    """Return the smallest network that the batches have to pass through."""
    if config.features_are_cached:
        return model.head
    frozen = not any(p.requires_grad for p in model.backbone.parameters())
    fixed = frozen and not model.batch_norm_learns
    return fold_classifier(model) if fixed and config.fold_batch_norm else model


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
) -> tuple[np.ndarray, np.ndarray]:
    """Learn from every batch once; return the logits and the labels in their order."""
    network.train()
    seen_logits, seen_labels = [], []
    for inputs, labels in loader:
        _, logits = update(network, optimizer, inputs, labels, class_weights)
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
) -> tuple[torch.Tensor, torch.Tensor]:
    """Go forward, backward, and take a step, as fit() does for each batch in Keras.

    Args:
        class_weights: factor of the loss for the images of each class, (classes,).
    """
    device = next(network.parameters()).device
    optimizer.zero_grad()
    parts = [inputs] if isinstance(inputs, torch.Tensor) else inputs
    logits = network(*(part.to(device, non_blocking=True) for part in parts))
    logits = logits.to(torch.get_default_dtype())
    labels = labels.to(device, non_blocking=True)
    # [D13] (logits, labels), softmax inside; Keras: (labels, predictions), told so.
    if class_weights is None:
        loss = nn.functional.cross_entropy(logits, labels)
    else:
        # [D37] "mean" would divide by the sum of the weights; Keras: by their number.
        weights = torch.from_numpy(class_weights).to(logits)
        total = nn.functional.cross_entropy(logits, labels, weights, reduction="sum")
        loss = total / len(labels)
    loss.backward()
    optimizer.step()
    return loss.detach(), logits.detach()
