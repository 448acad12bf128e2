"""Grad-CAM: which places of an image speak for a class (Selvaraju et al., 2017)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn


def compute_cam(
    model: nn.Module, images: np.ndarray, classes: Sequence[int]
) -> np.ndarray:
    """Return a map for each image of what speaks for its class, (N, h, w) float32.

    The map is ReLU(sum over k of w_k A_k). A_k are the channels of the last
    convolution, after ReLU6. w_k is the mean gradient of the class's logit over the
    places of channel k (equations 1 and 2 of the paper).

    Args:
        model: the classifier of either division.
        images: normalised, in this framework's layout.
        classes: the index of a class for each image, (N,).
    """
    model.eval()
    backbone, device = model.backbone, next(model.parameters()).device
    with torch.no_grad():
        channels = backbone.features(torch.from_numpy(images).to(device))  # (N,C,h,w)
    # From here on, autograd records the operations. Keras: GradientTape.watch().
    channels.requires_grad_()
    logits = model.head(backbone.flatten(backbone.pool(channels)))  # (N, classes)
    chosen = logits[torch.arange(len(images)), torch.tensor(classes)]
    # No image depends on another one, so the gradient of the sum holds all of them.
    (gradients,) = torch.autograd.grad(chosen.sum(), channels)
    weights = gradients.mean(dim=(2, 3), keepdim=True)
    maps = (weights * channels).sum(dim=1).relu()
    return maps.detach().float().cpu().numpy()
