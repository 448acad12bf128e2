"""What stands beside every checkpoint: enough to rebuild the model, and a seal.

`best.json` describes `best.safetensors` or `best.weights.h5`. It is written last and
holds the SHA-256 of the weights, so a pair that a killed run left half-done is seen.
"""

import shutil
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.config import Config
from shared.errors import UserError
from shared.files import atomic_path, sha256_of, write_atomically
from shared.model.architecture import backbone_shapes, head_sizes

OPTIMIZER_STATE = "optimizer_state/"  # in front of its arrays' names, on both sides
# What each optimizer keeps of every array, by PyTorch's names: Adam's m and v, and the
# running sum of SGD with momentum. Keras has other names for them.
MOMENTS = {"adam": ("exp_avg", "exp_avg_sq"), "sgd": ("momentum_buffer",)}

Shapes = dict[str, tuple[int, ...]]


class Description(BaseModel):
    """Configuration, classes and scaling of a trained classifier."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: Config
    classes: tuple[str, ...]
    mean: tuple[float, float, float]  # per channel, of images scaled to [0, 1]
    std: tuple[float, float, float]

    @property
    def shapes(self) -> Shapes:
        """Name and shape of every array of the classifier in torchvision's layout."""
        shapes: Shapes = backbone_shapes()
        sizes = head_sizes(self.config.inner_size, len(self.classes))
        for name, (inputs, outputs) in sizes.items():
            shapes[f"head.{name}.weight"] = outputs, inputs
            shapes[f"head.{name}.bias"] = (outputs,)
        return shapes


class Record(Description):
    """The .json file: the description, and what it belongs to."""

    weights: str  # name of the file
    sha256: str
    epoch: int

    @property
    def description(self) -> Description:
        """Return the description without the seal."""
        return Description(**self.model_dump(include=set(Description.model_fields)))


def write_description(weights: Path, description: Description, epoch: int) -> None:
    """Seal the finished file `weights` with `<name>.json` beside it."""
    if description.config.is_rounded:  # the values are float32 all the same
        config = description.config.model_copy(update={"precision": "float32"})
        description = description.model_copy(update={"config": config})
    seal = {"weights": weights.name, "sha256": sha256_of(weights), "epoch": epoch}
    record = Record(**dict(description), **seal)
    write_atomically(record_file(weights), record.model_dump_json(indent=1) + "\n")


def copy_checkpoint(weights: Path, name: str) -> None:
    """Keep a finished checkpoint under another name too, in the same folder."""
    copy = weights.with_name(name + weights.name.removeprefix(_stem(weights)))
    with atomic_path(copy) as temporary:
        shutil.copyfile(weights, temporary)
    record = read_record(weights)
    write_description(copy, record.description, record.epoch)


def read_record(weights: Path) -> Record:
    """Read the .json file of a checkpoint, whether or not its weights are whole.

    Raises:
        UserError: it is no checkpoint's.
    """
    path = record_file(weights)
    try:
        return Record.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise UserError(f"{path}: not a checkpoint description ({error}).") from error


def read_description(weights: Path) -> Description:
    """Read the description of a checkpoint and check that it is whole.

    Raises:
        UserError: a file is missing, or the two do not belong together.
    """
    for path in (weights, record_file(weights)):
        if not path.is_file():
            raise UserError(
                f"{path}: no such file. A checkpoint is a weights file and a .json "
                "file of the same name beside it; `python -m bench train` writes both."
            )
    record = read_record(weights)
    if sha256_of(weights) != record.sha256:
        raise UserError(
            f"{weights}: its SHA-256 is not the one in {record_file(weights).name}; "
            "the checkpoint was cut short or mixed with another. Train again."
        )
    return record.description


def record_file(weights: Path) -> Path:
    """Return the .json file that belongs to a weights file."""
    return weights.with_name(_stem(weights) + ".json")


def _stem(weights: Path) -> str:
    """Return the name without its ending; "clothes-v1.2" has a dot in it."""
    endings = (".weights.h5", weights.suffix)
    return weights.name.removesuffix(
        next(e for e in endings if weights.name.endswith(e))
    )


def require_shapes(what: object, found: Shapes, expected: Shapes, hint: str) -> None:
    """Compare the arrays found in a file with those of the model it is to fill.

    Args:
        what: the file or option to name, `hint`: how to go on.

    Raises:
        UserError: an array is missing or has another shape; the first is named.
    """
    for name, shape in expected.items():
        if name not in found:
            example = f", for example '{min(found)}'" if found else ""
            raise UserError(
                f"{what}: array '{name}' is missing. Number of arrays found: "
                f"{len(found)}{example}. {hint}"
            )
        if found[name] != shape:
            raise UserError(
                f"{what}: array '{name}' has shape {found[name]}, expected is {shape}. "
                f"{hint}"
            )


def require_optimizer(found: Shapes, trained: Shapes, moments: tuple[str, ...]) -> None:
    """Require a step and the moments of everything that an optimizer trains.

    Args:
        moments: the optimizer's entry of `MOMENTS`.

    Raises:
        UserError: the state is of another optimizer or model; the first array that
            shows it is named.
    """
    state = {f"{m}/{name}": shape for name, shape in trained.items() for m in moments}
    require_shapes(
        "optimizer state",
        found,
        {"step": ()} | state,
        "It belongs to a checkpoint of this classifier, with the same layers frozen.",
    )


def require_classifier(path: Path, found: Shapes, description: Description) -> None:
    """Require the shapes of the classifier that a checkpoint's .json file describes.

    Raises:
        UserError: the weights are of another classifier; the first array that shows
            it is named.
    """
    require_shapes(
        path,
        found,
        description.shapes,
        f"{record_file(path).name} describes {len(description.classes)} classes and "
        f"inner_size {description.config.inner_size}: the weights are of another "
        "model. Put the two files of one checkpoint together.",
    )
