"""Save the best and the last epoch while training goes on, and load them again."""

from collections.abc import Callable
from pathlib import Path

import torch
from torchvision.models import mobilenet_v2

from pytorch_impl.model import Classifier
from shared.program import Epoch


def keep_checkpoints(folder: Path, history: list[Epoch]) -> Callable[..., None]:
    """Keep the epoch with the highest validation accuracy, and the newest one.

    Args:
        folder: gets the two files, `best` and `last`.
        history: epochs that were trained before, whose best is to be beaten.

    Returns:
        A function to call after each epoch.
    """
    best_accuracy = max((epoch.validation_accuracy for epoch in history), default=-1)

    def keep(accuracy: float, model: Classifier, optimizer, schedule) -> None:
        nonlocal best_accuracy
        state = {"settings": model.settings, "model": model.state_dict()}
        if accuracy > best_accuracy:
            best_accuracy = accuracy
            torch.save(state, folder / "best.pt")
        # To go on, Adam needs its moments, and the schedule its place.
        state["optimizer"] = optimizer.state_dict()
        state["schedule"] = schedule and schedule.state_dict()
        torch.save(state, folder / "last.pt")

    return keep


def load_checkpoint(folder: Path, name: str) -> Classifier:
    """Build the classifier that a file of `keep_checkpoints` holds.

    Args:
        name: "best" or "last".
    """
    # weights_only: a file from elsewhere cannot run code.
    state = torch.load(folder / f"{name}.pt", map_location="cpu", weights_only=True)
    # A state dict has arrays alone, so we build the model; Keras's file does that.
    model = Classifier(mobilenet_v2(), **state["settings"])
    model.load_state_dict(state["model"])
    model.backbone.requires_grad_(False)
    return model
