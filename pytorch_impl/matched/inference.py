"""Run the network without training it: features and logits of a whole split."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from pytorch_impl.precision import autocast
from shared.features import store_features
from shared.progress import OnBatch, ignore


def compute_features(
    backbone: nn.Module,
    loader: DataLoader,
    on_batch: OnBatch = ignore,
    store: Path | None = None,
) -> np.ndarray:
    """Return the backbone's features of all images, (N, 1280), in loader order.

    Args:
        backbone: the classifier's, or what `fold_batch_norm` made of it.
        store: a file to keep them in instead of memory.
    """
    return store_features(
        _batches(backbone, loader, on_batch), len(loader.dataset), store
    )


def predict_logits(
    network: nn.Module, loader: DataLoader, on_batch: OnBatch = ignore
) -> np.ndarray:
    """Return the logits of all samples, (N, classes), in loader order.

    Args:
        network: the classifier, what `fold_classifier` made of it, or its head where
            the loader brings features.
    """
    return np.concatenate(list(_batches(network, loader, on_batch)))


def predict_batch(network: nn.Module, inputs: np.ndarray) -> np.ndarray:
    """Return the outputs of one batch, in inference mode and the framework's layout."""
    network.eval()  # Keras: predict() always runs in inference mode
    device = next(network.parameters()).device
    with torch.inference_mode(), autocast(device.type):
        outputs = network(torch.from_numpy(inputs).to(device, non_blocking=True))
        return outputs.to("cpu", torch.get_default_dtype()).numpy()


def _batches(
    network: nn.Module, loader: DataLoader, on_batch: OnBatch
) -> Iterator[np.ndarray]:
    for number, (inputs, _) in enumerate(loader, 1):
        yield predict_batch(network, inputs.numpy())
        on_batch(number, len(loader))
