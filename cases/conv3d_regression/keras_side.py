"""Regression on volumes: batch norm and dropout of both frameworks."""

import keras
import numpy as np
from keras import layers

from cases.conv3d_regression.data import (
    CHANNELS,
    DROPOUT,
    EPOCHS,
    LEARNING_RATE,
    SIZE,
    make_data,
    make_values,
    plan_dropout,
)
from cases.data import BATCH_SIZE
from cases.keras_common import load_values, make_adam, predict


def build_model(seed: int, differences: frozenset[str]) -> keras.Model:
    """Return a convolution with batch norm and dropout, and a dense layer."""
    keras.utils.set_random_seed(seed)
    volumes = keras.Input((*(SIZE,) * 3, 1))
    factors = keras.Input((*(SIZE // 2,) * 3, CHANNELS))
    convolution = layers.Conv3D(CHANNELS, 2, strides=2, activation="relu")
    # [D02] The default is 0.99: it takes ten times as many steps to get used to data.
    momentum = 0.99 if "batch norm's momentum" in differences else 0.9
    norm = layers.BatchNormalization(momentum=momentum, epsilon=1e-3)
    dropout = layers.Dropout(DROPOUT)  # of single values
    left_in = "dropout layer" in differences
    channels = norm(convolution(volumes))
    channels = layers.Multiply()([dropout(channels) if left_in else channels, factors])
    channels = layers.Permute((4, 1, 2, 3))(channels)  # so that PyTorch's kernel fits
    model = keras.Model([volumes, factors], layers.Dense(1)(layers.Flatten()(channels)))
    load_values(model, make_values(seed))
    return model


def train(
    model: keras.Model,
    volumes: np.ndarray,
    widths: np.ndarray,
    seed: int,
    differences: frozenset[str],
) -> None:
    """Train on the mean absolute error."""
    optimizer = make_adam(model, LEARNING_RATE, differences)
    model.compile(optimizer, keras.losses.MeanAbsoluteError())
    # [D34] fit() waits at the end of each epoch, so all epochs are one here.
    factors = [plan_dropout(seed, epoch, differences) for epoch in range(EPOCHS)]
    inputs = [np.concatenate([volumes] * EPOCHS), np.concatenate(factors)]
    widths = np.concatenate([widths] * EPOCHS)
    model.fit(inputs, widths, batch_size=BATCH_SIZE, shuffle=False, verbose=0)


def measure(seed: int, differences: frozenset[str]) -> tuple[float, np.ndarray]:
    """Return the mean absolute error on the validation data, and all outputs."""
    train_x, train_y, x, y = make_data(seed)
    model = build_model(seed, differences)
    train(model, train_x, train_y, seed, differences)
    outputs = predict(model, [x, np.ones((len(x), *(SIZE // 2,) * 3, CHANNELS))])
    return float(np.abs(outputs - y).mean()), outputs
