"""The command line: `python -m bench COMMAND`, each command a small class.

Exit status: 0 done, 1 a check failed, 2 the input is at fault, 3 an arm could not run,
130 interrupted.
"""

import dataclasses
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from tyro.conf import OmitArgPrefixes, Positional, arg, subcommand

from bench.display import Display
from bench.processes import ArmFailed, run_worker
from bench.request import ARMS
from shared.config import Config, make_config
from shared.errors import UserError
from shared.records import read_results

MAX_MINUTES = 60 * 24 * 30
DONE, CHECK_FAILED, USER_ERROR, ARM_NOT_RUN, INTERRUPTED = 0, 1, 2, 3, 130


def _settings_class() -> type:
    """`Config`'s fields as options; `make_config` checks their values."""
    fields = [
        (
            name,
            Annotated[info.annotation, arg(help=info.description)],
            field(default=info.default),
        )
        for name, info in Config.model_fields.items()
    ]
    return dataclasses.make_dataclass("Settings", fields, frozen=True)


Settings = _settings_class()


@dataclass(frozen=True)
class Inputs:
    """What to work on."""

    data: str | None = None
    """Folder with train, validation and test, or 'synthetic'. Without it: $BENCH_DATA,
    the public clothing data set by download, or the embedded one with no network."""
    weights: str | None = None
    """.safetensors, .pth or .h5 file, or torchvision, keras, random. Without it:
    $BENCH_WEIGHTS, torchvision's by download, or random with no network."""
    arms: str = ",".join(ARMS)
    """Which sides to run, with commas between them."""
    output: Path | None = None
    """Folder for results, report and models (default: reports/DATE-TIME)."""
    skip_bad_images: bool = False
    """Leave out files that cannot be decoded; the report counts them."""
    time_limit_minutes: float = 120
    """An arm that takes longer is stopped and reported as not run."""


@dataclass(frozen=True)
class Train:
    """Train, evaluate and export each arm; no timing."""

    inputs: OmitArgPrefixes[Inputs]
    settings: OmitArgPrefixes[Settings]

    def execute(self, console: Console) -> int:
        untimed = dataclasses.replace(self.settings, timing_rounds=0)
        return _run(self.inputs, untimed, console)


@dataclass(frozen=True)
class All:
    """Train every arm, compare, time and export them, and write a report."""

    inputs: OmitArgPrefixes[Inputs]
    settings: OmitArgPrefixes[Settings]

    def execute(self, console: Console) -> int:
        return _run(self.inputs, self.settings, console)


@dataclass(frozen=True)
class Parity:
    """Show rung by rung that both sides compute the same; exit status 1 if not."""

    inputs: OmitArgPrefixes[Inputs]
    settings: OmitArgPrefixes[Settings]

    def execute(self, console: Console) -> int:
        from bench.parity import print_parity
        from bench.runner import run_parity

        # Dropout draws its masks apart on each side: the ladder climbs without it.
        settings = dataclasses.replace(self.settings, dropout=0.0)
        options = _options(self.inputs, settings)
        if options.config.division != "matched":
            raise UserError(
                f"--division {options.config.division}: parity is the matched "
                "division's; the two programs of the other differ by design."
            )
        if set(options.arms) != set(ARMS):
            raise UserError(f"--arms {self.inputs.arms}: parity needs both arms.")
        with Display(console, options.output / "log.jsonl") as display:
            record = run_parity(options, display)
        print_parity(record, console)
        console.print(f"Written to {options.output / 'parity.json'}", markup=False)
        return DONE if all(rung.passed for rung in record.rungs) else CHECK_FAILED


@dataclass(frozen=True)
class Prepare:
    """Find, check and decode the images, and fetch the weights."""

    inputs: OmitArgPrefixes[Inputs]
    settings: OmitArgPrefixes[Settings]

    def execute(self, console: Console) -> int:
        from bench.inputs import prepare_data, prepare_weights

        config = make_config(**vars(self.settings))
        with Display(console) as display:
            data = prepare_data(
                self.inputs.data, config, self.inputs.skip_bad_images, display
            )
            prepare_weights(self.inputs.weights, config, data, display)
        return DONE


@dataclass(frozen=True)
class Export:
    """Export a checkpoint of either side to ONNX."""

    checkpoint: Positional[Path]
    """best.safetensors (PyTorch) or best.weights.h5 (Keras) of a run."""
    output: Path = Path("model.onnx")
    """The file to write."""

    def execute(self, console: Console) -> int:
        from bench.request import Request
        from shared.checkpoints import read_description
        from shared.files import atomic_path, require_writable

        if self.output.is_dir():
            raise UserError(f"--output {self.output}: a folder, give a file name.")
        description = read_description(self.checkpoint)
        require_writable(self.output.parent)
        arm = "pytorch" if self.checkpoint.suffix == ".safetensors" else "keras"
        with Display(console) as display, tempfile.TemporaryDirectory() as scratch:
            request = Request(
                job="export_checkpoint",
                arm=arm,
                config=description.config.model_copy(update={"device": "cpu"}),
                scratch=scratch,
                checkpoint=self.checkpoint.resolve(),
            )
            done = run_worker(request, lambda e: display.on_event(arm, e), 3600)
            with atomic_path(self.output) as temporary:
                shutil.copyfile(done["path"], temporary)
        console.print(f"{self.output}: {', '.join(description.classes)}", markup=False)
        return DONE


@dataclass(frozen=True)
class Predict:
    """Classify images with an exported file, without any framework."""

    images: Positional[tuple[str, ...]]
    """Image files, folders or http(s) addresses."""
    model: Path
    """An .onnx file of `all`, `train` or `export`."""
    top: int = 3
    """How many classes to name for each image."""

    def execute(self, console: Console) -> int:
        from bench.predict import predict

        if not self.images:
            raise UserError("predict: give at least one image, folder or address.")
        if self.top < 1:
            raise UserError(f"--top {self.top}: must be at least 1.")
        problems = 0
        for prediction in predict(list(self.images), self.model):
            ranking = list(prediction.probabilities.items())[: self.top]
            shown = "  ".join(f"{name} {share:.4f}" for name, share in ranking)
            text = prediction.problem or shown
            console.print(f"{prediction.image}: {text}", soft_wrap=True, markup=False)
            problems += prediction.problem is not None
        return USER_ERROR if problems else DONE


@dataclass(frozen=True)
class Report:
    """Write the report of a stored results.json again."""

    folder: Positional[Path]
    """Output folder of an earlier run."""

    def execute(self, console: Console) -> int:
        results = read_results(self.folder / "results.json")
        return _report(results, self.folder, console)


@dataclass(frozen=True)
class Doctor:
    """Check that this machine has what the benchmark needs."""

    def execute(self, console: Console) -> int:
        from bench.doctor import examine

        return DONE if examine(console) else ARM_NOT_RUN


COMMANDS = (All, Parity, Prepare, Train, Export, Predict, Report, Doctor)


def main(arguments: list[str] | None = None) -> int:
    """Parse and execute one command; returns the exit status."""
    union = tyro.conf.OmitSubcommandPrefixes[  # type: ignore[valid-type]
        _union(Annotated[c, subcommand(c.__name__.lower())] for c in COMMANDS)
    ]
    command = tyro.cli(
        union, prog="python -m bench", description=__doc__, args=arguments
    )
    console = Console(highlight=False)
    try:
        return command.execute(console)
    except UserError as error:
        Console(stderr=True, highlight=False).print(
            f"Error: {error}", style="red", markup=False, soft_wrap=True
        )
        return USER_ERROR
    except ArmFailed as error:
        print(f"Error: a worker process failed: {error}", file=sys.stderr)
        return ARM_NOT_RUN
    except KeyboardInterrupt:
        console.print("Interrupted.")
        return INTERRUPTED


def _union(commands):
    union = next(commands)
    for command in commands:
        union = union | command
    return union


def _options(inputs: Inputs, settings: Settings):
    from bench.run import Options

    return Options(
        config=make_config(**vars(settings)),
        arms=_parse_arms(inputs.arms),
        output=inputs.output or Path("reports", f"{datetime.now():%Y%m%d-%H%M%S}"),
        data=inputs.data,
        weights=inputs.weights,
        skip_bad_images=inputs.skip_bad_images,
        time_limit_s=_seconds(inputs.time_limit_minutes),
    )


def _run(inputs: Inputs, settings: Settings, console: Console) -> int:
    from bench.runner import Interrupted, run_benchmark

    options = _options(inputs, settings)
    output = options.output
    try:
        with Display(console, output / "log.jsonl") as display:
            results = run_benchmark(options, display)
    except Interrupted as stop:
        _report(stop.results, output, console)
        raise
    status = _report(results, output, console)
    return status if results.status == "complete" else ARM_NOT_RUN


def _report(results, folder: Path, console: Console) -> int:
    from bench.report import print_summary, write_report

    write_report(results, folder)
    print_summary(results, console, folder)
    return DONE if all(check.passed for check in results.checks) else CHECK_FAILED


def _parse_arms(text: str) -> tuple[str, ...]:
    arms = tuple(text.split(","))
    unknown = [arm for arm in arms if arm not in ARMS]
    if unknown or len(set(arms)) < len(arms):
        raise UserError(
            f"--arms {text}: allowed are {', '.join(ARMS)}, each once, with commas "
            "between them and no spaces."
        )
    return arms


def _seconds(minutes: float) -> float:
    if not 0 < minutes <= MAX_MINUTES:
        raise UserError(
            f"--time-limit-minutes {minutes:g}: allowed is more than 0, up to "
            f"{MAX_MINUTES}."
        )
    return minutes * 60
