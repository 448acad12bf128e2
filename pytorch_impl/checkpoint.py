"""Save and load a trained classifier as safetensors: no pickle, whole or absent."""

from pathlib import Path

from safetensors.torch import load_file, save_model

from pytorch_impl.model import Classifier, build_idiomatic_model, build_model
from shared.checkpoints import Description, read_description, write_description
from shared.files import atomic_path

SUFFIX = ".safetensors"


def save_checkpoint(
    model: Classifier, folder: Path, name: str, description: Description, epoch: int
) -> Path:
    """Write the model's values and, beside them, its description.

    Returns:
        The weights file, `<folder>/<name><SUFFIX>`.
    """
    path = folder / f"{name}{SUFFIX}"
    with atomic_path(path) as temporary:
        save_model(model, str(temporary))
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
        for name, tensor in load_file(path).items()
    }
    idiomatic = description.config.division == "idiomatic"
    build = build_idiomatic_model if idiomatic else build_model
    return build(state, description), description
