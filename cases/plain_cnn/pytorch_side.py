"""A plain CNN: what of a usual program keeps its accuracy down."""

import numpy as np
import torch
from torch import nn

from cases.data import CLASSES, load_images
from cases.plain_cnn.data import (
    EPOCHS,
    LEARNING_RATE,
    NUM_FEATURES,
    NUM_HIDDEN,
    make_values,
)
from cases.pytorch_common import fit, load_values, make_adam, predict, to_images


def build_model(seed: int, differences: frozenset[str]) -> nn.Module:
    """Return the network, with the framework's own first values if left in."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),  # (N, C, H, W) to (N, C * H * W)
        *(nn.Linear(NUM_FEATURES, NUM_HIDDEN), nn.ReLU()),
        nn.Linear(NUM_HIDDEN, len(CLASSES)),
    )
    if "first values" not in differences:
        load_values(model, make_values(seed))
    if "softmax in the model" in differences:
        model.append(nn.Softmax(dim=1))  # cross_entropy applies another one [D13]
    return model


def measure(seed: int, differences: frozenset[str]) -> tuple[float, np.ndarray]:
    """Return the accuracy on the test images, in percent, and all outputs."""
    train_images, train_labels, images, labels = load_images(seed)
    model = build_model(seed, differences)
    optimizer = make_adam(model, LEARNING_RATE, differences)
    if "order by default" in differences:
        # A DataLoader keeps the order of the files, in which the classes are sorted.
        order = np.argsort(train_labels, kind="stable")
        train_images, train_labels = train_images[order], train_labels[order]
    inputs, targets = to_images(train_images / 255), torch.from_numpy(train_labels)
    fit(model, optimizer, nn.CrossEntropyLoss(), inputs, targets, EPOCHS)
    outputs = predict(model, to_images(images / 255))
    return 100 * float(np.mean(outputs.argmax(axis=1) == labels)), outputs
