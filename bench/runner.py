"""The main job: train every arm, compare them, and keep one record of it all."""

import hashlib
import os
import shlex
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from bench.comparison import compare_arms, compare_timing, make_checks
from bench.display import Display
from bench.environment import describe_environment
from bench.inputs import (
    check_weights_choice,
    prepare_data,
    prepare_weights,
    store_weights,
)
from bench.onnx_runtime import OnnxClassifier, compare_with_reference
from bench.processes import ArmFailed, run_worker
from bench.request import Request
from bench.statistics import Rounds, summarise
from shared.clock import now
from shared.config import ONNX_BATCH_SIZES, ONNX_OPSET, Config
from shared.dataset import ImageData
from shared.errors import UserError
from shared.files import (
    atomic_path,
    cache_folder,
    require_free_space,
    require_writable,
)
from shared.metrics import max_scaled_diff, top1_agreement
from shared.records import (
    ArmRecord,
    ComparisonRecord,
    DataRecord,
    OnnxCross,
    OnnxRecord,
    Results,
    RunRecord,
    SkippedImage,
    WeightsRecord,
    write_results,
)
from shared.sampling import TIMING, stream
from shared.weights import Weights

OURS = {"results.json", "report.md", "report.html", "log.jsonl", "models"}
OUTPUT_BYTES = 200 * 2**20  # checkpoints, graphs and reports of one run
CROSS_BATCH = 32


@dataclass(frozen=True)
class Options:
    """What the user asked for, checked."""

    config: Config
    arms: tuple[str, ...]
    output: Path
    data: str | None = None
    weights: str | None = None
    skip_bad_images: bool = False
    time_limit_s: float = 7200


@dataclass
class Run:
    """A run under way: its inputs, and what is finished so far."""

    options: Options
    display: Display
    scratch: Path
    data: ImageData
    weights: Weights
    weights_file: Path
    start: float = field(default_factory=now)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    arms: dict[str, ArmRecord] = field(default_factory=dict)
    threads: dict[str, int | None] = field(default_factory=dict)
    comparison: ComparisonRecord | None = None
    not_run: list[str] = field(default_factory=list)
    started: bool = False
    complete: bool = False

    @property
    def finished(self) -> list[str]:
        """Arms that ran to their end."""
        return [name for name, arm in self.arms.items() if arm.status == "ok"]

    def miss(self, what: str) -> None:
        """Note what was asked for and has no result: the run is not complete."""
        self.not_run.append(what)
        self.failures += 1

    failures: int = 0


class Interrupted(KeyboardInterrupt):
    """The user stopped the run; `results` holds what was finished, if anything."""

    results: Results | None = None


def run_benchmark(options: Options, display: Display) -> Results:
    """Train, evaluate, export and time every arm; write `results.json`.

    What is finished is kept when an arm fails or the user interrupts.

    Raises:
        UserError: an input is at fault; nothing of this run is left behind.
        Interrupted: after what is finished was written.
    """
    output = options.output.absolute()
    with _only_run(output):
        missing = [
            folder for folder in (output, *output.parents) if not folder.exists()
        ]
        require_output(output)
        run = None
        try:
            with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
                run = _prepare(options, display, Path(scratch))
                clear_output(output)
                _do_everything(run)
                return _record(run)
        except BaseException as error:
            if run and run.finished:  # what is finished is worth keeping
                run.not_run.append(f"the rest: {_in_words(error)}")
                results = _record(run)
            else:
                results = None
                _remove_traces(run, output, missing)
            if isinstance(error, KeyboardInterrupt):
                stop = Interrupted()
                stop.results = results
                raise stop from error
            raise


@contextmanager
def _only_run(output: Path) -> Iterator[None]:
    """Hold the output folder against another run that is told to write there."""
    name = hashlib.sha256(str(output).encode()).hexdigest()[:16]
    folder = cache_folder() / "locks"
    require_writable(folder)
    try:
        with FileLock(folder / name, timeout=0):
            yield
    except Timeout as error:
        raise UserError(
            f"--output {output}: another run writes there now. Give another folder."
        ) from error


def _remove_traces(run: Run | None, output: Path, missing: list[Path]) -> None:
    """Leave the disk as it was; an earlier run's files are gone once training began."""
    if run and run.started:
        clear_output(output)
    for folder in missing:  # innermost first; each is empty by now
        shutil.rmtree(folder) if folder == output else folder.rmdir()


def _in_words(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted by the user"
    return f"{type(error).__name__}: {error}"


def require_output(output: Path) -> None:
    """Prove that a run can write its results to this folder.

    Raises:
        UserError: the folder cannot be written, has no room, or holds other files.
    """
    strangers = sorted(set(os.listdir(output)) - OURS) if output.is_dir() else []
    if strangers:
        raise UserError(
            f"--output {output}: the folder holds other files ({strangers[0]}). Give a "
            "new folder, or one of an earlier run."
        )
    require_writable(output)
    require_free_space(output, OUTPUT_BYTES)


def clear_output(output: Path) -> None:
    """Remove an earlier run's files, so that nothing of it passes for this one's."""
    shutil.rmtree(output / "models", ignore_errors=True)
    for name in OURS - {"models"}:
        (output / name).unlink(missing_ok=True)


def _prepare(options: Options, display: Display, scratch: Path) -> Run:
    config = options.config
    check_weights_choice(options.weights)
    data = prepare_data(options.data, config, options.skip_bad_images, display)
    weights = prepare_weights(options.weights, config, data, display)
    run = Run(options, display, scratch, data, weights, store_weights(weights, scratch))
    if config.device == "cuda":  # all of them, before one trains for nothing
        for arm in options.arms:
            _work(run, "probe", arm, scratch / "probe")
    return run


def _do_everything(run: Run) -> None:
    run.started = True
    for arm in run.options.arms:
        _train(run, arm)
        _record(run)  # a later failure cannot take it away
    if len(run.finished) >= 2:
        _compare(run, (run.finished[0], run.finished[1]))
    else:
        run.not_run.append("comparison: it needs two arms that ran")
    _measure(run)
    run.complete = len(run.finished) == len(run.options.arms) and not run.failures


def _train(run: Run, arm: str) -> None:
    try:
        done = _work(run, "train", arm, run.scratch / arm)
    except (ArmFailed, UserError) as reason:
        if isinstance(reason, UserError) and not run.finished:
            raise
        run.arms[arm] = ArmRecord(status=f"not run: {reason}")
        run.display.say(f"{arm}: not run: {reason}", "red")
        return
    record = run.arms[arm] = ArmRecord.model_validate(done["arm"])
    run.threads[arm] = done["threads"]
    run.display.say(f"{arm}: test accuracy {record.test.accuracy:.4f}, {record.device}")
    try:
        record.onnx = _check_onnx(run, arm)
    except (UserError, ValueError) as reason:
        run.not_run.append(f"{arm}: ONNX check: {reason}")


def _check_onnx(run: Run, arm: str) -> OnnxRecord:
    """Every test image through onnxruntime, against the framework's own logits."""
    run.display.show(f"{arm}: checking with onnxruntime")
    path = run.options.output / "models" / f"{arm}.onnx"
    return OnnxRecord(
        path=path.relative_to(run.options.output).as_posix(),
        bytes=path.stat().st_size,
        opset=ONNX_OPSET,
        parity=compare_with_reference(
            OnnxClassifier(path),
            run.data.splits["test"].images,
            np.load(run.scratch / arm / "test_logits.npy"),
            ONNX_BATCH_SIZES,
        ),
    )


def _work(run: Run, job: str, arm: str, scratch: Path, **more: Path) -> dict:
    options = run.options
    request = Request(
        job=job,
        arm=arm,
        config=options.config,
        scratch=scratch,
        data=run.data.folder.resolve(),
        weights=run.weights_file,
        models=(options.output / "models").resolve(),
        **more,
    )
    return run_worker(
        request, lambda event: run.display.on_event(arm, event), options.time_limit_s
    )


def _compare(run: Run, names: tuple[str, str]) -> None:
    first, second = names
    labels = run.data.splits["test"].labels
    seed = run.options.config.seed
    arms = run.arms[first], run.arms[second]
    run.comparison = compare_arms(names, arms, labels, seed)
    if run.options.config.features_are_cached:
        files = [run.scratch / name / "features.npy" for name in names]
        features = [np.load(file) for file in files]
        run.comparison.features_max_scaled_diff = max_scaled_diff(*features)
    else:
        run.not_run.append("check of the backbone features: none were computed apart")
    if set(names) == {"pytorch", "keras"} and all(arm.onnx for arm in arms):
        _cross(run)


def _cross(run: Run) -> None:
    """PyTorch's trained classifier, moved into Keras, exported by each side."""
    models = run.options.output / "models"
    run.display.say("onnx_cross: PyTorch's classifier, exported by Keras as well")
    try:
        done = _work(
            run,
            "export_checkpoint",
            "keras",
            run.scratch / "cross",
            checkpoint=(run.options.output / run.arms["pytorch"].checkpoint).resolve(),
        )
    except ArmFailed as reason:
        run.miss(f"onnx_cross: {reason}")
        return
    path = models / "pytorch-in-keras.onnx"
    with atomic_path(path) as temporary:
        shutil.copyfile(done["path"], temporary)
    images = run.data.splits["test"].images
    logits, reference = (
        OnnxClassifier(file).all_logits(images, CROSS_BATCH)
        for file in (path, models / "pytorch.onnx")
    )
    run.comparison.onnx_cross = OnnxCross(
        images=len(images),
        max_scaled_diff=max_scaled_diff(logits, reference),
        top1_agreement=top1_agreement(logits, reference),
        logit_spread=float(reference.std()),
    )


def _measure(run: Run) -> None:
    """Time each arm in fresh processes, in an order shuffled anew every round."""
    config, arms = run.options.config, run.finished
    if config.timing_rounds == 0:
        run.not_run.append("timing: it was not asked for")
        return
    rounds: dict[str, dict[str, Rounds]] = {arm: {} for arm in arms}
    random = stream(config.seed, TIMING)
    batch_size = 0
    for number in range(1, config.timing_rounds + 1):
        for arm in random.permutation(arms).tolist():
            run.display.say(f"timing round {number}/{config.timing_rounds}: {arm}")
            try:
                done = _work(run, "time_phases", arm, run.scratch / "timing")
            except ArmFailed as reason:
                run.miss(f"timing round {number} of {arm}: {reason}")
                continue
            batch_size = done["batch_size"]
            for phase, samples in done["phases"].items():
                rounds[arm].setdefault(phase, []).append(samples)
    for arm in arms:
        run.arms[arm].timing = {
            phase: summarise(samples, _images_in(phase, batch_size))
            for phase, samples in rounds[arm].items()
        }
    if run.comparison:
        _compare_timing(run, rounds)


def _compare_timing(run: Run, rounds: dict[str, dict[str, Rounds]]) -> None:
    names = run.comparison.arms
    devices = [run.arms[name].device for name in names]
    if devices[0] != devices[1]:
        run.not_run.append(
            f"ratios of times: {names[0]} ran on {devices[0]}, {names[1]} on "
            f"{devices[1]}, so they would compare devices and not frameworks"
        )
    elif run.options.config.timing_rounds < 2:
        run.not_run.append("ratios of times: they need two timing rounds")
    else:
        run.comparison.timing = compare_timing(names, rounds)


def _images_in(phase: str, batch_size: int) -> int | None:
    return None if phase in ("import", "build") else batch_size


def _record(run: Run) -> Results:
    """Write down everything that is finished."""
    options, data, weights = run.options, run.data, run.weights
    results = Results(
        status="complete" if run.complete else "partial",
        division=options.config.division,
        run=RunRecord(
            id=uuid.uuid4().hex[:12],
            command=_command(options),
            started_at=run.started_at.isoformat(timespec="seconds"),
            seconds=now() - run.start,
            seed=options.config.seed,
        ),
        environment=describe_environment(run.threads),
        data=DataRecord(
            name=data.name,
            source=data.source,
            fingerprint=data.fingerprint,
            classes=list(data.classes),
            counts={name: len(split.labels) for name, split in data.splits.items()},
            skipped=[SkippedImage(file=f, reason=why) for f, why in data.skipped],
            notice=data.notice,
        ),
        weights=WeightsRecord(
            source=weights.source,
            fingerprint=weights.fingerprint,
            mean=list(weights.mean),
            std=list(weights.std),
            notice=weights.notice,
        ),
        config=options.config.model_dump(),
        arms=run.arms,
        comparison=run.comparison,
        checks=make_checks(run.arms, run.comparison),
        not_run=run.not_run,
    )
    write_results(results, options.output / "results.json")
    return results


def _command(options: Options) -> str:
    """The command as it can be pasted, inputs from the environment included."""
    given = {"BENCH_DATA": options.data, "BENCH_WEIGHTS": options.weights}
    used = [
        f"{name}={shlex.quote(os.environ[name])}"
        for name, option in given.items()
        if option is None and os.environ.get(name)
    ]
    return " ".join([*used, shlex.join(["python", "-m", "bench", *sys.argv[1:]])])
