"""MobileNetV2 with a new head: a frozen backbone, and dense layers with dropout."""

import copy
from collections import OrderedDict

import torch
from torch import nn
from torch.fx.experimental import optimization
from torchvision.models import mobilenet_v2

from pytorch_impl.matched.device import find_device
from pytorch_impl.precision import Float32Linear
from pytorch_impl.weights import load_arrays
from shared.config import Config
from shared.model.architecture import NUM_FEATURES
from shared.model.checkpoints import Description
from shared.model.weights import Arrays


class _Head(nn.Module):
    """Features (N, 1280) to logits (N, classes).

    `kept` (N, units) has the factors of a dropout plan for the output layer's inputs.
    These are the hidden units, or the features if there is no hidden layer. Without
    `kept`, `nn.Dropout` draws its own in training mode. [D17]
    """

    def __init__(self, num_classes: int, config: Config) -> None:
        super().__init__()
        if config.inner_size:
            self.inner = nn.Linear(NUM_FEATURES, config.inner_size)
        self.dropout = nn.Dropout(config.dropout)
        # Logits in float32, also where the rest computes in 16 bits. Keras: dtype.
        linear = Float32Linear if config.is_mixed else nn.Linear
        self.output = linear(config.inner_size or NUM_FEATURES, num_classes)

    def forward(
        self, features: torch.Tensor, kept: torch.Tensor | None = None
    ) -> torch.Tensor:
        hidden = features
        if hasattr(self, "inner"):
            hidden = nn.functional.relu(self.inner(features))
        # [D17] Keras: the same product, in a network with a second input.
        hidden = self.dropout(hidden) if kept is None else hidden * kept
        return self.output(hidden)


class Classifier(nn.Module):
    """Backbone: images to features (N, 1280); head: features to logits (N, classes).

    Images are (N, 3, H, W), normalised. [D04]
    """

    def __init__(self, num_classes: int, config: Config) -> None:
        super().__init__()
        self.batch_norm_learns = False
        self.first_block = 0
        self.config = config
        network = mobilenet_v2(weights=None)
        self.backbone = nn.Sequential(
            OrderedDict(
                features=network.features,
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
            )
        )
        self.head = _Head(num_classes, config)

    def forward(
        self, images: torch.Tensor, kept: torch.Tensor | None = None
    ) -> torch.Tensor:
        return self.head(self.backbone(images), kept)

    def train(self, mode: bool = True) -> "Classifier":
        """[D01] Batch norm stays in eval mode, except in blocks where it is to learn.

        requires_grad=False alone would not stop it from using and updating batch
        statistics; in Keras trainable=False does.
        """
        super().train(mode)
        self.backbone.train(False)
        if self.batch_norm_learns:
            self.backbone.features[self.first_block :].train(mode)
        return self


def build_model(arrays: Arrays, description: Description) -> Classifier:
    """Build the classifier with the given values; its backbone is frozen.

    Its batch norm drifts all the same where the configuration says so. [D01]

    Args:
        arrays: backbone and head in torchvision's names and layout.
    """
    config = description.config
    model = Classifier(len(description.classes), config)
    for layer in model.backbone.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eps = config.batch_norm_epsilon  # [D02]
            layer.momentum = config.batch_norm_momentum  # [D02]
    # [D03] torchvision pads stride-2 convolutions on both sides; Keras is made to.
    load_arrays(model, arrays)
    set_backbone_trainable(model, False, config.batch_norm_drifts)
    for network in (model, model.head):
        _compile(network, config)
    return _lay_out(model, config).to(find_device(config))


def set_backbone_trainable(
    model: Classifier,
    trainable: bool,
    batch_norm_learns: bool = False,
    first_block: int = 0,
) -> None:
    """Freeze or unfreeze the backbone for the updates to come.

    Args:
        batch_norm_learns: normalise by each batch and move the running statistics,
            in a frozen backbone too; else batch norm stays in inference mode. [D01]
        first_block: blocks below this one stay frozen, and their batch norm too;
            torchvision's index in `features`.
    """
    for number, block in enumerate(model.backbone.features):
        block.requires_grad_(trainable and number >= first_block)
    model.batch_norm_learns = batch_norm_learns
    model.first_block = first_block


def fold_batch_norm(model: Classifier) -> nn.Module:
    """Return the frozen backbone with batch norm folded into its convolutions.

    With fixed statistics batch norm is a factor and a sum for each channel, which the
    convolution before it can do as well: equal features to rounding, in less time.
    """
    backbone = copy.deepcopy(model.backbone).train(False)
    folded = optimization.fuse(backbone, inplace=True)
    _compile(folded, model.config)
    return _lay_out(folded, model.config)


def fold_classifier(model: Classifier) -> nn.Module:
    """Return the classifier's own head on its frozen backbone with batch norm folded.

    Training it trains the classifier's head; images pass in less time.
    """
    network = _Folded(fold_batch_norm(model), model.head)
    _compile(network, model.config)
    return network


class _Folded(nn.Module):
    """As `Classifier`, on a backbone of another form."""

    def __init__(self, backbone: nn.Module, head: _Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    forward = Classifier.forward


def _compile(network: nn.Module, config: Config) -> None:
    """[D16] Where the configuration says so. Keras: network.jit_compile."""
    if config.compile:
        # CUDA graphs: a GPU waits longer for small kernels to be sent than it computes.
        graphs = find_device(config) == "cuda"
        network.compile(mode="reduce-overhead" if graphs else None)


def _lay_out(network: nn.Module, config: Config) -> nn.Module:
    """[D30] Kernels for NHWC memory are the faster ones; shapes stay (N, C, H, W)."""
    if not config.channels_last:
        return network
    return network.to(memory_format=torch.channels_last)
