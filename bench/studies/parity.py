"""Climb the parity ladder, from equal pixels to equal classifiers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bench.onnx_runtime import OnnxClassifier
from bench.processes.agreed import NUM_FEW, NUM_IMAGES, places_of_few
from bench.processes.arms import BACKENDS, FLOAT64_ARMS, PAIR, SUFFIXES, side_of
from bench.processes.request import (
    ClimbLadder,
    ExportTrained,
    Request,
    Train,
    TrainExactly,
)
from bench.processes.worker_process import WorkerProcess, together_by_name
from bench.records import ParityRecord, RungRecord
from bench.run.onnx_check import ONNX_BATCH, ONNX_LOGITS
from bench.run.state import Run, ask, switches_of
from bench.studies.conversion import Conversion, give, take
from shared.config import Config
from shared.errors import UserError
from shared.files import write_atomically
from shared.metrics import comparable, max_scaled_diff, near_tie, relative_distance
from shared.model.weights import Arrays

BACKBONE, NETWORK = "backbone features", "whole-network gradients"
STEP, FINE_TUNING = "one optimizer step", "one fine-tuning step"
SCHEDULE, OTHER = "AdamW, cosine schedule", "SGD, class weights"
# The allowed ratio of a difference in float32 to the rounding of one side alone.
TIMES_ROUNDING = 10
NOT_JUDGED = dict.fromkeys(
    ("max_scaled_diff", "relative_distance", "first_failed", "passed")
)

Sides = dict[str, Arrays]  # by arm
Array = np.ndarray | None  # None if a side has no array of that name
Pair = tuple[str, Array, Array]  # name, values, reference
Processes = dict[str, WorkerProcess]  # by arm


@dataclass(frozen=True)
class Rung:
    """A comparison on the ladder with its tolerance.

    Attributes:
        compares: description; {images}, {arrays} and {last} name are filled in.
        pairs: selects the pairs to compare from the arrays of both sides.
        tolerance: largest allowed difference, as a share of the reference.
        by_norm: judge whole arrays by Euclidean norm instead of their worst element.
        exact: compare the arrays of the run in float64.
        rounds: allow a larger difference if float32 itself rounds more than that.
        updates: divide a difference by the learning rate, the size of an update, if
            the reference is smaller than that.
    """

    name: str
    compares: str
    pairs: Callable[[Sides], Iterator[Pair]]
    tolerance: float
    by_norm: bool = False
    exact: bool = False
    rounds: bool = False
    updates: bool = False

    @property
    def precision(self) -> str:
        """Return the precision of the run whose arrays are compared."""
        return "float64" if self.exact else "float32"


def _across(prefix: str) -> Callable[[Sides], Iterator[Pair]]:
    """Pair Keras's arrays with PyTorch's arrays of the same name."""

    def pairs(sides: Sides) -> Iterator[Pair]:
        pytorch, keras = (sides[arm] for arm in PAIR)
        for name in pytorch | keras:
            if name.startswith(prefix):
                yield name, keras.get(name), pytorch.get(name)

    return pairs


def _predictions(sides: Sides) -> Iterator[Pair]:
    """Pair the predicted classes of each epoch, without images whose best logits tie.

    Rounding can swap logits that tie; see `near_tie`.
    """
    for name, *logits in _across("validation logits/")(sides):
        if any(one is None or not np.isfinite(one).all() for one in logits):
            yield name, None, None
            continue
        clear = ~(near_tie(logits[0]) | near_tie(logits[1]))
        # Count classes from 1, since a scaled difference needs a reference above 0.
        values, reference = (one[clear].argmax(axis=1) + 1 for one in logits)
        yield name, values, reference


def _buffers(sides: Sides) -> Iterator[Pair]:
    """Pair each side's batch-norm buffers with their values before training."""
    for arm in PAIR:
        for name, array in sides["start"].items():
            if "running" in name:
                yield f"{arm} {name}", sides[arm].get(name), array


def _checkpoints(sides: Sides) -> Iterator[Pair]:
    """Pair the logits of both sides that come from the same checkpoint."""
    for arm in PAIR:
        found = sides[arm]
        yield f"{arm}'s checkpoint", found.get("crossed logits"), found.get("saved")


def _graphs(sides: Sides) -> Iterator[Pair]:
    """Pair onnxruntime's logits with the logits of the framework."""
    for arm in PAIR:
        found = sides[arm]
        yield f"{arm}'s graph", found.get("ONNX logits"), found.get("trained logits")


def _epochs(name: str) -> Rung:
    return Rung(name, "{last}", _across(f"{name}/"), 1e-6, by_norm=True, exact=True)


# Both sides train in float64, and on the same features; see `train_exactly`.
TRAINING_RUNGS = (
    *map(_epochs, ("one epoch", "half the epochs", "all epochs")),
    Rung(
        "epoch losses",
        "training, validation",
        _across("epoch losses"),
        1e-6,
        exact=True,
    ),
    Rung(
        "validation predictions", "each image and epoch", _predictions, 0.0, exact=True
    ),
    Rung(OTHER, "the head after it", _across(OTHER), 1e-6, by_norm=True, exact=True),
)
RUNGS = (
    Rung("pixels", "{images} images", _across("pixels"), 0.0),
    Rung("normalised input", "{images} images", _across("normalised input"), 1e-6),
    # The means of the images show their order, and rounding hardly changes the means.
    Rung("order of the images", "first epoch", _across("order of the images"), 1e-5),
    Rung("augmented batch", "{images} images", _across("augmented batch"), 1e-4),
    Rung("dropout plan", "{images} images", _across("dropout plan"), 0.0),
    # Rounding may change the worst of a block's 63,000 elements by more than it changes
    # the block as a whole. In float64 every element agrees.
    Rung(
        BACKBONE,
        "19 blocks, and pooled",
        _across(BACKBONE),
        1e-5,
        by_norm=True,
        rounds=True,
    ),
    Rung(BACKBONE, "19 blocks, and pooled", _across(BACKBONE), 1e-10, exact=True),
    Rung("logits", "before training", _across("logits"), 1e-5, rounds=True),
    # In float32, the rounding of the logits can change the loss by more than the limit.
    Rung("loss", "cross-entropy of a batch", _across("loss"), 1e-6, exact=True),
    Rung(
        "head gradients",
        "{arrays} arrays",
        _across("head gradients"),
        1e-5,
        rounds=True,
    ),
    # In float32, rounding can move the input of a ReLU6 across its kink, so that only
    # one side passes a gradient.
    Rung(NETWORK, "backbone unfrozen", _across(NETWORK), 1e-4, exact=True),
    # Adam divides a gradient by its own size. A gradient as small as its rounding error
    # therefore moves its weight by a share of the learning rate, differently on each
    # side.
    Rung(STEP, "the head after it", _across(STEP), 1e-6, exact=True, updates=True),
    Rung(
        FINE_TUNING,
        "all; batch norm learns",
        _across(FINE_TUNING),
        1e-6,
        exact=True,
        updates=True,
    ),
    Rung(
        SCHEDULE,
        "the head after it",
        _across(SCHEDULE),
        1e-6,
        exact=True,
        updates=True,
    ),
    *TRAINING_RUNGS,
    Rung(
        "batch-norm buffers", "before, after a training pass on images", _buffers, 0.0
    ),
    Rung("checkpoint", "saved by one, loaded by the other", _checkpoints, 1e-5),
    Rung("ONNX", "each graph", _graphs, 1e-4),
)


def ladder_arms(run: Run) -> dict[str, str]:
    """Return the arm of each side: PyTorch, and the first Keras arm that ran."""
    arms = run.finished if run.options.train else run.options.arms
    keras = [arm for arm in arms if arm in BACKENDS]
    return {"pytorch": "pytorch", "keras": keras[0]} if keras else {}


@dataclass(frozen=True)
class Climbed:
    """Arrays and files of one side for the comparison.

    Attributes:
        arrays: arrays of the rungs by precision.
        features: folder with the features that the head was trained on.
        checkpoint: checkpoint of the trained classifier.
        given: file with the arrays and results of the checkpoint. It is None if the
            checkpoint cannot be used, and the rung then fails.
    """

    arrays: dict[str, Arrays]
    features: Path
    checkpoint: Path
    given: Path | None


def climb(run: Run, processes: Processes) -> ParityRecord:
    """Let both sides compute every rung, in float32 and float64, and compare them.

    The rungs after the training compare the classifiers that the run has trained. If it
    has trained none with the ladder's settings, each side trains a classifier for the
    ladder. If Keras's backend has no float64, the rungs that need it are not judged.

    Args:
        processes: the processes of both arms, which may have done earlier jobs.
    """
    arms = ladder_arms(run)
    climbed = together_by_name(
        {side: partial(_climb_side, run, arm, processes) for side, arm in arms.items()}
    )
    sides: dict[str, Sides] = {"float32": {}, "float64": {}}
    for side, found in climbed.items():
        for precision, arrays in found.arrays.items():
            sides[precision][side] = arrays
    if set(arms.values()) <= set(FLOAT64_ARMS):
        trained = train_exactly(run, processes, climbed["pytorch"].features)
        for side, arrays in trained.items():
            sides["float64"][side] |= arrays
    crossed = together_by_name(
        {
            giver: partial(_take_over, run, arms[taker], processes, climbed[giver])
            for giver, taker in zip(PAIR, reversed(PAIR), strict=True)
        }
    )
    for side, conversion in crossed.items():
        if conversion:
            found = sides["float32"][side]
            found["crossed logits"], found["saved"] = conversion.logits
    start = {f"buffers/{name}": array for name, array in run.weights.arrays.items()}
    sides["float32"]["start"] = start
    record = compare(sides, run.options.config.learning_rate)
    return record.model_copy(update={"arms": tuple(arms.values())})


def climb_training(run: Run, processes: Processes) -> ParityRecord:
    """Let both sides of a run that has trained compute the rungs of the training."""
    trained = train_exactly(run, processes, run.scratch / "pytorch")
    sides = {"float32": {}, "float64": trained}
    for arm in PAIR:
        sides["float32"][arm] = dict(np.load(run.scratch / arm / "epochs.npz"))
    return compare(sides, run.options.config.learning_rate, TRAINING_RUNGS)


def train_exactly(run: Run, processes: Processes, features: Path) -> Sides:
    """Train the head of both sides in float64 and on the same features.

    In float32 the two sides' features differ by rounding. Now and then this moves the
    input of a ReLU across zero on one side only. If its unit was rarely active before,
    Adam divides the new gradient by almost nothing, and takes steps as large as the
    weights. So even one program gives two results if its features move by a millionth.

    Args:
        features: folder with the features of PyTorch, in float32.
    """
    config = ladder_config(run.options.config)

    def train(arm: str) -> Arrays:
        request = TrainExactly(
            arm=arm,
            config=config.model_copy(update={"precision": "float64"}),
            scratch=run.scratch / f"{arm}-exactly",
            inputs=run.inputs,
            switches=switches_of(run, arm),
            features=features,
        )
        return dict(np.load(ask(run, processes[arm], request)["path"]))

    return together_by_name({arm: partial(train, arm) for arm in PAIR})


def ladder_config(config: Config) -> Config:
    """Return the ladder's settings: a head on features, float32, no augmentation."""
    changes = {
        "augment": False,
        "cache_features": True,
        "precision": "float32",
        "tf32": False,
        "fine_tuning": "off",
    }
    return config.model_copy(update=changes)


def _climb_side(run: Run, arm: str, processes: Processes) -> Climbed:
    process, scratch = processes[arm], run.scratch / f"{arm}-ladder"
    config, switches = ladder_config(run.options.config), switches_of(run, arm)
    scratch_of_training, models = _trained(run, arm, process, scratch)
    run.display.say(f"parity: {arm}")
    arrays: dict[str, Arrays] = {}
    for precision in ("float32", "float64") if arm in FLOAT64_ARMS else ("float32",):
        request = ClimbLadder(
            arm=arm,
            config=config.model_copy(update={"precision": precision}),
            scratch=scratch / precision,
            inputs=run.inputs,
            switches=switches,
            exact_rungs=precision == "float64" or arm not in FLOAT64_ARMS,
        )
        done = ask(run, process, request)
        arrays[precision] = dict(np.load(done["path"]))
    side = arrays["float32"]
    side |= dict(np.load(scratch_of_training / "epochs.npz"))
    side["trained logits"] = np.load(scratch_of_training / "test_logits.npy")
    if (logits := scratch_of_training / ONNX_LOGITS).is_file():  # else the rung fails
        side["ONNX logits"] = np.load(logits)
    checkpoint = models / arm / f"best{SUFFIXES[side_of(arm)]}"
    given = None
    try:
        job = partial(_ask_for, run, process)
        given = give(checkpoint, run.data.folder, scratch, job)
    except UserError as reason:  # the rung fails, as it has no arrays
        run.display.say(str(reason), "red")
    return Climbed(arrays, scratch_of_training, checkpoint, given)


def _trained(
    run: Run, arm: str, process: WorkerProcess, scratch: Path
) -> tuple[Path, Path]:
    """Return the folders with the arrays and the models of the compared training."""
    config = run.options.config
    if arm in run.arms and config == ladder_config(config):
        return run.scratch / arm, run.options.output / "models"
    models = scratch.resolve() / "models"
    request = Train(
        arm=arm,
        config=ladder_config(config),
        scratch=scratch / "training",
        inputs=run.inputs,
        models=models,
        switches=switches_of(run, arm),
    )
    ask(run, process, request)
    ask(run, process, ExportTrained(**request.model_dump(exclude={"job", "inputs"})))
    logits = OnnxClassifier(models / f"{arm}.onnx").all_logits(
        run.data.splits["test"].images, ONNX_BATCH
    )
    np.save(scratch / "training" / ONNX_LOGITS, logits)
    return scratch / "training", models


def _take_over(
    run: Run, taker: str, processes: Processes, giver: Climbed
) -> Conversion | None:
    """Convert the trained classifier of one side for the other framework."""
    if giver.given is None:
        return None
    scratch = run.scratch / f"{taker}-ladder"
    job = partial(_ask_for, run, processes[taker])
    return take(giver.checkpoint, run.data.folder, scratch, job, giver.given)


def _ask_for(run: Run, process: WorkerProcess, request: Request) -> dict:
    """Let a process do its part of a conversion on the run's device."""
    config = request.config.model_copy(update={"device": run.options.config.device})
    return process.do(
        request.model_copy(update={"config": config, "logits_only": True}),
        lambda event: run.display.on_event(request.arm, event),
        run.options.time_limit_s,
    )


def compare(
    sides: dict[str, Sides], learning_rate: float, rungs: Sequence[Rung] = RUNGS
) -> ParityRecord:
    """Compare the arrays of both sides, rung by rung.

    Rungs that need float64 are judged only if both sides have it.

    Args:
        sides: the arrays of `bench.worker.parity`, by precision and arm. In float32
            there is a third entry `start` with the buffers before training.
        learning_rate: the size of an update.
    """
    records = []
    for rung in rungs:
        judged = sides[rung.precision].keys() >= set(PAIR)
        found = _compare_rung(
            rung, sides if judged else _all_float32(sides), learning_rate
        )
        records.append(found if judged else found.model_copy(update=NOT_JUDGED))
    return ParityRecord(rungs=records, whole=len(rungs) == len(RUNGS))


def _all_float32(sides: dict[str, Sides]) -> dict[str, Sides]:
    return {"float32": sides["float32"], "float64": sides["float32"]}


@dataclass(frozen=True)
class _Compared:
    """Difference of two arrays of the same name, and its limit."""

    name: str
    worst: float  # max_scaled_diff
    norm: float  # relative_distance
    judged: float  # either `worst` or `norm`
    limit: float

    @property
    def passed(self) -> bool:
        return self.judged <= self.limit


def _compare_rung(
    rung: Rung, sides: dict[str, Sides], learning_rate: float
) -> RungRecord:
    scaled = partial(
        max_scaled_diff, least_scale=learning_rate if rung.updates else 0.0
    )
    measure = relative_distance if rung.by_norm else scaled
    found = []
    for name, *pair in rung.pairs(sides[rung.precision]):
        rounding = _rounding(name, sides, measure) if rung.rounds else 0.0
        worst, norm = comparable(scaled, *pair), comparable(relative_distance, *pair)
        found.append(
            _Compared(
                name=name,
                worst=worst,
                norm=norm,
                judged=norm if rung.by_norm else worst,
                limit=max(rung.tolerance, TIMES_ROUNDING * rounding),
            )
        )
    has_rounding = rung.exact and rung.tolerance > 0  # classes are right or wrong
    rounded = [
        comparable(relative_distance, *pair)
        for _, *pair in (rung.pairs(sides["float32"]) if has_rounding else ())
    ]
    failed = [one.name for one in found if not one.passed]
    return RungRecord(
        name=rung.name,
        compares=rung.compares.format(
            images=NUM_FEW if rung.exact else NUM_IMAGES,
            arrays=len(found),
            last=found[-1].name.split("/")[1] if "{last}" in rung.compares else "",
        ),
        precision=rung.precision,
        arrays=len(found),
        max_scaled_diff=_largest(one.worst for one in found),
        relative_distance=_largest(one.norm for one in found),
        measure="relative_distance" if rung.by_norm else "max_scaled_diff",
        tolerance=max(found, key=_share_of_limit).limit if found else rung.tolerance,
        allows_rounding=rung.rounds,
        in_float32=_largest(rounded),
        first_failed=failed[0] if failed else None,
        passed=bool(found) and not failed,  # the sides may have no arrays
    )


def _share_of_limit(one: _Compared) -> float:
    """Return the difference of an array as a share of its limit."""
    return one.judged / one.limit if one.limit else one.judged


def _rounding(name: str, sides: dict[str, Sides], measure: Callable) -> float:
    """Return the difference of an array between float32 and float64 on one side.

    The smaller value of both sides counts, so that a side that rounds too much does not
    raise its own limit. The result is 0 if no side has the array in both precisions.
    """
    found = []
    for arm in PAIR:
        values, exact = (
            sides[p].get(arm, {}).get(name) for p in ("float32", "float64")
        )
        if values is not None and exact is not None:
            if len(values) == NUM_IMAGES != len(exact):  # float64 uses fewer images
                values = values[places_of_few()]
            found.append(comparable(measure, values, exact))
    return min(filter(np.isfinite, found), default=0.0)


def _largest(values: Iterable[float]) -> float | None:
    largest = max(values, default=np.inf)
    return largest if np.isfinite(largest) else None


def write_parity(record: ParityRecord, folder: Path) -> Path:
    """Write parity.json."""
    path = folder / "parity.json"
    write_atomically(path, record.model_dump_json(indent=1) + "\n")
    return path
