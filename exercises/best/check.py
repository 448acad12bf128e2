"""Play five epochs to the callback, and look at which of them it keeps."""

import tempfile
from pathlib import Path
from types import ModuleType

import keras
import numpy as np

from exercises.expectations import expect

NAMES = "accuracy", "loss", "val_accuracy", "val_loss"
EPOCHS = (  # each name is best in another epoch
    (0.5, 0.9, 0.4, 0.9),
    (0.6, 0.8, 0.8, 0.7),  # the highest validation accuracy
    (0.7, 0.7, 0.7, 0.4),  # the lowest validation loss
    (0.9, 0.2, 0.8, 0.8),  # the best of the training images
    (0.8, 0.3, 0.6, 0.6),
)
WHY = {
    1: "epoch 1, the lowest accuracy, is kept: look at the direction.",
    3: "epoch 3, the lowest validation loss, is kept: look at what is compared.",
    4: "epoch 4 is kept, where the training images do best: look at what is compared.",
    5: "the last epoch is kept: each epoch overwrites the one before.",
}


def check(answer: ModuleType) -> None:
    """Number the epochs by the only weight of a model, and load what was kept."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "best.keras")
        callback = answer.make_callback(path)
        callback.set_model(model)
        callback.on_train_begin()
        for epoch, values in enumerate(EPOCHS):
            model.set_weights([np.array([[epoch + 1.0]])])
            callback.on_epoch_begin(epoch)
            callback.on_epoch_end(epoch, dict(zip(NAMES, values, strict=True)))
        kept = int(keras.models.load_model(path).get_weights()[0].item())
    expect(kept == 2, f"epoch 2 is the best. But {WHY.get(kept)}")
