"""Sentences of numbers: the tag of a word depends on it and on the word before."""

import numpy as np

from cases.data import draw_values

NUM_WORDS, NUM_TAGS, LENGTH = 12, 5, 10
EMBEDDING, UNITS, NUM_TRAIN = 8, 16, 200
EPOCHS, LEARNING_RATE = 20, 0.03


def make_data(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return sentences and tags to train with, and then those to validate with.

    Returns:
        Words (N, 10, 12), one-hot, and tags (N, 10) int64. Sentences have 3 to 10
        words; the places after them have word 0 and tag 0.
    """
    rng = np.random.default_rng([seed, 0])
    words = rng.integers(1, NUM_WORDS, (300, LENGTH))
    words[np.arange(LENGTH) >= rng.integers(3, LENGTH + 1, (300, 1))] = 0
    before = np.roll(words, 1, axis=1)
    before[:, 0] = 0
    tags = np.where(words > 0, 1 + (words + before) % (NUM_TAGS - 1), 0)
    words, split = np.eye(NUM_WORDS)[words], NUM_TRAIN
    return words[:split], tags[:split], words[split:], tags[split:]


def make_values(seed: int) -> list[np.ndarray]:
    """Return the embedding, the LSTM's two kernels and its bias, and the last layer.

    The rows of the kernels are those of the gates: input, forget, cell, output.
    """
    shapes = (
        *((EMBEDDING, NUM_WORDS), (4 * UNITS, EMBEDDING), (4 * UNITS, UNITS)),
        *((4 * UNITS,), (NUM_TAGS, UNITS), (NUM_TAGS,)),
    )
    return draw_values(seed, shapes)
