"""Save and load a trained classifier as .weights.h5, which holds no code."""

from pathlib import Path

import h5py
import numpy as np

from keras_impl.matched.model import Classifier, set_backbone_trainable
from keras_impl.weights import named_variables
from shared.errors import UserError
from shared.files import atomic_path
from shared.model.architecture import to_torch_layout
from shared.model.checkpoints import (
    OPTIMIZER_STATE,
    Description,
    Shapes,
    read_description,
    require_classifier,
    write_description,
)
from shared.model.weights import Arrays

SUFFIX = ".weights.h5"
# Where save_weights() puts the optimizer of a compiled classifier, or compiled head.
KERAS_OPTIMIZERS = ("optimizer", "layers/sequential/optimizer")


def save_checkpoint(
    model: Classifier,
    folder: Path,
    name: str,
    description: Description,
    epoch: int,
    optimizer_state: Arrays,
) -> Path:
    """Write the model's values, the optimizer's, and their description beside them.

    Args:
        optimizer_state: what `optimizer.read_optimizer` returns; empty to leave it out.

    Returns:
        The weights file, `<folder>/<name><SUFFIX>`.
    """
    path = folder / f"{name}{SUFFIX}"
    with atomic_path(path) as temporary:
        model.save_weights(temporary)
        with h5py.File(temporary, "a") as file:
            # [D33] Keras's own copy has numbers for names, and a place that depends
            # on what was compiled.
            for place in KERAS_OPTIMIZERS:
                file.pop(place, None)
            for name, array in optimizer_state.items():
                file[OPTIMIZER_STATE + name] = array
    write_description(path, description, epoch)
    return path


def load_checkpoint(path: Path) -> tuple[Classifier, Description]:
    """Rebuild the classifier of a checkpoint.

    Raises:
        UserError: the checkpoint is missing, cut short, or of another model.
    """
    description = read_description(path)
    model = Classifier(len(description.classes), description.config)
    with _open(path) as file:
        require_classifier(path, _stored_shapes(file, model), description)
    model.load_weights(path)
    set_backbone_trainable(model, False, description.config.batch_norm_drifts)
    return model, description


def _stored_shapes(file: h5py.File, model: Classifier) -> Shapes:
    """Return the shapes of the arrays in a file, in torchvision's names and layout.

    Keras numbers the arrays of a layer and keeps its name as an attribute.
    """
    stored: dict[str, h5py.Group] = {}

    def keep(_path: str, item: h5py.Group | h5py.Dataset) -> None:
        if "name" in item.attrs:
            stored[item.attrs["name"]] = item

    file.visititems(keep)
    places = {
        variable.path: (layer.name, str(number))
        for layer in (*model.backbone.layers, *model.head.layers)
        for number, variable in enumerate(layer.weights)
    }
    shapes: Shapes = {}
    for name, variable in named_variables(model).items():
        layer, number = places[variable.path]
        if number in stored.get(layer, ()):
            shape = stored[layer][number].shape
            shapes[name] = to_torch_layout(name, np.empty(shape)).shape
    return shapes


def load_optimizer_state(path: Path) -> Arrays:
    """Return the optimizer's state in a checkpoint, for `optimizer.load_optimizer`.

    Returns:
        What was given to `save_checkpoint`; empty if the checkpoint holds none.

    Raises:
        UserError: the checkpoint is missing or cut short.
    """
    read_description(path)
    arrays: Arrays = {}

    def keep(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = np.array(item)

    with _open(path) as file:
        if OPTIMIZER_STATE in file:
            file[OPTIMIZER_STATE].visititems(keep)
    return arrays


def _open(path: Path) -> h5py.File:
    try:
        return h5py.File(path)
    except OSError as error:
        raise UserError(f"{path}: not a whole HDF5 file ({error}).") from error
