"""Carry weights from one framework to the other, in torchvision's layout. [D05]"""

import keras
import numpy as np

from shared.model.architecture import (
    BATCH_NORM_ARRAYS,
    conv_layers,
    to_keras_layout,
    to_torch_layout,
)
from shared.model.weights import Arrays


def load_arrays(network: keras.Model, arrays: Arrays) -> None:
    """Copy every array into the network, from torchvision's names and layout.

    Args:
        network: MobileNetV2 as the framework has it, or a classifier made of it.
    """
    for name, variable in named_variables(network).items():
        variable.assign(to_keras_layout(name, arrays[name]))


def read_arrays(network: keras.Model) -> Arrays:
    """Return a copy of every array, in torchvision's names and layout."""
    return {
        name: np.array(to_torch_layout(name, np.array(variable)), order="C")
        for name, variable in named_variables(network).items()
    }


def named_variables(network: keras.Model) -> dict[str, keras.Variable]:
    """Return every variable of the network by its name in torchvision."""
    parts = {layer.name: layer for layer in network.layers}
    backbone = parts.get("backbone", network)
    found: dict[str, keras.Variable] = {}
    for layer in conv_layers():
        kernel = backbone.get_layer(layer.keras_conv).kernel
        found[f"{layer.torch_conv}.weight"] = kernel
        norm = backbone.get_layer(layer.keras_norm)
        for torch_name, keras_name in BATCH_NORM_ARRAYS.items():
            found[f"{layer.torch_norm}.{torch_name}"] = getattr(norm, keras_name)
    dense_layers = {}
    if "head" in parts:
        for layer in parts["head"].layers:
            if isinstance(layer, keras.layers.Dense):
                dense_layers[f"head.{layer.name}"] = layer
    elif "predictions" in parts:  # ImageNet's 1000 classes
        dense_layers["classifier.1"] = parts["predictions"]
    for name, dense in dense_layers.items():
        found[f"{name}.weight"], found[f"{name}.bias"] = dense.kernel, dense.bias
    return found
