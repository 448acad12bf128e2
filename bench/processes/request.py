"""What the runner asks of a worker process."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.config import Config


class Task(BaseModel):
    """One of several runs of a job, and what is left in it."""

    model_config = ConfigDict(extra="forbid")

    name: str
    switch: str | None = None  # a difference, e.g. "D01"
    reader: str | None = None  # a difference in how files become pixels
    changes: dict[str, Any] = {}  # of the configuration
    splits: tuple[str, ...] = ("train", "validation", "test")  # computed anew
    folded: bool = True  # compute features with batch norm folded
    features: Path | None = None  # to train a head on


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
    arrays: Path | None = None  # of the other side, .npz
    logits_only: bool = False  # convert without the proof by one more step
    models: Path | None = None  # where checkpoints and graphs stay
    switches: tuple[str, ...] = ()  # differences to leave in, e.g. "D01"
    tasks: tuple[Task, ...] = ()
    started_at: float = 0.0  # seconds since 1970
    exact_rungs: bool = False  # climb those too that are judged in float64
    differences: tuple[str, ...] = ()  # to probe; empty means all
