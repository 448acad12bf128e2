"""Convert a checkpoint for the other side, and show that both give equal results."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.processes.agreed import MODEL, OPTIMIZER, STEPPED, as_matched, below
from bench.processes.arms import SUFFIXES, arm_of
from bench.processes.request import HandOver, Request, TakeOver
from bench.processes.worker_process import run_worker
from bench.run.display import Display
from bench.run.inputs import prepare_data
from shared.config import Config
from shared.data.dataset import ImageData
from shared.errors import UserError
from shared.files import atomic_path, require_writable
from shared.metrics import (
    comparable,
    max_scaled_diff,
    relative_distance,
    top1_agreement,
)
from shared.model.checkpoints import (
    Description,
    read_description,
    read_record,
    record_file,
    write_description,
)
from shared.model.weights import Arrays

Ask = Callable[[Request], dict]  # lets a worker do a job and returns its result
TIME_LIMIT_S = 3600
LOGIT_TOLERANCE = 1e-5  # as on the parity ladder
STEP_TOLERANCE = 1e-6  # by norm, since rounding changes single elements by more


@dataclass(frozen=True)
class Difference:
    """Result of one comparison of the two sides.

    Attributes:
        value: the largest difference, as a share of the source's values.
        first_failed: the first array, in the order of the layers, that differs by more
            than `tolerance`.
    """

    name: str
    value: float
    tolerance: float
    first_failed: str | None

    @property
    def passed(self) -> bool:
        return self.first_failed is None


@dataclass(frozen=True)
class Conversion:
    """Converted checkpoint with the comparisons between it and its source.

    Attributes:
        checkpoint: the written file in the scratch folder.
        counts: number of converted arrays of each part.
        logits: logits of the same images by the destination's side and the source's.
    """

    checkpoint: Path
    counts: dict[str, int]
    logits: tuple[np.ndarray, np.ndarray]
    differences: tuple[Difference, ...]

    @property
    def passed(self) -> bool:
        return all(difference.passed for difference in self.differences)


def give(source: Path, images: Path, scratch: Path, ask: Ask) -> Path:
    """Store a checkpoint's arrays, and its results on its own side, in one file.

    Args:
        images: folder in the decode cache; some of its test images are used.
        scratch: folder for the converted checkpoint and large arrays.
        ask: lets a worker do the job of a request.

    Raises:
        UserError: the checkpoint cannot be used.
        ArmFailed: a worker failed.
    """
    giver = arm_of(source)
    request = HandOver(
        arm=giver,
        config=_config_of(source),
        scratch=scratch.resolve() / giver,
        data=images.resolve(),
        checkpoint=source.resolve(),
    )
    given = ask(request)["arrays"]
    _require_finite(source, dict(np.load(given)))
    return Path(given)


def take(
    source: Path, images: Path, scratch: Path, ask: Ask, given: Path
) -> Conversion:
    """Convert the arrays that `give` stored for the other side, and compare both sides.

    The other side writes its checkpoint, loads it again, and runs it on the same
    images.
    """
    taker = {"pytorch": "keras", "keras": "pytorch"}[arm_of(source)]
    request = TakeOver(
        arm=taker,
        config=_config_of(source),
        scratch=scratch.resolve() / taker,
        data=images.resolve(),
        checkpoint=source.resolve(),
        arrays=given,
    )
    reference, done = dict(np.load(given)), ask(request)
    found = dict(np.load(done["arrays"]))
    return Conversion(
        checkpoint=Path(done["checkpoint"]),
        counts=_count(reference),
        logits=(found["logits"], reference["logits"]),
        differences=tuple(compare(found, reference)),
    )


def _config_of(source: Path) -> Config:
    return read_description(source).config.model_copy(update={"device": "cpu"})


def compare(found: Arrays, reference: Arrays) -> Iterator[Difference]:
    """Compare the arrays and results of the destination with those of the source.

    Args:
        found, reference: arrays as `bench.worker.conversion` stores them.
    """
    for name, prefix, measure, tolerance in (
        ("weights", MODEL, _largest_change, 0.0),
        ("optimizer state", OPTIMIZER, _largest_change, 0.0),
        ("logits", "logits", max_scaled_diff, LOGIT_TOLERANCE),
        ("classes not predicted alike", "logits", _disagreement, 0.0),
        ("head after one more step", STEPPED, relative_distance, STEP_TOLERANCE),
    ):
        names = [key for key in reference | found if key.startswith(prefix)]
        measured = {
            key: comparable(measure, found.get(key), reference.get(key))
            for key in names
        }
        failed = [key for key in names if not measured[key] <= tolerance]
        if measured:
            yield Difference(
                name, max(measured.values()), tolerance, failed[0] if failed else None
            )


def _largest_change(values: np.ndarray, reference: np.ndarray) -> float:
    """Return the largest difference of an element, which is defined for zeros too."""
    return float(np.abs(values - reference).max())


def _disagreement(logits: np.ndarray, reference: np.ndarray) -> float:
    return 1 - top1_agreement(logits, reference)


def _require_finite(source: Path, arrays: Arrays) -> None:
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise UserError(
                f"{source}: '{name}' contains NaN or infinity and cannot be compared. "
                "Train again with a lower learning rate."
            )


def _count(arrays: Arrays) -> dict[str, int]:
    """Return the number of arrays of each part."""
    model = below(MODEL, arrays)
    head = sum(name.startswith("head.") for name in model)
    kernels = sum(array.ndim == 4 for array in model.values())
    return {
        "backbone": kernels,
        "batch norm": len(model) - kernels - head,
        "head": head,
        "optimizer state": len(below(OPTIMIZER, arrays)),
    }


def convert_file(
    source: Path,
    destination: Path,
    data: str,
    skip_bad_images: bool,
    display: Display,
) -> Conversion:
    """Convert `source`, and write the result to `destination` if both sides agree.

    Args:
        data: 'synthetic', or a folder with the classes of the checkpoint.

    Raises:
        UserError: an input is invalid; nothing is written.
        ArmFailed: a worker failed; nothing is written.
    """
    if arm_of(source) == arm_of(destination):
        raise UserError(
            f"{source} and {destination} are of the same kind. Give a .safetensors and "
            "a .weights.h5 file. To copy a checkpoint, copy its .json file as well."
        )
    if not destination.name.endswith(suffix := SUFFIXES[arm_of(destination)]):
        raise UserError(
            f"{destination}: the converted checkpoint belongs to the matched division. "
            f"Give it a name such as moved{suffix}."
        )
    description = as_matched(_read_convertible(source))
    require_replaceable(destination, description)
    images = _prepare_images(data, description, skip_bad_images, display)

    def ask(request: Request) -> dict:
        listen = partial(display.on_event, request.arm)
        return run_worker(request, listen, TIME_LIMIT_S)

    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        what = source, images.folder, Path(scratch), ask
        conversion = take(*what, give(*what))
        if conversion.passed:
            with atomic_path(destination) as temporary:
                shutil.copyfile(conversion.checkpoint, temporary)
            write_description(destination, description, read_record(source).epoch)
    return conversion


def _read_convertible(source: Path) -> Description:
    description = read_description(source)
    if description.config.division == "plain" and arm_of(source) == "keras":
        raise UserError(
            f"{source}: this is a Keras checkpoint of the plain division. Its network "
            "pads in a way for which PyTorch's network has no layer [D03]. Train it "
            "with --division matched."
        )
    return description


def require_replaceable(destination: Path, description: Description) -> None:
    """Check that a checkpoint with this description may be written to `destination`.

    Raises:
        UserError: the folder cannot be written, or the file exists and is no earlier
            checkpoint with the same name, classes and head size.
    """
    require_writable(next(f for f in destination.absolute().parents if f.exists()))
    beside = record_file(destination)
    if not beside.exists():
        if destination.exists():
            raise UserError(
                f"{destination}: this file exists but is no checkpoint, since "
                f"{beside.name} is missing. Remove it or give another name."
            )
        return
    there = read_record(destination)
    if there.weights != destination.name:
        raise UserError(
            f"{destination}: its description would replace {beside}, which belongs to "
            f"{there.weights}. Give another name or folder."
        )
    if _outputs(there) != _outputs(description):
        raise UserError(
            f"{destination}: this is a checkpoint of another classifier, with "
            f"{_outputs(there)}. The source has {_outputs(description)}. Give another "
            "name."
        )


def _outputs(description: Description) -> str:
    classes = ", ".join(description.classes)
    return f"inner_size {description.config.inner_size} and the classes {classes}"


def _prepare_images(
    data: str, description: Description, skip_bad_images: bool, display: Display
) -> ImageData:
    images = prepare_data(data, description.config, skip_bad_images, display)
    if data != "synthetic" and images.classes != description.classes:
        raise UserError(
            f"--data {data}: its classes are {', '.join(images.classes)}, but the "
            f"checkpoint's are {', '.join(description.classes)}. Give a folder with "
            "these classes, or leave --data out to use the embedded images."
        )
    return images


def print_conversion(
    conversion: Conversion, destination: Path, console: Console
) -> None:
    """Print the converted parts, the differences, and how to load the result."""
    parts = Table("Converted", "Arrays")
    for part, count in conversion.counts.items():
        parts.add_row(part, str(count or "none: the source has none"))
    console.print(parts)
    table = Table("Compared", "Difference", "Tolerance", "Verdict")
    for row in conversion.differences:
        verdict = "agree" if row.passed else "DIFFER"
        table.add_row(row.name, f"{row.value:.1e}", f"{row.tolerance:g}", verdict)
    console.print(table)
    failed = [row for row in conversion.differences if not row.passed]
    if failed:
        text = f"Not written: {destination}. The two sides differ\n" + "\n".join(
            f"  in {row.name}, first at {row.first_failed}" for row in failed
        )
    else:
        text = (
            f"Written: {destination} and {record_file(destination).name}. In Python:\n"
            f"  from {arm_of(destination)}_impl.matched.checkpoint "
            "import load_checkpoint\n"
            f'  model, description = load_checkpoint(Path("{destination}"))'
        )
    console.print(text, markup=False, soft_wrap=True)
