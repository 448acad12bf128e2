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
    weights: Path | None = None
    checkpoint: Path | None = None
    models: Path | None = None  # where checkpoints and graphs stay
    switches: tuple[str, ...] = ()  # differences to leave in, e.g. "D01"
    differences: tuple[str, ...] = ()  # to probe; empty means all
    photos: Path | None = None  # folder of the test split's image files
