"""A small regression: what of a usual program makes its error larger."""

import keras
import numpy as np
from keras import layers

from cases.broadcast_loss.data import (
    EPOCHS,
    LEARNING_RATE,
    NUM_HIDDEN,
    NUM_INPUTS,
    make_data,
    make_values,
)
from cases.keras_common import fit, load_values, make_adam, predict


def build_model(seed: int, differences: frozenset[str]) -> keras.Model:
    """Return the network, with the framework's own first values if left in."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((NUM_INPUTS,)),
            layers.Dense(NUM_HIDDEN, activation="relu"),
            layers.Dense(1),
        ]
    )
    if "first values" not in differences:
        load_values(model, make_values(seed))
    return model


def measure(seed: int, differences: frozenset[str]) -> tuple[float, np.ndarray]:
    """Return the mean squared error on the validation data, and all outputs."""
    train_x, train_y, x, y = make_data(seed)
    model = build_model(seed, differences)
    optimizer = make_adam(model, LEARNING_RATE, differences)
    if "targets (N,)" in differences:
        # [D43] Keras gives targets the missing axis, so that nothing changes.
        train_y = train_y[:, 0]
    fit(model, optimizer, keras.losses.MeanSquaredError(), train_x, train_y, EPOCHS)
    outputs = predict(model, x)
    return float(np.mean((outputs - y) ** 2)), outputs
