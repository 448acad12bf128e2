"""The parity ladder: from equal pixels to equal classifiers, one rung at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.run import Run, work
from shared.files import write_atomically
from shared.metrics import max_scaled_diff, relative_distance
from shared.records import ParityRecord, RungRecord
from shared.weights import Arrays

ARMS = ("pytorch", "keras")


@dataclass(frozen=True)
class Rung:
    """What one rung compares, and how close the two sides must be.

    Attributes:
        name: of the arrays that `bench.ladder` stores for it.
        tolerance: largest difference allowed, as a share of the reference.
        by_norm: compare whole arrays by Euclidean norm, not their worst element.
        precision: of the run whose arrays are compared.
    """

    name: str
    tolerance: float
    by_norm: bool = False
    precision: str = "float32"


RUNGS = (
    Rung("pixels", 0.0),
    Rung("normalised input", 1e-6),
    Rung("augmented batch", 1e-4),
    # Block by block. The worst of 63,000 elements of a block may be off by more than
    # rounding leaves to the block as a whole; in float64 no element is.
    Rung("backbone features", 1e-5, by_norm=True),
    Rung("backbone features", 1e-10, precision="float64"),
    Rung("logits", 1e-5),
    Rung("loss", 1e-6),
    Rung("head gradients", 1e-5),
    # In float32 a ReLU6 whose input is nearer to its kink than the rounding error may
    # let a gradient pass on one side alone.
    Rung("whole-network gradients", 1e-4, precision="float64"),
    # Adam divides a gradient by its own size: one as small as its rounding error moves
    # its weight by a share of the learning rate, on each side in its own way.
    Rung("one optimizer step", 1e-6, precision="float64"),
    Rung("weights after training", 1e-4, by_norm=True),
    Rung("validation predictions", 0.0),
    Rung("batch-norm buffers", 0.0),
)


def climb(run: Run) -> ParityRecord:
    """Let both sides compute every rung, in float32 and float64, and compare them."""
    arrays: dict[str, dict[str, Arrays]] = {}
    for precision in ("float32", "float64"):
        config = run.options.config.model_copy(update={"precision": precision})
        arrays[precision] = {}
        for arm in ARMS:
            scratch = run.scratch / f"{arm}-{precision}"
            done = work(run, "climb_ladder", arm, scratch, config=config)
            arrays[precision][arm] = dict(np.load(done["path"]))
    return compare(arrays, run.weights.arrays)


def compare(arrays: dict[str, dict[str, Arrays]], start: Arrays) -> ParityRecord:
    """Compare what both sides computed, rung by rung.

    Args:
        arrays: by precision, arm and name, as `bench.ladder.climb` returns them.
        start: the backbone before training, for its batch-norm buffers.
    """
    return ParityRecord(
        rungs=[_compare_rung(rung, arrays[rung.precision], start) for rung in RUNGS]
    )


def _compare_rung(rung: Rung, sides: dict[str, Arrays], start: Arrays) -> RungRecord:
    found = [
        (name, max_scaled_diff(values, reference), relative_distance(values, reference))
        for name, values, reference in _pairs(rung.name, sides, start)
    ]
    measured = {name: norm if rung.by_norm else worst for name, worst, norm in found}
    failed = [name for name, value in measured.items() if not value <= rung.tolerance]
    return RungRecord(
        name=rung.name,
        precision=rung.precision,
        arrays=len(found),
        max_scaled_diff=max(worst for _, worst, _ in found),
        relative_distance=max(norm for _, _, norm in found),
        measure="relative_distance" if rung.by_norm else "max_scaled_diff",
        tolerance=rung.tolerance,
        first_failed=failed[0] if failed else None,
        passed=not failed,
    )


def _pairs(
    rung: str, sides: dict[str, Arrays], start: Arrays
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, Keras's array and PyTorch's of everything that a rung compares."""
    pytorch, keras = (sides[arm] for arm in ARMS)
    if rung == "batch-norm buffers":  # each side against the values before training
        for arm in ARMS:
            for name, array in start.items():
                if "running" in name:
                    yield f"{arm} {name}", sides[arm][f"buffers/{name}"], array
        return
    prefix = {
        "weights after training": "epoch ",
        "validation predictions": "validation logits/",
    }.get(rung, rung)
    for name in (name for name in pytorch if name.startswith(prefix)):
        values, reference = keras[name], pytorch[name]
        if rung == "validation predictions":
            # counted from 1, since a scaled difference needs a reference above 0
            values, reference = values.argmax(axis=1) + 1, reference.argmax(axis=1) + 1
        yield name, values, reference


def write_parity(record: ParityRecord, folder: Path) -> Path:
    """Write parity.json."""
    path = folder / "parity.json"
    write_atomically(path, record.model_dump_json(indent=1) + "\n")
    return path


def print_parity(record: ParityRecord, console: Console) -> None:
    """Print the ladder as a table."""
    table = Table("Rung", "Arrays", "Precision", "Difference", "Tolerance", "Verdict")
    for rung in record.rungs:
        norm = " (norm)" if rung.measure == "relative_distance" else ""
        table.add_row(
            rung.name,
            str(rung.arrays),
            rung.precision,
            f"{getattr(rung, rung.measure):.1e}{norm}",
            f"{rung.tolerance:g}",
            "holds" if rung.passed else f"FAILS first at {rung.first_failed}",
        )
    console.print(table)
