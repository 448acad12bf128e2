"""Train and validate: a loop over epochs and batches, every step spelt out."""

import sys
import time
from pathlib import Path

import torch
from rich.progress import track
from torch import nn
from torch.optim import Adam
from torch.optim.lr_scheduler import CosineAnnealingLR
from torch.utils.data import DataLoader

from pytorch_impl.checkpoint import keep_checkpoints
from pytorch_impl.distributed import (
    is_first,
    sum_over_processes,
    wait_for_first,
    wrap_model,
)
from shared.program import Epoch, report_epoch, start_history


def train(
    model: nn.Module,
    train_loader: DataLoader,
    validation_loader: DataLoader,
    folder: Path,
    epochs: int = 10,
    learning_rate: float = 0.001,
    cosine: bool = False,
    resume: bool = False,
) -> None:
    """Train with Adam on the cross entropy, and validate after every epoch.

    The model with the best validation accuracy is kept in `folder` as `best`, and the
    newest one as `last`. A resumed training draws other random numbers, so its result
    differs a little from that of a training without a break.

    Args:
        model: a classifier, which learns where its layers are not frozen.
        train_loader, validation_loader: batches of images and labels.
        folder: gets the checkpoints and `history.csv`.
        epochs: the total number, with those that were trained before.
        learning_rate: Adam's learning rate in the first step.
        cosine: let the learning rate fall to zero along a cosine.
        resume: go on after the epoch that is saved in `last`.
    """
    history = start_history(folder, resume)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = Adam(parameters, lr=learning_rate)
    # [D29] The scheduler is an object beside the optimizer. In Keras the optimizer is
    # given a schedule in place of the number.
    scheduler = (
        CosineAnnealingLR(optimizer, epochs * len(train_loader)) if cosine else None
    )
    if resume:
        _resume(folder, model, optimizer, scheduler)
    keep = keep_checkpoints(folder, history)
    shared_model = wrap_model(model)  # the model itself, unless torchrun has started us
    for number in range(len(history) + 1, epochs + 1):
        start = time.perf_counter()
        train_loss, train_accuracy = _train_epoch(
            shared_model, train_loader, optimizer, scheduler
        )
        loss, accuracy = evaluate(model, validation_loader)
        seconds = time.perf_counter() - start
        epoch = Epoch(number, train_loss, train_accuracy, loss, accuracy, seconds)
        if is_first():
            keep(accuracy, model, optimizer, scheduler)
            report_epoch(epoch, epochs, folder)
    wait_for_first()


def _resume(
    folder: Path, model: nn.Module, optimizer: Adam, scheduler: CosineAnnealingLR | None
) -> None:
    """Restore all three as the last epoch left them.

    In Keras, load_checkpoint() restores all three from one file.
    """
    device = next(model.parameters()).device
    state = torch.load(folder / "last.pt", map_location=device, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if scheduler:
        scheduler.load_state_dict(state["scheduler"])


def _train_epoch(
    model: nn.Module,
    loader: DataLoader,
    optimizer: Adam,
    scheduler: CosineAnnealingLR | None,
) -> tuple[float, float]:
    """Learn from every batch once; return the mean loss and the accuracy."""
    model.train()  # turns dropout on
    device = next(model.parameters()).device
    loss_sum, num_correct = 0.0, 0
    for images, labels in _show_progress(loader):
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()  # [D40] else backward() adds to the last gradients
        logits = model(images)  # (N, classes)
        # [D13] cross_entropy takes logits, the network's output before softmax. Keras's
        # loss takes them if it is told so.
        loss = nn.functional.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        if scheduler:
            scheduler.step()  # [D29]
        loss_sum += loss.item() * len(labels)  # [D10] so that each image counts alike
        num_correct += (logits.argmax(dim=1) == labels).sum().item()
    return _mean_over_images(loss_sum, num_correct, loader)


@torch.inference_mode()  # no gradients
def evaluate(model: nn.Module, loader: DataLoader) -> tuple[float, float]:
    """Return the mean loss and the accuracy over all images; nothing is learned."""
    model.eval()  # turns dropout off
    device = next(model.parameters()).device
    loss_sum, num_correct = 0.0, 0
    for images, labels in loader:
        images, labels = images.to(device), labels.to(device)
        logits = model(images)
        loss_sum += nn.functional.cross_entropy(logits, labels, reduction="sum").item()
        num_correct += (logits.argmax(dim=1) == labels).sum().item()
    return _mean_over_images(loss_sum, num_correct, loader)


def _mean_over_images(
    loss_sum: float, num_correct: int, loader: DataLoader
) -> tuple[float, float]:
    sums = sum_over_processes(loss_sum, num_correct, len(loader.sampler))
    return sums[0] / sums[2], sums[1] / sums[2]


def _show_progress(loader: DataLoader):
    """Return the loader, with a progress bar if the output is a terminal."""
    return track(loader, "Training", transient=True, disable=not sys.stdout.isatty())
