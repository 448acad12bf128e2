"""What the runner asks of a worker process."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from shared.config import Config

# Arm: the package that holds its side of the pair.
ARMS = {"pytorch": "pytorch_impl", "keras": "keras_impl"}


class Request(BaseModel):
    """What the runner asks of a worker."""

    model_config = ConfigDict(extra="forbid")

    job: str
    arm: str
    config: Config
    scratch: Path  # where the result and large arrays go
    data: Path | None = None  # entry of the decode cache
    folders: Path | None = None  # the same images as files, <split>/<class>/<name>
    weights: Path | None = None
    checkpoint: Path | None = None
    models: Path | None = None  # where checkpoints and graphs stay
