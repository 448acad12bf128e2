"""State of a run: its options, its inputs and its finished parts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from bench.processes.request import Inputs, Request
from bench.processes.rounds import Measured
from bench.processes.worker_process import Environment, WorkerProcess, environment_of
from bench.records import (
    ArmRecord,
    ComparisonRecord,
    ExperimentsRecord,
    LedgerRecord,
    ParityRecord,
    ScalingRecord,
    SpeedupsRecord,
    TimingRunRecord,
)
from bench.run.devices import CPU, Device
from bench.run.display import Display
from bench.run.experiment import Experiment
from shared.clock import now
from shared.config import Config
from shared.data.dataset import ImageData
from shared.model.weights import Weights

TimingPart = Literal["short", "thorough", "control", "scaling", "speedups"]


@dataclass(frozen=True)
class Options:
    """Options of a run, already checked."""

    config: Config
    arms: tuple[str, ...]
    output: Path
    data: str | None = None
    weights: str | None = None
    gpu: int | None = None  # which GPU to use, as nvidia-smi counts
    skip_bad_images: bool = False
    time_limit_s: float = 7200
    train: bool = True  # whether to train, evaluate and export the arms
    climb: bool = True  # whether to climb the parity ladder
    timing: TimingPart | None = "short"
    differences: tuple[str, ...] = ()  # entries of the ledger to measure
    switches: tuple[str, ...] = ()  # left in for the ladder, such as "keras:D02"
    experiments: Mapping[str, Experiment] = field(default_factory=dict)
    quick: bool = False  # experiments on few images, without verdicts
    resume: bool = False  # go on with the experiments of an earlier run

    def only(
        self,
        train: bool = False,
        climb: bool = False,
        timing: TimingPart | None = None,
        differences: tuple[str, ...] = (),
        switches: tuple[str, ...] = (),
        experiments: Mapping[str, Experiment] | None = None,
    ) -> "Options":
        """Return these options with only the named parts to do."""
        return replace(
            self,
            train=train,
            climb=climb,
            timing=timing,
            differences=differences,
            switches=switches,
            experiments=experiments or {},
        )


@dataclass
class Run:
    """A run with its inputs and the parts that are finished so far."""

    options: Options
    display: Display
    scratch: Path
    data: ImageData
    weights: Weights
    weights_file: Path
    folders: Path | None = None  # the images as files, for the plain division
    device: Device = CPU  # of all arms
    start: float = field(default_factory=now)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    arms: dict[str, ArmRecord] = field(default_factory=dict)
    threads: dict[str, int | None] = field(default_factory=dict)
    comparison: ComparisonRecord | None = None
    further: list[ComparisonRecord] = field(default_factory=list)
    parity: ParityRecord | None = None
    ledger: LedgerRecord | None = None
    timing: TimingRunRecord | None = None
    scaling: ScalingRecord | None = None
    speedups: SpeedupsRecord | None = None
    experiments: ExperimentsRecord | None = None
    earlier_parts: dict[str, Any] = field(default_factory=dict)  # of a resumed run
    measured: Measured = field(default_factory=Measured)
    images_in: dict[str, int] = field(default_factory=dict)  # number by timed phase
    devices: dict[str, str] = field(default_factory=dict)  # by timed arm
    not_run: list[str] = field(default_factory=list)
    failures: int = 0
    complete: bool = False

    @property
    def inputs(self) -> Inputs:
        """Return the inputs for the jobs of this run."""
        return Inputs(
            data=self.data.folder.resolve(),
            weights=self.weights_file,
            folders=self.folders,
            shortened=self.options.quick,
        )

    @property
    def models(self) -> Path:
        """Return the folder for checkpoints and graphs."""
        return (self.options.output / "models").resolve()

    @property
    def comparisons(self) -> list[ComparisonRecord]:
        """Return all comparisons, beginning with that of the first two arms."""
        return [self.comparison, *self.further] if self.comparison else []

    @property
    def finished(self) -> list[str]:
        """Return the arms that ran without failure."""
        return [name for name, arm in self.arms.items() if arm.status == "ok"]

    @property
    def has_results(self) -> bool:
        """Return whether any part is finished."""
        studies = self.parity, self.ledger, self.speedups, self.timing, self.scaling
        cells = self.experiments and self.experiments.cells
        return any((self.finished, *studies, cells))

    def miss(self, what: str) -> None:
        """Note a part that has no result, so that the run counts as incomplete."""
        self.not_run.append(what)
        self.failures += 1


def switches_of(run: Run, arm: str) -> tuple[str, ...]:
    """Return the differences to leave in for one arm, such as "D02"."""
    pairs = [switch.split(":") for switch in run.options.switches]
    return tuple(difference for side, difference in pairs if side == arm)


def start_worker(run: Run, environment: Environment | None = None) -> WorkerProcess:
    """Start a process for jobs of this run.

    Args:
        environment: its environment variables. The default is those of the division.
            They may hide the GPU of the run.
    """
    # torch.compile reuses code that earlier processes compiled, and XLA does not. With
    # a cache of its own, the first steps of a run do not depend on earlier runs.
    compiled = {"TORCHINDUCTOR_CACHE_DIR": str(run.scratch.resolve() / "compiled")}
    if environment is None:
        environment = environment_of(run.options.config)
    return WorkerProcess(run.device.variables | environment | compiled)


def ask(
    run: Run,
    process: WorkerProcess,
    request: Request,
    on_turn: Callable[[], None] = lambda: None,
) -> dict:
    """Let a process do a job of this run, and return its result.

    Args:
        on_turn: see `WorkerProcess.do`.

    Raises:
        UserError, ArmFailed: see `WorkerProcess.do`.
    """
    return process.do(
        request,
        lambda event: run.display.on_event(request.arm, event),
        run.options.time_limit_s,
        on_turn,
    )


def work(
    run: Run,
    request: Request,
    environment: Environment | None = None,
    on_turn: Callable[[], None] = lambda: None,
) -> dict:
    """Let a new process do one job of this run; see `start_worker` and `ask`."""
    with start_worker(run, environment) as process:
        return ask(run, process, request, on_turn)
