"""What the runner asks of a worker process."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from shared.config import Config
from shared.errors import UserError

# Arm: the package that holds its side of the pair. The Keras arms run the same code.
ARMS = {
    "pytorch": "pytorch_impl",
    "keras": "keras_impl",
    "keras-jax": "keras_impl",
    "keras-torch": "keras_impl",
}
BACKENDS = {"keras": "tensorflow", "keras-jax": "jax", "keras-torch": "torch"}
# Outside TensorFlow keras.backend.result_type("float64", "float32") is float32, so that
# batch norm in a float64 model computes in float32. (keras-team/keras issue 23704)
FLOAT64_ARMS = ("pytorch", "keras")
PAIR = ("pytorch", "keras")
KERAS_OF_FURTHER_ARMS = (3, 14)  # before, only TensorFlow exports any batch size
SUFFIXES = {"pytorch": ".safetensors", "keras": ".weights.h5"}  # of its checkpoints


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


def side_of(arm: str) -> str:
    """The arm of the pair that has the same code: "pytorch" or "keras"."""
    return "keras" if arm in BACKENDS else "pytorch"


def arm_of(checkpoint: Path) -> str:
    """The arm that reads a checkpoint, by its suffix.

    Raises:
        UserError: it is of no arm.
    """
    for arm, suffix in SUFFIXES.items():
        if checkpoint.name.endswith(suffix):
            return arm
    allowed = " or ".join(f"*{suffix} ({arm})" for arm, suffix in SUFFIXES.items())
    raise UserError(f"{checkpoint}: not the name of a checkpoint. Give {allowed}.")
