"""What the Keras sides share; `pytorch_common` has the same functions."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import layers

from cases.data import BATCH_SIZE, CLASSES, SHAPES, SIZE_PX, draw_values

keras.config.set_floatx("float64")  # so that rounding stays small


def load_values(model: keras.Model, values: Sequence[np.ndarray]) -> None:
    """Copy values into the trainable parameters of a model, in their order.

    [D05] Outputs and inputs are the last two axes here, and the first two in PyTorch.
    """
    for variable, value in zip(model.trainable_weights, values, strict=True):
        turned = value if value.ndim == 1 else np.moveaxis(value, (0, 1), (-1, -2))
        variable.assign(turned)


def to_images(pixels: np.ndarray) -> np.ndarray:
    """Return pixels (N, H, W, C) in the framework's order of axes. [D04]"""
    return pixels


def make_adam(
    model: keras.Model,  # noqa: ARG001
    learning_rate: float,
    differences: frozenset[str],
) -> keras.optimizers.Optimizer:
    """Return Adam as PyTorch computes it, or Keras's own if that is left in."""
    if "Keras's Adam" in differences:
        return keras.optimizers.Adam(learning_rate)
    # Imported here, since it needs TensorFlow, and one case runs on another backend.
    from keras_impl.matched.optimizer import _Adam

    return _Adam(learning_rate=learning_rate, epsilon=1e-8, name="adam")  # [D08]


def fit(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss: Callable,
    inputs: np.ndarray,
    targets: np.ndarray,
    epochs: int,
) -> None:
    """Train in batches of 20, in the order of the samples."""
    model.compile(optimizer, loss)
    # [D34] fit() waits at the end of each epoch, so all epochs are one here.
    rows = np.tile(np.arange(len(targets)), epochs)
    inputs, targets = inputs[rows], targets[rows]
    model.fit(inputs, targets, batch_size=BATCH_SIZE, shuffle=False, verbose=0)


def predict(model: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """Return the outputs of a model in evaluation mode."""
    return model.predict(inputs, verbose=0)


def build_classifier(seed: int) -> keras.Model:
    """Return a small CNN for the drawn photos, with equal first values."""
    model = keras.Sequential(
        [
            keras.Input((SIZE_PX, SIZE_PX, 3)),
            *(layers.Conv2D(8, 3, activation="relu"), layers.MaxPooling2D()),
            *(layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D()),
            layers.Permute((3, 1, 2)),  # [D04] so that PyTorch's kernel fits
            layers.Flatten(),
            layers.Dense(len(CLASSES)),
        ]
    )
    load_values(model, draw_values(seed, SHAPES))
    return model


def train_classifier(
    seed: int, images: np.ndarray, labels: np.ndarray, epochs: int
) -> keras.Model:
    """Build the small CNN and train it on scaled images (N, H, W, C)."""
    model = build_classifier(seed)
    optimizer = make_adam(model, 0.005, frozenset())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    fit(model, optimizer, loss, to_images(images), labels, epochs)
    return model
