"""Find why this frozen backbone drifts.

In Keras, `backbone.trainable = False` was enough. Here, the backbone's parameters stand
still, and yet the head gets other features in training than in evaluation, and the
backbone is another one after each epoch. Mend `train_epoch`.
"""

from torch import nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader


def train_epoch(
    backbone: nn.Module, head: nn.Module, loader: DataLoader, optimizer: Optimizer
) -> None:
    """Train the head, which has dropout, on the features of a frozen backbone."""
    model = nn.Sequential(backbone, head)
    backbone.requires_grad_(False)
    model.train()
    for images, labels in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
