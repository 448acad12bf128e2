"""The result record: `results.json`, the only source of every report."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from shared.errors import UserError
from shared.files import write_atomically
from shared.metrics import EpochRecord, Record, ScoreRecord

SCHEMA_VERSION: Literal[2] = 2

Interval = tuple[float, float]


class RunRecord(Record):
    id: str
    command: str
    started_at: str  # ISO 8601, UTC
    seconds: float
    seed: int


class EnvironmentRecord(Record):
    python: str
    platform: str
    cpu: str
    cpu_count: int
    memory_bytes: int
    gpu: str | None
    packages: dict[str, str]
    threads: dict[str, int | None]  # {"pytorch": 2, "keras": 2}
    variables: dict[str, str] = {}  # environment variables set for every arm
    commit: str | None


class SkippedImage(Record):
    file: str
    reason: str


class DataRecord(Record):
    name: str
    source: Literal["path", "download", "synthetic"]
    fingerprint: str
    classes: list[str]
    counts: dict[str, int]  # train, validation, test
    skipped: list[SkippedImage] = []
    notice: str | None = None  # e.g. why the embedded data set took the place


class WeightsRecord(Record):
    source: str
    fingerprint: str
    mean: list[float]  # per channel, of images scaled to [0, 1]
    std: list[float]
    licence: str = "unknown"
    notice: str | None = None


class Answer(Record):
    """What one arm says about a test image."""

    predicted: str
    probability: float  # of the predicted class, by the arm's logits of this image


class Photo(Record):
    """A test image that the report shows, with the answer of every arm."""

    file: str
    label: str
    thumbnail_jpeg: str  # base64
    answers: dict[str, Answer]  # by arm

    @property
    def is_disputed(self) -> bool:
        """Whether two arms predict different classes."""
        return len({answer.predicted for answer in self.answers.values()}) > 1


class TimingRecord(Record):
    median_ms: float
    iqr_ms: float
    samples_ms: list[float]
    rounds: list[int] = []  # whose process measured each sample
    images_per_second: float | None = None  # at the median; absent for start-up phases

    @property
    def stability(self) -> Literal["steady", "noisy", "unstable"]:
        """By the share of the interquartile range in the median: 10 %, 25 %."""
        spread = self.iqr_ms / self.median_ms if self.median_ms else 0.0
        if spread > 0.25:
            return "unstable"
        return "noisy" if spread > 0.1 else "steady"


class MemoryRecord(Record):
    peak_rss_mib: float  # with the pages of mapped files, which the kernel may take
    peak_private_mib: float | None = None  # without them; Linux alone tells
    peak_device_mib: float | None = None


class PassMemory(Record):
    """Memory after a quarter of one pass over images, and at its end."""

    images: int  # between the two readings
    private_mib: tuple[float, float] | None  # without mapped files; Linux alone tells
    device_mib: tuple[float, float] | None  # the peak so far, on an accelerator

    @property
    def growth_mib(self) -> dict[str, float]:
        """What 1,000 images add to each kind of memory that was read."""
        kinds = {"private": self.private_mib, "device": self.device_mib}
        return {
            kind: 1000 * (readings[1] - readings[0]) / self.images
            for kind, readings in kinds.items()
            if readings
        }


class OnnxCross(Record):
    """PyTorch's trained classifier exported by both sides, graph against graph."""

    images: int
    max_scaled_diff: float  # max |a - b| / max |reference|
    top1_agreement: float
    logit_spread: float  # standard deviation of the reference logits


class OnnxParity(OnnxCross):
    """onnxruntime against the framework's own logits, all test images."""

    batch_sizes: list[int]
    max_abs_diff: float


class OnnxRecord(Record):
    path: str  # relative to the output folder
    bytes: int
    opset: int
    parity: OnnxParity


def whole_training_s(stages: dict[str, float]) -> float:
    """Seconds from the start of the process to the best checkpoint, images decoded."""
    names = ("start", "import", "build", "features", "epochs")
    return sum(stages.get(name, 0.0) for name in names)


class ArmRecord(Record):
    status: Annotated[str, Field(pattern=r"^(ok|not run: .+)$")]
    device: str | None = None  # "cpu", or the name of the GPU
    history: list[EpochRecord] = []
    best_epoch: int | None = None
    checkpoint: str | None = None  # relative to the output folder
    validation: ScoreRecord | None = None
    test: ScoreRecord | None = None
    timing: dict[str, TimingRecord] = {}
    stages: dict[str, float] = {}  # seconds of each part of the training process
    memory: MemoryRecord | None = None
    one_pass: PassMemory | None = None  # over the training images, for features
    onnx: OnnxRecord | None = None


class TimingComparison(Record):
    ratio: float  # first arm / second arm, geometric mean of the rounds
    interval: Interval  # Student's paired t on the logarithms
    confidence: float = 0.95  # of the interval; more where several are judged together
    p: float | None = None  # of the same test, with Holm's correction
    verdict: str  # "no difference shown" where the interval contains 1


class MachineState(Record):
    """What else the machine did, as far as it tells."""

    load_average: float  # processes that ran or waited, mean of one minute
    cpu_mhz: float | None
    cpu_celsius: float | None
    gpu_mhz: float | None = None
    gpu_celsius: float | None = None


class ControlRecord(Record):
    """Each arm timed against itself: every ratio should be 1."""

    started_at: str  # ISO 8601, UTC
    rounds: int
    machine: dict[str, Any]  # what has to be the same where its result is quoted
    arms: dict[str, dict[str, TimingComparison]]  # by arm and phase
    times: dict[str, dict[str, TimingRecord]] = {}  # by arm, also "again", and phase


class OperationRecord(Record):
    """All operations of one kind in a pass of one batch."""

    count: int
    milliseconds: float


class TimingRunRecord(Record):
    """How the times of all arms were taken."""

    rounds: int
    order: list[list[str]]  # of the arms, shuffled in every round
    samples_in_a_turn: int | None = None  # None: one arm after the other was timed
    cut_short: dict[str, list[str]] = {}  # phases that took all their time, by arm
    before: MachineState
    after: MachineState
    overhead_ms: dict[str, float] = {}  # what timing adds to a call, by arm
    memory: dict[str, MemoryRecord] = {}  # the most of an arm's processes
    ratios: dict[str, dict[str, TimingComparison]] = {}  # the first arm's over others'
    operations: dict[str, dict[str, OperationRecord]] = {}  # of the last round, by arm
    control: ControlRecord | None = None  # the last one of this machine


class ScalingPoint(Record):
    """One arm trained on one number of images."""

    arm: str
    images: int  # of all three splits
    decoding_s: float  # into an empty decode cache
    stages: dict[str, float]  # seconds of each part of the training process
    memory: MemoryRecord
    one_pass: PassMemory | None = None
    test_accuracy: float

    @property
    def training_s(self) -> float:
        """What depends on the number of images: features and epochs."""
        return self.stages.get("features", 0.0) + self.stages["epochs"]


class ScalingRecord(Record):
    """What more images cost."""

    points: list[ScalingPoint] = []

    @property
    def by_arm(self) -> dict[str, list[ScalingPoint]]:
        """The points of each arm, from few images to many."""
        arms = dict.fromkeys(point.arm for point in self.points)
        return {arm: [p for p in self.points if p.arm == arm] for arm in arms}


class VersionRecord(Record):
    """One version of the program of one arm, each with one speed-up more."""

    name: str
    what: str
    changes: dict[str, Any]  # of the configuration
    reads_cache: bool  # decoded images; else it decodes files in every epoch
    stages: dict[str, float]  # seconds of a whole training
    memory: MemoryRecord
    test_accuracy: float
    difference: float  # of test accuracy, from the version before
    difference_interval: Interval  # exact, of the images that one alone gets right
    difference_confidence: float = 0.95  # of the interval
    mcnemar_p: float | None = (
        None  # with Holm's correction over the versions of the arm
    )
    epoch: TimingRecord | None = None  # of a share of the images; features amortised
    augmented: TimingRecord | None = None  # the same with augmentation
    gain: TimingComparison | None = None  # times of the version before over this one's

    @property
    def seconds(self) -> float:
        """Of the whole training."""
        return whole_training_s(self.stages)


class SpeedupsRecord(Record):
    """What each speed-up buys, from the usual program to the fastest."""

    epochs: int
    seed: int
    decoding_s: float = 0.0  # into an empty decode cache
    arms: dict[str, list[VersionRecord]] = {}
    order: dict[str, list[list[str]]] = {}  # of the versions in each round, by arm
    before: MachineState | None = None
    after: MachineState | None = None
    floor_s: dict[str, float] = {}  # start-up, and a pass at onnxruntime's rate

    def shortest(self, arm: str) -> VersionRecord:
        """The version whose whole training takes the least time."""
        return min(self.arms[arm], key=lambda version: version.seconds)


class Check(Record):
    """One pass/fail statement about this run; a failed one makes exit status 1."""

    name: str
    value: float
    limit: str  # e.g. "<= 1e-4"
    passed: bool


class DifferingImage(Record):
    """A test image that two arms do not see alike."""

    file: str
    predicted: tuple[str, str]  # by the first arm and by the second
    margins: tuple[float, float]  # between the two largest logits of each arm
    within_rounding: bool  # so close that rounding can swap them


class ComparisonRecord(Record):
    arms: tuple[str, str]  # differences are first minus second
    test_accuracy_difference: float
    test_accuracy_interval: Interval  # exact, of the images that one alone gets right
    test_accuracy_confidence: float = 0.95  # of the interval
    validation_accuracy_difference: float
    top1_agreement: float
    differing: list[DifferingImage] = []  # test images with two predictions
    mcnemar_p: float  # with Holm's correction where there are more than two arms
    verdict: str
    features_max_scaled_diff: float | None = None  # backbones, validation images
    onnx_cross: OnnxCross | None = None
    timing: dict[str, TimingComparison] = {}


class RungRecord(Record):
    """One rung of the parity ladder: Keras's arrays against PyTorch's."""

    name: str
    compares: str
    precision: Literal["float32", "float64"]
    arrays: int  # how many were compared
    max_scaled_diff: float | None  # None where an array cannot be compared
    relative_distance: float | None  # by Euclidean norm; the worst array's
    measure: Literal["max_scaled_diff", "relative_distance"]  # what is judged
    tolerance: float  # of the array that comes closest to its limit
    allows_rounding: bool = False  # more where float32 itself does more to a side
    in_float32: float | None = None  # relative_distance; shown, not judged
    first_failed: str | None
    passed: bool | None  # None: not judged, since a side has no float64


class ParityRecord(Record):
    """`parity.json`: the ladder from the lowest rung to the highest."""

    schema_version: Literal[2] = SCHEMA_VERSION
    arms: tuple[str, str] = ("pytorch", "keras")
    rungs: list[RungRecord]

    @property
    def first_failed(self) -> RungRecord | None:
        """The lowest rung that does not hold: where to look for the cause."""
        return next((rung for rung in self.rungs if rung.passed is False), None)

    @property
    def judged(self) -> list[RungRecord]:
        """The rungs that hold or fail."""
        return [rung for rung in self.rungs if rung.passed is not None]


class ProbeRecord(Record):
    """The numerical size of a difference, or why it has none here."""

    what: str
    value: float | None
    unit: str
    reason: str | None = None


class SeedScores(Record):
    """Accuracies of the epoch that one seed keeps."""

    seed: int
    validation: float
    test: float


class AblationRecord(Record):
    """The matched program with one difference left in, against the matched program."""

    arm: str
    what: str
    matched: list[SeedScores]
    changed: list[SeedScores]
    validation_change: float  # mean over the seeds
    validation_interval: Interval  # Student's paired t, by seed
    validation_confidence: float = 0.95  # of the interval
    validation_p: float | None = None  # with Holm's correction over the run's entries
    test_change: float
    test_interval: Interval
    test_confidence: float = 0.95
    test_p: float | None = None
    verdict: Literal["shown", "not shown"]  # the test interval excludes 0


class DifferenceRecord(Record):
    probe: ProbeRecord
    ablation: AblationRecord | None = None


class LedgerRecord(Record):
    """The difference ledger: every entry of docs/differences.md that was measured."""

    schema_version: Literal[2] = SCHEMA_VERSION
    seeds: list[int]
    differences: dict[str, DifferenceRecord]  # by number, "D01"


class Results(Record):
    schema_version: Literal[2] = SCHEMA_VERSION
    status: Literal["complete", "partial"]
    division: str
    run: RunRecord
    environment: EnvironmentRecord
    data: DataRecord
    weights: WeightsRecord
    config: dict[str, Any]
    arms: dict[str, ArmRecord]
    comparison: ComparisonRecord | None = None  # of the first two arms
    further: list[ComparisonRecord] = []  # of the first arm with each one after them
    parity: ParityRecord | None = None
    ledger: LedgerRecord | None = None
    timing: TimingRunRecord | None = None
    scaling: ScalingRecord | None = None
    speedups: SpeedupsRecord | None = None
    photos: list[Photo] = []  # a few test images, as bench/run/photos.py chooses them
    checks: list[Check] = []
    not_run: list[str] = []  # each: what, and why


def write_results(results: Results, path: Path) -> None:
    """Validate once more and write atomically."""
    Results.model_validate(results.model_dump())
    write_atomically(path, results.model_dump_json(indent=1) + "\n")


def read_results(path: Path) -> Results:
    """Read a stored `results.json`.

    Raises:
        UserError: the file is missing, no JSON, or of another schema.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file. Give the folder of a finished run.")
    try:
        return Results.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise UserError(
            f"{path}: not a result record of schema {SCHEMA_VERSION} "
            f"({place}: {first['msg']}). Run `python -m bench all` again."
        ) from error
