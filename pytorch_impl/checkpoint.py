"""Save the best and the newest model during training, and load them again."""

from collections.abc import Callable
from pathlib import Path

import torch
from torchvision.models import mobilenet_v2

from pytorch_impl.model import Classifier
from shared.program import Epoch


def keep_checkpoints(folder: Path, history: list[Epoch]) -> Callable[..., None]:
    """Keep the model with the best validation accuracy, and the newest one.

    Args:
        folder: gets the two files, `best` and `last`.
        history: epochs that were trained before, whose best is to be beaten.

    Returns:
        A function to call after each epoch.
    """
    best_accuracy = max((epoch.validation_accuracy for epoch in history), default=-1)

    def keep(accuracy: float, model: Classifier, optimizer, scheduler, scaler) -> None:
        nonlocal best_accuracy
        state = {"settings": model.settings, "model": model.state_dict()}
        if accuracy > best_accuracy:
            best_accuracy = accuracy
            torch.save(state, folder / "best.pt")
        # To go on, Adam needs its moments, and the scheduler its step. [D33]
        state["optimizer"] = optimizer.state_dict()
        state["scheduler"] = scheduler.state_dict() if scheduler else None
        state["scaler"] = scaler.state_dict()
        torch.save(state, folder / "last.pt")

    return keep


def load_checkpoint(folder: Path, name: str) -> Classifier:
    """Build the classifier that a file of `keep_checkpoints` holds.

    Args:
        name: "best" or "last".
    """
    # [D41] weights_only: a file from a stranger cannot run code.
    state = torch.load(folder / f"{name}.pt", map_location="cpu", weights_only=True)
    # A state dict holds only tensors, so we build the model; .keras files describe it.
    model = Classifier(mobilenet_v2(), **state["settings"])
    model.load_state_dict(state["model"])
    model.backbone.requires_grad_(False)  # a state dict does not say what is frozen
    return model
