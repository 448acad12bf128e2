"""Keep the best checkpoint, as this loop of PyTorch does.

    if validation_accuracy > best_accuracy:
        best_accuracy = validation_accuracy
        torch.save(model.state_dict(), path)

The callback is given to fit(). Mend `make_callback`.
"""

from pathlib import Path

from keras.callbacks import Callback, ModelCheckpoint


def make_callback(path: Path) -> Callback:
    """Return a callback that keeps the best model as `path`, a .keras file."""
    return ModelCheckpoint(path)
