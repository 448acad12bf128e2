"""The requests of the runner to a worker process, one class for each kind of job."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.config import Config


class Request(BaseModel):
    """Base class of all requests.

    Attributes:
        job: name of the job, which selects the request's class and the function.
        scratch: folder for the result and large arrays.
        switches: differences to leave in, such as "D01".
        started_at: start of the job in seconds since 1970.
    """

    model_config = ConfigDict(extra="forbid")

    job: str
    arm: str
    config: Config
    scratch: Path
    switches: tuple[str, ...] = ()
    started_at: float = 0.0


class Inputs(BaseModel):
    """Inputs of a run.

    Attributes:
        data: folder of the decoded images in the decode cache.
        folders: the same images as files, <split>/<class>/<name>.
        shortened: whether to take a small part of each split.
    """

    model_config = ConfigDict(extra="forbid")

    data: Path
    weights: Path
    folders: Path | None = None
    shortened: bool = False


class InputsRequest(Request):
    """Base class of requests for jobs that work on the inputs of a run."""

    inputs: Inputs


class Load(Request):
    """Request to show that the framework loads."""

    job: Literal["load"] = "load"


class DescribeGpu(Request):
    """Request to try the GPU that the process sees."""

    job: Literal["describe_gpu"] = "describe_gpu"


class ReadPth(Request):
    """Request to read a weights file that only PyTorch can read."""

    job: Literal["read_pth"] = "read_pth"
    weights: Path


class Probe(InputsRequest):
    """Request to show that the arm finds its device, its images and its switches."""

    job: Literal["probe"] = "probe"


class Train(InputsRequest):
    """Request to train and evaluate.

    Attributes:
        models: folder for checkpoints and exported graphs.
    """

    job: Literal["train"] = "train"
    models: Path


class TrainExactly(InputsRequest):
    """Request to train the head on stored features.

    Attributes:
        features: folder with the features that an arm has stored.
    """

    job: Literal["train_exactly"] = "train_exactly"
    features: Path


class ExportTrained(Request):
    """Request to export the best classifier that this arm has trained."""

    job: Literal["export_trained"] = "export_trained"
    models: Path


class ExportCheckpoint(Request):
    """Request to export a checkpoint of either side."""

    job: Literal["export_checkpoint"] = "export_checkpoint"
    checkpoint: Path


class HandOver(Request):
    """Request to store the arrays of a checkpoint and its results on some images.

    Attributes:
        data: folder in the decode cache whose test images are predicted.
        logits_only: leave out the features and the comparison after one more step.
    """

    job: Literal["hand_over"] = "hand_over"
    data: Path
    checkpoint: Path
    logits_only: bool = False


class TakeOver(Request):
    """Request to write a checkpoint from the arrays that the other side has stored.

    Attributes:
        checkpoint: the checkpoint of the other side.
        arrays: the arrays of that checkpoint as an .npz file.
        data, logits_only: see `HandOver`.
    """

    job: Literal["take_over"] = "take_over"
    data: Path
    checkpoint: Path
    arrays: Path
    logits_only: bool = False


class Time(InputsRequest):
    """Request to time the phases of an arm."""

    job: Literal["time_cold", "time_briefly", "time_steady"]


class TimeEpoch(InputsRequest):
    """Request to time training epochs."""

    job: Literal["time_epoch"] = "time_epoch"


class ClimbLadder(InputsRequest):
    """Request to compute the arrays that the parity ladder compares.

    Attributes:
        exact_rungs: also compute the rungs that are judged in float64.
    """

    job: Literal["climb_ladder"] = "climb_ladder"
    exact_rungs: bool


class ProbeDifferences(InputsRequest):
    """Request to run the probes of the ledger.

    Attributes:
        differences: numbers of the differences to probe; empty means all.
    """

    job: Literal["probe_differences", "probe_alone"] = "probe_differences"
    differences: tuple[str, ...] = ()


class Task(BaseModel):
    """One task of a job, with the difference that is left in.

    Attributes:
        switch: a difference to switch on, such as "D01".
        reader: a difference in how files become pixels, such as "D18".
        changes: changes of the configuration.
        splits: splits whose features are computed again.
        folded: compute features with batch norm folded.
        features: file with the features to train a head on.
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
    """Request to compute features or train heads, for each of several tasks."""

    job: Literal["compute_features", "train_heads"]
    tasks: tuple[Task, ...]


class Cell(BaseModel):
    """One training of an experiment.

    Attributes:
        name: unique in the run.
        changes: changes of the configuration.
        share: share of the training images of each class.
        arm: the one arm that trains it, if it is not for all of them.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    changes: dict[str, Any] = {}
    share: float = 1.0
    arm: str | None = None
    seed: int


class TrainCells(InputsRequest):
    """Request to train the cells of experiments, one after the other.

    Attributes:
        features: file with the features of all splits, if a cell takes them.
    """

    job: Literal["train_cells"] = "train_cells"
    cells: tuple[Cell, ...]
    features: Path | None


class AugmentImage(InputsRequest):
    """Request to show what augmentation does to one training image.

    Attributes:
        image: its place in the training split.
        variants: changes of the configuration, by the name of the variant.
        copies: folder with copies of the image as files, for the plain program. It has
            one class, and as many copies as images are drawn.
    """

    job: Literal["augment_image"] = "augment_image"
    image: int
    variants: dict[str, dict[str, Any]]
    copies: Path


class GuessImagenet(InputsRequest):
    """Request for the ImageNet classes that the pretrained network sees in photos."""

    job: Literal["guess_imagenet"] = "guess_imagenet"
    photos: tuple[Path, ...]


class FollowImage(Request):
    """Request for what each step of the plain program makes of a photo."""

    job: Literal["follow_image"] = "follow_image"
    photo: Path
    weights: Path
    num_classes: int


class ExamineCheckpoint(InputsRequest):
    """Request for the logits of all images, and for Grad-CAM maps of some of them.

    Attributes:
        images: places of test images whose maps are computed.
        classes: the class of each of these maps.
    """

    job: Literal["examine_checkpoint"] = "examine_checkpoint"
    checkpoint: Path
    images: tuple[int, ...]
    classes: tuple[int, ...]


AnyRequest = Annotated[
    Load
    | DescribeGpu
    | ReadPth
    | Probe
    | Train
    | TrainExactly
    | ExportTrained
    | ExportCheckpoint
    | HandOver
    | TakeOver
    | Time
    | TimeEpoch
    | ClimbLadder
    | ProbeDifferences
    | DoTasks
    | TrainCells
    | AugmentImage
    | GuessImagenet
    | FollowImage
    | ExamineCheckpoint,
    Field(discriminator="job"),
]
