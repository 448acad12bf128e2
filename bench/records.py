"""The result record: `results.json`, the only source of every report."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from shared.errors import UserError
from shared.files import write_atomically
from shared.gpu import GpuSupport
from shared.metrics import EpochRecord, Record, ScoreRecord

SCHEMA_VERSION: Literal[2] = 2

Interval = tuple[float, float]


class RunRecord(Record):
    id: str
    command: str
    started_at: str  # ISO 8601, UTC
    seconds: float
    seed: int


class GpuRecord(Record):
    """A GPU as nvidia-smi describes it."""

    index: int  # as nvidia-smi counts
    uuid: str
    name: str
    driver: str  # version
    compute_capability: str  # such as "9.0"
    memory_mib: int | None = None
    used_mib: int | None = None  # before the run
    is_divided: bool = False  # by MIG

    @property
    def capability(self) -> tuple[int, int]:
        """Return the compute capability as numbers, which can be compared."""
        major, minor = self.compute_capability.split(".")
        return int(major), int(minor)

    def is_(self, name: str) -> bool:
        """Return whether CUDA_VISIBLE_DEVICES means this GPU by a name."""
        is_uuid = len(name) > len("GPU-") and self.uuid.startswith(name)
        return name == str(self.index) or is_uuid


class EnvironmentRecord(Record):
    python: str
    platform: str
    cpu: str
    cpu_count: int
    memory_bytes: int
    gpu: str | None  # its name, if the arms used one
    gpu_details: GpuRecord | None = None
    gpu_support: dict[str, GpuSupport] = {}  # by arm
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
    notice: str | None = None  # e.g. why the embedded data set was used
    warnings: list[str] = []  # e.g. that test images are also in validation


class WeightsRecord(Record):
    source: str
    fingerprint: str
    mean: list[float]  # per channel, of images scaled to [0, 1]
    std: list[float]
    licence: str = "unknown"
    notice: str | None = None


class Answer(Record):
    """Prediction of one arm for a test image."""

    predicted: str
    probability: float  # of the predicted class


class Photo(Record):
    """A test image that the report shows, with the answer of every arm."""

    file: str
    label: str
    thumbnail_jpeg: str  # base64
    answers: dict[str, Answer]  # by arm

    @property
    def is_disputed(self) -> bool:
        """Return whether any two arms predict different classes."""
        return len({answer.predicted for answer in self.answers.values()}) > 1


class TimingRecord(Record):
    median_ms: float
    iqr_ms: float
    samples_ms: list[float]
    rounds: list[int] = []  # the round in which each sample was measured
    images_per_second: float | None = None  # at the median; None for start-up phases

    @property
    def stability(self) -> Literal["steady", "noisy", "unstable"]:
        """Rate the IQR: above 10 % of the median is noisy, above 25 % is unstable."""
        spread = self.iqr_ms / self.median_ms if self.median_ms else 0.0
        if spread > 0.25:
            return "unstable"
        return "noisy" if spread > 0.1 else "steady"


class MemoryRecord(Record):
    peak_rss_mib: float  # with the pages of mapped files, which the kernel may reclaim
    peak_private_mib: float | None = None  # without these pages; known only on Linux
    peak_device_mib: float | None = None


class PassMemory(Record):
    """Memory after a quarter of one pass over images, and at its end."""

    images: int  # passed between the two readings
    private_mib: tuple[float, float] | None  # without mapped files; known only on Linux
    device_mib: tuple[float, float] | None  # the peak so far, on an accelerator

    @property
    def growth_mib(self) -> dict[str, float]:
        """Return the MiB that 1,000 images add to each kind of memory that was read."""
        kinds = {"private": self.private_mib, "device": self.device_mib}
        return {
            kind: 1000 * (readings[1] - readings[0]) / self.images
            for kind, readings in kinds.items()
            if readings
        }


class OnnxCross(Record):
    """Comparison of the graphs that both sides export of PyTorch's classifier."""

    images: int
    max_scaled_diff: float  # max |a - b| / max |reference|
    top1_agreement: float
    logit_spread: float  # standard deviation of the reference logits


class OnnxParity(OnnxCross):
    """Comparison of onnxruntime's logits with the framework's, on all test images."""

    batch_sizes: list[int]
    max_abs_diff: float


class OnnxRecord(Record):
    path: str  # relative to the output folder
    bytes: int
    opset: int
    parity: OnnxParity


def whole_training_s(stages: dict[str, float]) -> float:
    """Return the seconds from the start of the process to the best checkpoint.

    Decoding the images is not included.
    """
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
    confidence: float = 0.95  # of the interval; more if several are judged together
    p: float | None = None  # of the same test, with Holm's correction
    verdict: str  # "no difference shown", or "too noisy", if the interval contains 1


class MachineState(Record):
    """Load, clocks and temperatures of the machine, as far as it reports them."""

    load_average: float  # mean number of running or waiting processes in one minute
    cpu_mhz: float | None
    cpu_celsius: float | None
    gpu_mhz: float | None = None
    gpu_celsius: float | None = None


class ControlRecord(Record):
    """Times of each arm against itself. Every ratio should be 1."""

    started_at: str  # ISO 8601, UTC
    rounds: int
    machine: dict[str, Any]  # must equal that of a run that quotes this control
    arms: dict[str, dict[str, TimingComparison]]  # by arm and phase
    times: dict[str, dict[str, TimingRecord]] = {}  # by arm or "arm, again", and phase


class OperationRecord(Record):
    """Count and time of all operations of one kind in a pass of one batch."""

    count: int
    milliseconds: float


class TimingRunRecord(Record):
    """Conditions under which the times of all arms were taken."""

    rounds: int
    order: list[list[str]]  # of the arms, shuffled in every round
    samples_in_a_turn: int | None = None  # None: the arms did not take turns
    cut_short: dict[str, list[str]] = {}  # phases that ran out of time, by arm
    before: MachineState
    after: MachineState
    overhead_ms: dict[str, float] = {}  # time that the timing adds to a call, by arm
    memory: dict[str, MemoryRecord] = {}  # largest of all processes, by arm
    ratios: dict[str, dict[str, TimingComparison]] = {}  # first arm / this arm
    operations: dict[str, dict[str, OperationRecord]] = {}  # of the last round, by arm
    control: ControlRecord | None = None  # the last control of this machine


class ScalingPoint(Record):
    """Training of one arm on a certain number of images."""

    arm: str
    images: int  # of all three splits
    decoding_s: float  # into an empty decode cache
    stages: dict[str, float]  # seconds of each part of the training process
    memory: MemoryRecord
    one_pass: PassMemory | None = None
    test_accuracy: float

    @property
    def training_s(self) -> float:
        """Return the seconds of features and epochs, which depend on the images."""
        return self.stages.get("features", 0.0) + self.stages["epochs"]


class ScalingRecord(Record):
    """Time and memory of trainings on more and more images."""

    points: list[ScalingPoint] = []

    @property
    def by_arm(self) -> dict[str, list[ScalingPoint]]:
        """Return the points of each arm, from few images to many."""
        arms = dict.fromkeys(point.arm for point in self.points)
        return {arm: [p for p in self.points if p.arm == arm] for arm in arms}


class VersionRecord(Record):
    """Version of an arm's program, with one speed-up more than the previous version."""

    name: str
    what: str
    changes: dict[str, Any]  # of the configuration
    reads_cache: bool  # False: it decodes the image files in every epoch
    stages: dict[str, float]  # seconds of a whole training
    memory: MemoryRecord
    test_accuracy: float
    difference: float  # of test accuracy, from the previous version
    difference_interval: Interval  # exact; see AccuracyDifference
    difference_confidence: float = 0.95  # of the interval
    # With Holm's correction over the versions of the arm.
    mcnemar_p: float | None = None
    # On a share of the images; the time of the features is divided among the epochs.
    epoch: TimingRecord | None = None
    augmented: TimingRecord | None = None  # the same with augmentation
    gain: TimingComparison | None = None  # time of the previous version / this version

    @property
    def seconds(self) -> float:
        """Return the seconds of the whole training."""
        return whole_training_s(self.stages)


class SpeedupsRecord(Record):
    """Versions of each arm's program, from the usual program to the fastest."""

    epochs: int
    seed: int
    decoding_s: float = 0.0  # into an empty decode cache
    arms: dict[str, list[VersionRecord]] = {}
    order: dict[str, list[list[str]]] = {}  # of the versions in each round, by arm
    before: MachineState | None = None
    after: MachineState | None = None
    floor_s: dict[str, float] = {}  # start-up, and one pass at onnxruntime's speed

    def shortest(self, arm: str) -> VersionRecord:
        """Return the version whose whole training takes the least time."""
        return min(self.arms[arm], key=lambda version: version.seconds)


class Check(Record):
    """Statement about a run that passes or fails. A failure gives exit status 1."""

    name: str
    value: float
    limit: str  # e.g. "<= 1e-4"
    passed: bool


class DifferingImage(Record):
    """Test image for which two arms predict different classes."""

    file: str
    predicted: tuple[str, str]  # by the first and the second arm
    margins: tuple[float, float]  # between the two largest logits of each arm
    within_rounding: bool  # whether rounding can swap the two largest logits


class ComparisonRecord(Record):
    arms: tuple[str, str]  # differences are first minus second
    test_accuracy_difference: float
    test_accuracy_interval: Interval  # exact; see AccuracyDifference
    test_accuracy_confidence: float = 0.95  # of the interval
    validation_accuracy_difference: float
    top1_agreement: float
    differing: list[DifferingImage] = []
    mcnemar_p: float  # with Holm's correction if there are more than two arms
    verdict: str
    features_max_scaled_diff: float | None = None  # on the validation images
    onnx_cross: OnnxCross | None = None
    timing: dict[str, TimingComparison] = {}


class RungRecord(Record):
    """One rung of the parity ladder, which compares Keras's arrays with PyTorch's."""

    name: str
    compares: str
    precision: Literal["float32", "float64"]
    arrays: int  # number of arrays that were compared
    max_scaled_diff: float | None  # None where an array cannot be compared
    relative_distance: float | None  # by Euclidean norm, of the worst array
    measure: Literal["max_scaled_diff", "relative_distance"]  # which of them is judged
    tolerance: float  # of the array that comes closest to its limit
    allows_rounding: bool = False  # whether the limit grows with float32's own rounding
    in_float32: float | None = None  # relative_distance; shown, but not judged
    first_failed: str | None
    passed: bool | None  # None: not judged, since a side has no float64


class ParityRecord(Record):
    """Content of `parity.json`: all rungs, from the lowest to the highest."""

    schema_version: Literal[2] = SCHEMA_VERSION
    arms: tuple[str, str] = ("pytorch", "keras")
    rungs: list[RungRecord]
    whole: bool = True  # False: only the rungs of the training

    @property
    def first_failed(self) -> RungRecord | None:
        """Return the lowest rung that fails, where the search for the cause begins."""
        return next((rung for rung in self.rungs if rung.passed is False), None)

    @property
    def judged(self) -> list[RungRecord]:
        """Return the rungs that were judged."""
        return [rung for rung in self.rungs if rung.passed is not None]


class ProbeRecord(Record):
    """Numerical size of a difference, or the reason why it was not measured."""

    what: str
    value: float | None
    unit: str
    reason: str | None = None


class SeedScores(Record):
    """Accuracies of one seed in the epoch that is kept."""

    seed: int
    validation: float
    test: float


class AblationRecord(Record):
    """Effect on accuracy of a difference that is left in the matched program."""

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
    """The difference ledger, with the measured entries of docs/differences.md."""

    schema_version: Literal[2] = SCHEMA_VERSION
    seeds: list[int]
    differences: dict[str, DifferenceRecord]  # by number, "D01"


class Accuracies(Record):
    """Accuracies of one classifier at one epoch."""

    train: float  # of the batches as they were trained on, dropout included
    validation: float
    test: float


class CellRecord(Record):
    """Training of one classifier for an experiment: one setting, one seed, one arm."""

    arm: str
    changes: dict[str, Any]  # of the run's configuration
    share: float = 1.0  # of the training images of each class
    seed: int
    status: Annotated[str, Field(pattern=r"^(ok|failed: .+)$")]
    history: list[EpochRecord] = []
    best_epoch: int | None = None  # the first with the highest validation accuracy
    best: Accuracies | None = None
    last: Accuracies | None = None
    correct: str = ""  # 1 for each test image that the best epoch gets right, else 0
    seconds: float = 0.0


class SettingRecord(Record):
    """One setting of an experiment, compared with the experiment's base.

    The figures of the comparison are missing for the base itself, and in a quick run.
    """

    name: str
    changes: dict[str, Any]
    share: float = 1.0
    arm: str | None = None  # the one arm that trains it; None for all of them
    against: str | None = None  # what it is compared with; None for the first setting
    change: float | None = None  # of test accuracy from the base
    interval: Interval | None = None
    confidence: float = 0.95  # of the interval
    p: float | None = None  # of the same test, with Holm's correction
    p_equal: float | None = None  # of two one-sided tests, with Holm's correction
    verdict: Literal["different", "equal", "undecided"] | None = None


class ExperimentRecord(Record):
    """Question, and the settings that answer it; the first setting is the base."""

    question: str
    epochs: int
    settings: list[SettingRecord]
    test: Literal["Student's paired t", "McNemar's exact test"] | None = None


class DifferingCell(Record):
    """Setting and seed that both arms trained, and for which they predict otherwise."""

    changes: dict[str, Any]
    share: float
    seed: int
    images: int  # test images whose class differs in the last epoch, near ties aside
    by_rounding: bool  # whether the training makes rounding errors grow that much


class ExperimentsRecord(Record):
    """All experiments of a run, which share the cells that they have in common."""

    quick: bool
    seeds: dict[str, int]  # number of seeds, by experiment
    margin: float  # of accuracy, within which two settings count as equal
    experiments: dict[str, ExperimentRecord]
    cells: list[CellRecord]
    pairs: int = 0  # cells that both arms trained on stored features
    differing: list[DifferingCell] = []
    features: dict[str, float] = {}  # max_scaled_diff on validation images, by arms

    def find(self, setting: SettingRecord, seeds: int) -> list[CellRecord]:
        """Return the finished cells of a setting: the first seeds, all arms."""
        return [
            cell
            for cell in self.cells
            if (cell.changes, cell.share) == (setting.changes, setting.share)
            and setting.arm in (None, cell.arm)
            and cell.seed < seeds
            and cell.best
        ]


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
    further: list[ComparisonRecord] = []  # of the first arm with the third, fourth, ...
    parity: ParityRecord | None = None
    ledger: LedgerRecord | None = None
    timing: TimingRunRecord | None = None
    scaling: ScalingRecord | None = None
    speedups: SpeedupsRecord | None = None
    experiments: ExperimentsRecord | None = None
    photos: list[Photo] = []  # a few test images, as bench/run/photos.py chooses them
    checks: list[Check] = []
    not_run: list[str] = []  # each text names a part and the reason


def write_results(results: Results, path: Path) -> None:
    """Validate the record once more and write it atomically."""
    Results.model_validate(results.model_dump())
    write_atomically(path, results.model_dump_json(indent=1) + "\n")


def read_results(path: Path) -> Results:
    """Read a stored `results.json`.

    Raises:
        UserError: the file is missing, is no JSON, or has another schema.
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
