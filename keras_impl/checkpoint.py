"""Save the best and the newest model during training, and load them again."""

from pathlib import Path

import keras
from keras.callbacks import Callback, ModelCheckpoint

from shared.program import Epoch


def keep_checkpoints(folder: Path, history: list[Epoch]) -> list[Callback]:
    """Keep the model with the best validation accuracy, and the newest one.

    Args:
        folder: gets the two files, `best` and `last`.
        history: epochs that were trained before, whose best is to be beaten.

    Returns:
        Callbacks for fit(); they save the optimizer with its schedule as well. [D33]
    """
    best = ModelCheckpoint(
        folder / "best.keras",
        monitor="val_accuracy",  # [D15] by default Keras compares the validation loss
        mode="max",
        save_best_only=True,
        initial_value_threshold=max(
            (epoch.validation_accuracy for epoch in history), default=None
        ),
    )
    return [best, ModelCheckpoint(folder / "last.keras")]


def load_checkpoint(folder: Path, name: str) -> keras.Model:
    """Build the classifier that a file of `keep_checkpoints` holds.

    Args:
        name: "best" or "last".
    """
    # A .keras file also describes the model; PyTorch's state dict holds only tensors.
    # [D41] It refuses files that hold Python functions.
    return keras.models.load_model(folder / f"{name}.keras")
