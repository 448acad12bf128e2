"""What the runner asks of a worker process: one model for each job."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.config import Config


class Request(BaseModel):
    """What every job is told.

    Attributes:
        job: its name, which chooses the class of the request and the function.
        scratch: folder for the result and large arrays.
        switches: differences to leave in, such as "D01".
        started_at: seconds since 1970.
    """

    model_config = ConfigDict(extra="forbid")

    job: str
    arm: str
    config: Config
    scratch: Path
    switches: tuple[str, ...] = ()
    started_at: float = 0.0


class Inputs(BaseModel):
    """What a run works on.

    Attributes:
        data: entry of the decode cache.
        folders: the same images as files, <split>/<class>/<name>.
    """

    model_config = ConfigDict(extra="forbid")

    data: Path
    weights: Path
    folders: Path | None = None


class InputsRequest(Request):
    """A job that works on the inputs of a run."""

    inputs: Inputs


class Load(Request):
    """Prove that the framework loads."""

    job: Literal["load"] = "load"


class ReadPth(Request):
    """Read a weights file that only PyTorch can read."""

    job: Literal["read_pth"] = "read_pth"
    weights: Path


class Probe(InputsRequest):
    """Prove that the arm finds its device, its images and its switches."""

    job: Literal["probe"] = "probe"


class Train(InputsRequest):
    """Train and evaluate.

    Attributes:
        models: folder in which checkpoints and graphs stay.
    """

    job: Literal["train"] = "train"
    models: Path


class ExportTrained(Request):
    """Export the best classifier that this arm has trained."""

    job: Literal["export_trained"] = "export_trained"
    models: Path


class ExportCheckpoint(Request):
    """Export a checkpoint of either side."""

    job: Literal["export_checkpoint"] = "export_checkpoint"
    checkpoint: Path


class HandOver(Request):
    """Store all that a checkpoint holds and does.

    Attributes:
        data: entry of the decode cache, whose test images are predicted.
        logits_only: leave out the proof by one more step.
    """

    job: Literal["hand_over"] = "hand_over"
    data: Path
    checkpoint: Path
    logits_only: bool = False


class TakeOver(Request):
    """Write what the other side has handed over as a checkpoint.

    Attributes:
        checkpoint: the other side's.
        arrays: what it holds, as an .npz file.
        data, logits_only: as for `HandOver`.
    """

    job: Literal["take_over"] = "take_over"
    data: Path
    checkpoint: Path
    arrays: Path
    logits_only: bool = False


class Time(InputsRequest):
    """Time the phases of an arm."""

    job: Literal["time_cold", "time_briefly", "time_steady"]


class TimeEpoch(InputsRequest):
    """Time training epochs."""

    job: Literal["time_epoch"] = "time_epoch"


class ClimbLadder(InputsRequest):
    """Compute what the rungs of the parity ladder compare.

    Attributes:
        exact_rungs: those too that are judged in float64.
    """

    job: Literal["climb_ladder"] = "climb_ladder"
    exact_rungs: bool


class ProbeDifferences(InputsRequest):
    """Run the probes of the ledger.

    Attributes:
        differences: which of them; empty means all.
    """

    job: Literal["probe_differences", "probe_alone"] = "probe_differences"
    differences: tuple[str, ...] = ()


class Task(BaseModel):
    """One of several runs of a job, and what is left in it.

    Attributes:
        switch: a difference, such as "D01".
        reader: a difference in how files become pixels.
        changes: of the configuration.
        splits: those whose features are computed anew.
        folded: compute features with batch norm folded.
        features: what to train a head on.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    switch: str | None = None
    reader: str | None = None
    changes: dict[str, Any] = {}
    splits: tuple[str, ...] = ("train", "validation", "test")
    folded: bool = True
    features: Path | None = None


class DoTasks(InputsRequest):
    """Compute features for each task, or train heads."""

    job: Literal["compute_features", "train_heads"]
    tasks: tuple[Task, ...]


AnyRequest = Annotated[
    Load
    | ReadPth
    | Probe
    | Train
    | ExportTrained
    | ExportCheckpoint
    | HandOver
    | TakeOver
    | Time
    | TimeEpoch
    | ClimbLadder
    | ProbeDifferences
    | DoTasks,
    Field(discriminator="job"),
]
