"""Batch norm keeps its statistics in evaluation mode alone."""

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
    backbone.eval()  # [D01] after train(), which would undo it
    for images, labels in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
