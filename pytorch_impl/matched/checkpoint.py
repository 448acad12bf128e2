"""Save and load a trained classifier as safetensors, which holds no code."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from pytorch_impl.matched.model import Classifier, build_model
from shared.errors import UserError
from shared.files import atomic_path
from shared.model.checkpoints import (
    OPTIMIZER_STATE,
    Description,
    read_description,
    require_classifier,
    write_description,
)
from shared.model.weights import Arrays

SUFFIX = ".safetensors"


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
    # [D33] A state dict of the model holds no optimizer.
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    for name, array in optimizer_state.items():
        tensors[OPTIMIZER_STATE + name] = torch.from_numpy(array)
    with atomic_path(path) as temporary:
        save_file(tensors, temporary)
    write_description(path, description, epoch)
    return path


def load_checkpoint(path: Path) -> tuple[Classifier, Description]:
    """Rebuild the classifier of a checkpoint.

    Raises:
        UserError: the checkpoint is missing, cut short, or of another model.
    """
    description = read_description(path)
    state = {
        name.removeprefix("backbone."): tensor.numpy()
        for name, tensor in _load(path).items()
    }
    shapes = {name: array.shape for name, array in state.items()}
    require_classifier(path, shapes, description)
    return build_model(state, description), description


def load_optimizer_state(path: Path) -> Arrays:
    """Return the optimizer's state in a checkpoint, for `optimizer.load_optimizer`.

    Returns:
        What was given to `save_checkpoint`; empty if the checkpoint holds none.

    Raises:
        UserError: the checkpoint is missing or cut short.
    """
    read_description(path)
    return {
        name.removeprefix(OPTIMIZER_STATE): tensor.numpy()
        for name, tensor in _load(path).items()
        if name.startswith(OPTIMIZER_STATE)
    }


def _load(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path}: not a whole safetensors file ({error}).") from error
