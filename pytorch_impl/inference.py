"""Run the network without training it: features and logits of a whole split."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from pytorch_impl.model import Classifier


def compute_features(model: Classifier, loader: DataLoader) -> np.ndarray:
    """The backbone's features of all images, (N, 1280) float32, in loader order."""
    return _run(model.backbone, loader)


def predict_logits(model: Classifier, loader: DataLoader) -> np.ndarray:
    """Logits of all images, (N, classes) float32, in loader order; no dropout."""
    return _run(model, loader)


def predict_head_logits(model: Classifier, loader: DataLoader) -> np.ndarray:
    """Logits of features that were computed before, (N, classes) float32."""
    return _run(model.head, loader)


def _run(network: nn.Module, loader: DataLoader) -> np.ndarray:
    network.eval()  # Keras: predict() always runs in inference mode
    device = next(network.parameters()).device
    with torch.inference_mode():
        outputs = [network(inputs.to(device)).cpu() for inputs, _ in loader]
    return torch.cat(outputs).numpy()
