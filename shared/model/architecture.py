"""MobileNetV2's layers by name: where each array lives in torchvision and in Keras.

Arrays travel between the two sides in torchvision's names and layout. Sandler et al.,
"MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018, table 2.
"""

from dataclasses import dataclass

import numpy as np

NUM_FEATURES = 1280
NUM_BLOCKS = 19  # features.0 to features.18 in torchvision
STEM_CHANNELS = 32
# Expansion, output channels, repeats, stride of the first repeat.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
KERAS_EPSILON, TORCH_EPSILON = 1e-3, 1e-5  # [D02] keras.applications, torchvision
BATCH_NORM_ARRAYS = {  # torch: Keras
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}


@dataclass(frozen=True)
class ConvBatchNorm:
    """One bias-free convolution and the batch norm that follows it."""

    torch_conv: str
    torch_norm: str
    keras_conv: str
    keras_norm: str
    shape: tuple[int, int, int, int]  # torch: (out, in / groups, height, width)
    stride: int = 1
    relu6: bool = True
    block: int = 0  # torchvision's index in `features`

    @property
    def depthwise(self) -> bool:
        """One input channel for each output channel."""
        return self.shape[1] == 1 and self.shape[2] == 3


def conv_layers() -> list[ConvBatchNorm]:
    """Return the 52 convolutions of the backbone, in the order of the forward pass."""
    layers = [
        ConvBatchNorm(
            *("features.0.0", "features.0.1", "Conv1", "bn_Conv1"),
            shape=(STEM_CHANNELS, 3, 3, 3),
            stride=2,
        )
    ]
    channels, block = STEM_CHANNELS, 0
    for expansion, out_channels, repeats, first_stride in STAGES:
        for repeat in range(repeats):
            block += 1
            stride = first_stride if repeat == 0 else 1
            layers += _inverted_residual(
                block, channels, out_channels, expansion, stride
            )
            channels = out_channels
    last = ("features.18.0", "features.18.1", "Conv_1", "Conv_1_bn")
    shape = (NUM_FEATURES, channels, 1, 1)
    return [*layers, ConvBatchNorm(*last, shape=shape, block=18)]


def _inverted_residual(
    block: int, channels: int, out_channels: int, expansion: int, stride: int
) -> list[ConvBatchNorm]:
    """Expand (1x1), depthwise (3x3), project (1x1, no ReLU)."""
    hidden = channels * expansion
    parts: dict[str, dict] = {
        "expand": {"shape": (hidden, channels, 1, 1)},
        "depthwise": {"shape": (hidden, 1, 3, 3), "stride": stride},
        "project": {"shape": (out_channels, hidden, 1, 1), "relu6": False},
    }
    if expansion == 1:
        del parts["expand"]
    torch_name = f"features.{block}.conv"
    keras_name = f"block_{block - 1}" if expansion > 1 else "expanded_conv"
    layers = []
    for place, (part, options) in enumerate(parts.items()):
        conv, norm = f"{place}.0", f"{place}.1"
        if part == "project":  # in torchvision it lies one level higher
            conv, norm = f"{place}", f"{place + 1}"
        layers.append(
            ConvBatchNorm(
                f"{torch_name}.{conv}",
                f"{torch_name}.{norm}",
                f"{keras_name}_{part}",
                f"{keras_name}_{part}_BN",
                block=block,
                **options,
            )
        )
    return layers


def backbone_shapes() -> dict[str, tuple[int, ...]]:
    """Return name and shape of every backbone array in torchvision's layout."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in conv_layers():
        shapes[f"{layer.torch_conv}.weight"] = layer.shape
        for array in BATCH_NORM_ARRAYS:
            shapes[f"{layer.torch_norm}.{array}"] = layer.shape[:1]
    return shapes


def head_sizes(inner_size: int, num_classes: int) -> dict[str, tuple[int, int]]:
    """Return inputs and outputs of the head's layers; `inner` is left out at size 0."""
    if not inner_size:
        return {"output": (NUM_FEATURES, num_classes)}
    return {"inner": (NUM_FEATURES, inner_size), "output": (inner_size, num_classes)}


DEPTHWISE = {f"{layer.torch_conv}.weight" for layer in conv_layers() if layer.depthwise}


def to_keras_layout(name: str, array: np.ndarray) -> np.ndarray:
    """Turn the array called `name` in torchvision from torch's layout into Keras's.

    [D05] Convolution (out, in, H, W) to (H, W, in, out); depthwise (channels, 1, H, W)
    to (H, W, channels, 1); dense (out, in) to (in, out).
    """
    if array.ndim < 4:
        return array.T
    return array.transpose((2, 3, 0, 1) if name in DEPTHWISE else (2, 3, 1, 0))


def to_torch_layout(name: str, array: np.ndarray) -> np.ndarray:
    """Turn an array from Keras's layout into torch's."""
    if array.ndim < 4:
        return array.T
    return array.transpose((2, 3, 0, 1) if name in DEPTHWISE else (3, 2, 0, 1))
