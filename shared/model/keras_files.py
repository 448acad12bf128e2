"""Read the backbone from Keras's files without Keras, in each of their layouts."""

import io
import zipfile
from pathlib import Path
from typing import BinaryIO

import h5py
import numpy as np

from shared.model.architecture import (
    BATCH_NORM_ARRAYS,
    KERAS_EPSILON,
    TORCH_EPSILON,
    conv_layers,
    to_torch_layout,
)

Arrays = dict[str, np.ndarray]
WEIGHTS_IN_KERAS_FILE = "model.weights.h5"


def open_keras_file(path: Path) -> BinaryIO:
    """Open the weights inside a .keras file; nothing else of it is read.

    Raises:
        OSError: it is no such file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return io.BytesIO(archive.read(WEIGHTS_IN_KERAS_FILE))
    except (zipfile.BadZipFile, KeyError) as error:
        raise OSError(f"no {WEIGHTS_IN_KERAS_FILE} in it: {error}") from error


def read_backbone(file: Path | BinaryIO) -> Arrays:
    """Read what `save_weights` or `save` wrote, published .h5 files among them.

    Returns:
        the backbone's arrays in torchvision's names and layout, those that are there.

    Raises:
        OSError: it is not a whole HDF5 file.
    """
    named = _read_variables(file)
    state = {}
    for name, (layer, variable) in _places().items():
        # Newer versions of Keras call the kernel of a depthwise convolution "kernel".
        for place in ((layer, variable), (layer, "kernel")):
            if place in named and name not in state:
                state[name] = to_torch_layout(name, named[place])
    for name in state:
        if name.endswith("running_var"):
            # [D02] The same function under torchvision's epsilon.
            state[name] = state[name] + (KERAS_EPSILON - TORCH_EPSILON)
    return state


def _read_variables(file: Path | BinaryIO) -> dict[tuple[str, str], np.ndarray]:
    """Return all arrays by the names of their layer and their variable."""
    found = {}

    def keep(name: str, item: h5py.Dataset | h5py.Group) -> None:
        parts = name.split("/")
        if not isinstance(item, h5py.Dataset) or len(parts) < 2:
            return
        layer, variable = parts[-2:]
        if layer == "vars":  # "layers/conv2d/vars/0" in .weights.h5 and .keras files
            layer = str(item.parent.attrs.get("name", ""))
            variable = _variable(layer, int(variable))
        # "Conv1/Conv1/kernel:0" in .h5 files
        found[layer, variable.removesuffix(":0")] = item[()]

    with h5py.File(file) as opened:
        # `save` puts the layers below this, and the optimizer's state beside it.
        opened.get("model_weights", opened).visititems(keep)
    return found


def _variable(layer: str, number: int) -> str:
    is_norm = any(layer == one.keras_norm for one in conv_layers())
    names = tuple(BATCH_NORM_ARRAYS.values()) if is_norm else ("kernel", "bias")
    return names[number] if number < len(names) else str(number)


def _places() -> dict[str, tuple[str, str]]:
    """Return layer and variable in Keras, by torchvision's names."""
    places = {
        "classifier.1.weight": ("predictions", "kernel"),
        "classifier.1.bias": ("predictions", "bias"),
    }
    for layer in conv_layers():
        kernel = "depthwise_kernel" if layer.depthwise else "kernel"
        places[f"{layer.torch_conv}.weight"] = layer.keras_conv, kernel
        for torch_name, keras_name in BATCH_NORM_ARRAYS.items():
            places[f"{layer.torch_norm}.{torch_name}"] = layer.keras_norm, keras_name
    return places
