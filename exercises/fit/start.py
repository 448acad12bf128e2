"""Write this training loop with compile() and fit().

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(epochs):
        for images, targets in zip(features.split(4), labels.split(4)):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images), targets)
            loss.backward()
            optimizer.step()

The model gives logits. Mend `train`, which raises no error.
"""

import keras
import numpy as np


def train(
    model: keras.Model, features: np.ndarray, labels: np.ndarray, epochs: int
) -> None:
    """Train as the loop does. Features are (N, inputs), labels (N,)."""
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    model.fit(features, labels, epochs=epochs, verbose=0)
