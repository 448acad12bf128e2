"""The main job: train every arm, compare them, and keep one record of it all."""

import os
import shutil
import sys
import tempfile
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

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
from shared.files import require_free_space, require_writable
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
    complete: bool = False


def run_benchmark(options: Options, display: Display) -> Results:
    """Train, evaluate, export and time every arm; write `results.json`.

    What is finished is kept when an arm fails or the user interrupts.

    Raises:
        UserError: an input is at fault; the output folder is as it was, but for
            results of an earlier run if training had begun.
        KeyboardInterrupt: after what is finished was written.
    """
    existed = options.output.exists()
    require_output(options.output)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            run = _prepare(options, display, Path(scratch))
            clear_output(options.output)
            try:
                _do_everything(run)
            except KeyboardInterrupt:
                run.not_run.append("the rest: interrupted by the user")
                if any(arm.status == "ok" for arm in run.arms.values()):
                    _record(run)
                raise
            return _record(run)
    except UserError:
        if not existed:
            shutil.rmtree(options.output, ignore_errors=True)
        raise


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
    for arm in run.options.arms:
        _train(run, arm)
    finished = [name for name, arm in run.arms.items() if arm.status == "ok"]
    if len(finished) >= 2:
        _compare(run, (finished[0], finished[1]))
    else:
        run.not_run.append("comparison: it needs two arms that ran")
    _measure(run, finished)
    run.complete = len(finished) == len(run.options.arms)


def _train(run: Run, arm: str) -> None:
    try:
        done = _work(run, "train", arm, run.scratch / arm)
    except ArmFailed as reason:
        run.arms[arm] = ArmRecord(status=f"not run: {reason}")
        run.display.say(f"[red]{arm}: not run: {reason}[/red]")
        return
    record = run.arms[arm] = ArmRecord.model_validate(done["arm"])
    run.threads[arm] = done["threads"]
    record.onnx = _check_onnx(run, arm)
    run.display.say(
        f"{arm}: test accuracy {record.test.accuracy:.4f}, ONNX within "
        f"{record.onnx.parity.max_scaled_diff:.1e} of {arm} on {done['device']}"
    )


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
    files = [run.scratch / name / "validation_features.npy" for name in names]
    if all(file.is_file() for file in files):
        values, reference = (np.load(file) for file in files)
        run.comparison.features_max_scaled_diff = max_scaled_diff(values, reference)
    if set(names) == {"pytorch", "keras"}:
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
        run.not_run.append(f"onnx_cross: {reason}")
        return
    path = models / "pytorch-in-keras.onnx"
    shutil.move(done["path"], path)
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


def _measure(run: Run, arms: list[str]) -> None:
    """Time each arm in fresh processes, in an order shuffled anew every round."""
    config = run.options.config
    if config.timing_rounds == 0:
        run.not_run.append("timing: --timing-rounds is 0")
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
                run.not_run.append(f"timing round {number} of {arm}: {reason}")
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
        names = run.comparison.arms
        run.comparison.timing = compare_timing(names, rounds, config.seed)


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
            command=" ".join(["python -m bench", *sys.argv[1:]]),
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
