"""The first epoch with the highest validation accuracy is kept."""

from pathlib import Path

from keras.callbacks import Callback, ModelCheckpoint


def make_callback(path: Path) -> Callback:
    """Return a callback that keeps the best model as `path`, a .keras file."""
    return ModelCheckpoint(  # [D15]
        path, monitor="val_accuracy", mode="max", save_best_only=True
    )
