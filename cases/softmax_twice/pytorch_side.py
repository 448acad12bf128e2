"""A tagger: what a softmax in the model does to its training."""

import numpy as np
import torch
from torch import nn

from cases.data import BATCH_SIZE
from cases.pytorch_common import make_adam
from cases.softmax_twice.data import (
    EMBEDDING,
    EPOCHS,
    LEARNING_RATE,
    NUM_TAGS,
    NUM_WORDS,
    UNITS,
    make_data,
    make_values,
)


class Tagger(nn.Module):
    """An embedding, an LSTM and a dense layer for each word."""

    def __init__(self, seed: int, differences: frozenset[str]) -> None:
        super().__init__()
        self.differences = differences
        self.embedding = nn.Linear(NUM_WORDS, EMBEDDING, bias=False)  # of one-hot words
        self.lstm = nn.LSTM(EMBEDDING, UNITS, batch_first=True)
        self.output = nn.Linear(UNITS, NUM_TAGS)
        embedding, *kernels, bias, output, output_bias = make_values(seed)
        values = embedding, *kernels, bias, 0 * bias, output, output_bias
        with torch.no_grad():
            for parameter, value in zip(self.parameters(), values, strict=True):
                parameter.copy_(torch.from_numpy(value))
        if "second bias" not in differences:
            # [D46] Keras's LSTM has one bias. Two of them learn at twice the speed.
            self.lstm.bias_hh_l0.requires_grad_(False)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        logits = self.output(self.lstm(self.embedding(words))[0])  # (N, words, tags)
        if "softmax over the words" in self.differences:
            return logits.softmax(dim=1)
        if "softmax over the tags" in self.differences:
            return logits.softmax(dim=2)  # cross_entropy applies another one [D13]
        return logits


def train(
    model: nn.Module, words: torch.Tensor, tags: torch.Tensor, differences: frozenset
) -> None:
    """Train on the mean cross entropy of all places."""
    optimizer = make_adam(model, LEARNING_RATE, differences)
    if "own RMSprop" in differences:
        optimizer = torch.optim.RMSprop(model.parameters(), LEARNING_RATE)  # alpha 0.99
    for _ in range(EPOCHS):
        for rows in torch.arange(len(words)).split(BATCH_SIZE):
            optimizer.zero_grad()
            outputs = model(words[rows]).transpose(1, 2)  # the classes are axis 1
            nn.functional.cross_entropy(outputs, tags[rows]).backward()
            optimizer.step()


def measure(seed: int, differences: frozenset[str]) -> tuple[float, np.ndarray]:
    """Return how many validation tags are right, in percent, and all outputs."""
    train_words, train_tags, words, tags = make_data(seed)
    model = Tagger(seed, differences)
    data = torch.from_numpy(train_words), torch.from_numpy(train_tags)
    train(model, *data, differences)
    with torch.inference_mode():
        outputs = model(torch.from_numpy(words)).numpy()
    return 100 * float(np.mean(outputs.argmax(axis=2) == tags)), outputs
