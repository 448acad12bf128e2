"""The parity ladder: from equal pixels to equal classifiers, one rung at a time."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.convert import convert
from bench.ladder import NUM_IMAGES, spread
from bench.onnx_runtime import OnnxClassifier
from bench.request import BACKENDS, FLOAT64_ARMS, PAIR, SUFFIXES
from bench.run import Run, work
from shared.errors import UserError
from shared.files import write_atomically
from shared.metrics import comparable, max_scaled_diff, relative_distance
from shared.records import ParityRecord, RungRecord
from shared.weights import Arrays

BACKBONE, NETWORK = "backbone features", "whole-network gradients"
STEP, FINE_TUNING = "one optimizer step", "one fine-tuning step"
SCHEDULE = "AdamW, cosine schedule"
ONNX_BATCH = 32
NOT_JUDGED = dict.fromkeys(
    ("max_scaled_diff", "relative_distance", "first_failed", "passed")
)

Sides = dict[str, Arrays]  # by arm
Array = np.ndarray | None  # None where a side has none of that name
Pair = tuple[str, Array, Array]  # name, values, reference


@dataclass(frozen=True)
class Rung:
    """What one rung compares, and how close the two sides must be.

    Attributes:
        compares: in words; {images}, {arrays} and {last} name are filled in.
        pairs: picks what is compared from the arrays of both sides.
        tolerance: largest difference allowed, as a share of the reference.
        by_norm: judge whole arrays by Euclidean norm, not their worst element.
        exact: compare the arrays of the run in float64.
    """

    name: str
    compares: str
    pairs: Callable[[Sides], Iterator[Pair]]
    tolerance: float
    by_norm: bool = False
    exact: bool = False

    @property
    def precision(self) -> str:
        """Of the run whose arrays are compared."""
        return "float64" if self.exact else "float32"


def _across(prefix: str) -> Callable[[Sides], Iterator[Pair]]:
    """Keras's arrays against PyTorch's of the same name."""

    def pairs(sides: Sides) -> Iterator[Pair]:
        pytorch, keras = (sides[arm] for arm in PAIR)
        for name in pytorch | keras:
            if name.startswith(prefix):
                yield name, keras.get(name), pytorch.get(name)

    return pairs


def _head_after(share: float) -> Callable[[Sides], Iterator[Pair]]:
    """The head when a share of the epochs is done, at least one."""

    def pairs(sides: Sides) -> Iterator[Pair]:
        names = sides["pytorch"] | sides["keras"]
        heads = {name.split("/")[0] for name in names if name.startswith("head at ")}
        epochs = sorted(heads, key=lambda name: int(name.split()[-1]))  # by step
        epoch = epochs[max(1, round(share * len(epochs))) - 1]
        return _across(f"{epoch}/")(sides)

    return pairs


def _predictions(sides: Sides) -> Iterator[Pair]:
    for name, *logits in _across("validation logits/")(sides):
        if any(one is None or not np.isfinite(one).all() for one in logits):
            yield name, None, None
            continue
        # counted from 1, since a scaled difference needs a reference above 0
        values, reference = (one.argmax(axis=1) + 1 for one in logits)
        yield name, values, reference


def _buffers(sides: Sides) -> Iterator[Pair]:
    """Each side's batch-norm buffers against their values before training."""
    for arm in PAIR:
        for name, array in sides["start"].items():
            if "running" in name:
                yield f"{arm} {name}", sides[arm].get(name), array


def _checkpoints(sides: Sides) -> Iterator[Pair]:
    """The other side's logits with a side's checkpoint, against its own."""
    for arm in PAIR:
        found = sides[arm]
        yield f"{arm}'s checkpoint", found.get("crossed logits"), found.get("saved")


def _graphs(sides: Sides) -> Iterator[Pair]:
    """onnxruntime's logits against the framework's own, and graph against graph."""
    for arm in PAIR:
        found = sides[arm]
        yield f"{arm}'s graph", found.get("ONNX logits"), found.get("trained logits")
    yield from _across("ONNX logits")(sides)


RUNGS = (
    Rung("pixels", "{images} images", _across("pixels"), 0.0),
    Rung("normalised input", "{images} images", _across("normalised input"), 1e-6),
    # An image is known by its mean, which rounding leaves alone and a shuffle does not.
    Rung("order of the images", "first epoch", _across("order of the images"), 1e-5),
    Rung("augmented batch", "{images} images", _across("augmented batch"), 1e-4),
    # The worst of 63,000 elements of a block may be off by more than rounding leaves
    # to the block as a whole; in float64 no element is.
    Rung(BACKBONE, "19 blocks, and pooled", _across(BACKBONE), 1e-5, by_norm=True),
    Rung(BACKBONE, "19 blocks, and pooled", _across(BACKBONE), 1e-10, exact=True),
    Rung("logits", "before training", _across("logits"), 1e-5),
    # What rounding leaves of the logits comes through, in float32 now and then by more.
    Rung("loss", "cross-entropy of a batch", _across("loss"), 1e-6, exact=True),
    Rung("head gradients", "{arrays} arrays", _across("head gradients"), 1e-5),
    # In float32 a ReLU6 whose input is nearer to its kink than the rounding error may
    # let a gradient pass on one side alone.
    Rung(NETWORK, "backbone unfrozen", _across(NETWORK), 1e-4, exact=True),
    # Adam divides a gradient by its own size: one as small as its rounding error moves
    # its weight by a share of the learning rate, on each side in its own way.
    Rung(STEP, "the head after it", _across(STEP), 1e-6, exact=True),
    Rung(FINE_TUNING, "all; batch norm learns", _across(FINE_TUNING), 1e-6, exact=True),
    Rung("one epoch", "{last}", _head_after(0), 1e-4, by_norm=True),
    Rung("half the epochs", "{last}", _head_after(0.5), 1e-4, by_norm=True),
    Rung("all epochs", "{last}", _head_after(1), 1e-4, by_norm=True),
    Rung(SCHEDULE, "the head after it", _across(SCHEDULE), 1e-6, exact=True),
    Rung("epoch losses", "training, validation", _across("epoch losses"), 1e-5),
    Rung("validation predictions", "each image and epoch", _predictions, 0.0),
    Rung(
        "batch-norm buffers", "before, after a training pass on images", _buffers, 0.0
    ),
    Rung("checkpoint", "saved by one, loaded by the other", _checkpoints, 1e-5),
    Rung("ONNX", "each graph, and across", _graphs, 1e-4),
)


def climb(run: Run) -> ParityRecord:
    """Let both sides compute every rung, in float32 and float64, and compare them.

    The Keras side is the first arm of its code that the run has. Where its backend has
    no float64, the rungs that need it are not judged.
    """
    arms = "pytorch", next(arm for arm in run.options.arms if arm in BACKENDS)
    start = {f"buffers/{name}": array for name, array in run.weights.arrays.items()}
    sides: dict[str, Sides] = {}
    exact = arms[1] in FLOAT64_ARMS
    for precision in ("float32", "float64") if exact else ("float32",):
        # Each framework draws its own dropout masks [D17]: the ladder does without.
        changed = {"precision": precision, "dropout": 0.0, "augment": False}
        changed["cache_features"] = True
        config = run.options.config.model_copy(update=changed)
        sides[precision] = {"start": start}
        for side, arm in zip(PAIR, arms, strict=True):
            scratch = run.scratch / f"{side}-{precision}"
            run.display.say(f"parity: {arm} in {precision}")
            more = {"config": config, "switches": switches_of(run, arm)}
            done = work(run, "climb_ladder", arm, scratch, **more)
            sides[precision][side] = dict(np.load(done["path"]))
    for arm in PAIR:
        _use_elsewhere(run, arm, sides["float32"][arm])
    return compare(sides).model_copy(update={"arms": arms})


def _use_elsewhere(run: Run, arm: str, found: Arrays) -> None:
    """A side's trained classifier in the other framework, and in onnxruntime."""
    scratch = run.scratch / f"{arm}-float32"
    run.display.say(f"parity: {arm}'s checkpoint on the other side")
    try:
        conversion = convert(
            *(scratch / f"last{SUFFIXES[arm]}", run.data.folder, scratch / "crossed"),
            *(run.display.on_event, run.options.time_limit_s),
        )
        found["crossed logits"], found["saved"] = conversion.logits
    except UserError as reason:  # without its arrays the rung fails
        run.display.say(str(reason), "red")
    run.display.show(f"parity: {arm}'s graph in onnxruntime")
    sample = spread(run.data.splits["test"], NUM_IMAGES["float32"]).images
    graph = OnnxClassifier(scratch / "model.onnx")
    found["ONNX logits"] = graph.all_logits(sample, ONNX_BATCH)


def switches_of(run: Run, arm: str) -> tuple[str, ...]:
    """The differences to leave in on one side, e.g. "D02"."""
    pairs = [switch.split(":") for switch in run.options.switches]
    return tuple(difference for side, difference in pairs if side == arm)


def compare(sides: dict[str, Sides]) -> ParityRecord:
    """Compare what both sides computed, rung by rung.

    Args:
        sides: by precision and arm, the arrays that `bench.ladder.climb` returns;
            as a third arm `start`, the buffers before training. Without float64 the
            rungs that need it are not judged.
    """
    found = [
        _compare_rung(rung, {"float64": sides["float32"]} | sides) for rung in RUNGS
    ]
    return ParityRecord(
        rungs=[
            rung if rung.precision in sides else rung.model_copy(update=NOT_JUDGED)
            for rung in found
        ]
    )


def _compare_rung(rung: Rung, sides: dict[str, Sides]) -> RungRecord:
    found = [
        (name, comparable(max_scaled_diff, *pair), comparable(relative_distance, *pair))
        for name, *pair in rung.pairs(sides[rung.precision])
    ]
    rounded = [
        comparable(relative_distance, *pair)
        for _, *pair in rung.pairs(sides["float32"])
        if rung.exact
    ]
    measured = {name: norm if rung.by_norm else worst for name, worst, norm in found}
    failed = [name for name, value in measured.items() if not value <= rung.tolerance]
    last = found[-1][0].split("/")[0]
    return RungRecord(
        name=rung.name,
        compares=rung.compares.format(
            images=NUM_IMAGES[rung.precision], arrays=len(found), last=last
        ),
        precision=rung.precision,
        arrays=len(found),
        max_scaled_diff=_largest(worst for _, worst, _ in found),
        relative_distance=_largest(norm for _, _, norm in found),
        measure="relative_distance" if rung.by_norm else "max_scaled_diff",
        tolerance=rung.tolerance,
        in_float32=_largest(rounded) if rounded else None,
        first_failed=failed[0] if failed else None,
        passed=not failed,
    )


def _largest(values: Iterable[float]) -> float | None:
    largest = max(values)
    return largest if np.isfinite(largest) else None


def write_parity(record: ParityRecord, folder: Path) -> Path:
    """Write parity.json."""
    path = folder / "parity.json"
    write_atomically(path, record.model_dump_json(indent=1) + "\n")
    return path
