"""What stands beside every checkpoint: enough to rebuild the model, and a seal.

`best.json` describes `best.safetensors` or `best.weights.h5`. It is written last and
holds the SHA-256 of the weights, so a pair that a killed run left half-done is seen.
"""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.config import Config
from shared.errors import UserError
from shared.files import sha256_of, write_atomically


class Description(BaseModel):
    """Configuration, classes and scaling of a trained classifier."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: Config
    classes: tuple[str, ...]
    mean: tuple[float, float, float]  # per channel, of images scaled to [0, 1]
    std: tuple[float, float, float]


def write_description(weights: Path, description: Description, epoch: int) -> None:
    """Seal the finished file `weights` with `<name>.json` beside it."""
    record = {
        "weights": weights.name,
        "sha256": sha256_of(weights),
        "epoch": epoch,
        **description.model_dump(mode="json"),
    }
    write_atomically(_beside(weights), json.dumps(record, indent=1) + "\n")


def read_description(weights: Path) -> Description:
    """Read the description of a checkpoint and check that it is whole.

    Raises:
        UserError: a file is missing, or the two do not belong together.
    """
    beside = _beside(weights)
    for path in (weights, beside):
        if not path.is_file():
            raise UserError(
                f"{path}: no such file. A checkpoint is a weights file and a .json "
                "file of the same name beside it; `python -m bench train` writes both."
            )
    try:
        record = json.loads(beside.read_text())
        seal = record.pop("sha256")
        del record["weights"], record["epoch"]
        description = Description(**record)
    except (json.JSONDecodeError, KeyError, TypeError, ValidationError) as error:
        raise UserError(f"{beside}: not a checkpoint description ({error}).") from error
    if sha256_of(weights) != seal:
        raise UserError(
            f"{weights}: its SHA-256 is not the one in {beside.name}; the checkpoint "
            "was cut short or mixed with another. Train again."
        )
    return description


def read_epoch(weights: Path) -> int:
    """The epoch that a finished checkpoint was taken after, counted from 1."""
    return json.loads(_beside(weights).read_text())["epoch"]


def _beside(weights: Path) -> Path:
    return weights.with_name(weights.name.split(".")[0] + ".json")
