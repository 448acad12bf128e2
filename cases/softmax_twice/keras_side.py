"""A tagger: what a softmax in the model does to its training."""

import keras
import numpy as np
from keras import layers

from cases.keras_common import fit, load_values, make_adam, predict
from cases.softmax_twice.data import (
    EMBEDDING,
    EPOCHS,
    LEARNING_RATE,
    LENGTH,
    NUM_TAGS,
    NUM_WORDS,
    UNITS,
    make_data,
    make_values,
)


def build_model(seed: int, differences: frozenset[str]) -> keras.Model:
    """Return an embedding, an LSTM and a dense layer for each word."""
    # Over the tags: Keras's softmax takes the last axis.
    has_softmax = any(name.startswith("softmax") for name in differences)
    model = keras.Sequential(
        [
            keras.Input((LENGTH, NUM_WORDS)),
            layers.Dense(EMBEDDING, use_bias=False),
            layers.LSTM(UNITS, return_sequences=True),
            layers.Dense(NUM_TAGS, activation="softmax" if has_softmax else None),
        ]
    )
    load_values(model, make_values(seed))
    return model


def train(
    model: keras.Model, words: np.ndarray, tags: np.ndarray, differences: frozenset
) -> None:
    """Train on the mean cross entropy of all places."""
    optimizer = make_adam(model, LEARNING_RATE, differences)
    if "own RMSprop" in differences:
        optimizer = keras.optimizers.RMSprop(LEARNING_RATE)  # rho 0.9
    # [D13] Without softmax, the loss has to be told so.
    from_logits = model.layers[-1].activation is keras.activations.linear
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    fit(model, optimizer, loss, words, tags, EPOCHS)


def measure(seed: int, differences: frozenset[str]) -> tuple[float, np.ndarray]:
    """Return how many validation tags are right, in percent, and all outputs."""
    train_words, train_tags, words, tags = make_data(seed)
    model = build_model(seed, differences)
    train(model, train_words, train_tags, differences)
    outputs = predict(model, words)
    return 100 * float(np.mean(outputs.argmax(axis=2) == tags)), outputs
