"""Save and load a trained classifier as .weights.h5: no pickle, whole or absent."""

from pathlib import Path

from keras_impl.model import Classifier, set_backbone_trainable
from shared.checkpoints import Description, read_description, write_description
from shared.files import atomic_path

SUFFIX = ".weights.h5"


def save_checkpoint(
    model: Classifier, folder: Path, name: str, description: Description, epoch: int
) -> Path:
    """Write the model's values and, beside them, its description.

    Returns:
        The weights file, `<folder>/<name><SUFFIX>`.
    """
    path = folder / f"{name}{SUFFIX}"
    with atomic_path(path) as temporary:
        model.save_weights(temporary)
    write_description(path, description, epoch)
    return path


def load_checkpoint(path: Path) -> tuple[Classifier, Description]:
    """Rebuild the classifier of a checkpoint.

    Raises:
        UserError: the checkpoint is missing, cut short, or of another model.
    """
    description = read_description(path)
    model = Classifier(len(description.classes), description.config)
    model.load_weights(path)
    set_backbone_trainable(model, False)
    return model, description
