"""The main job: train every arm, compare them, and keep one record of it all."""

import os
import shlex
import shutil
import sys
import tempfile
import uuid
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import numpy as np

from bench.comparison import compare_arms, make_checks
from bench.display import Display
from bench.environment import describe_environment
from bench.inputs import (
    check_weights_choice,
    prepare_data,
    prepare_weights,
    store_weights,
)
from bench.ledger.ledger import keep_ledger
from bench.onnx_runtime import OnnxClassifier, compare_with_reference
from bench.output import claim_output
from bench.parity import (
    ONNX_BATCH,
    ONNX_LOGITS,
    Processes,
    climb,
    ladder_arms,
    switches_of,
    write_parity,
)
from bench.photos import make_photos
from bench.processes import (
    ArmFailed,
    WorkerProcess,
    environment_of,
    together_by_name,
)
from bench.request import PAIR
from bench.run import Options, Run, ask, start_worker, work
from bench.timing.control import run_control
from bench.timing.idioms import climb_idioms
from bench.timing.scaling import measure_scaling
from bench.timing.timing import measure_times
from shared.clock import now
from shared.config import ONNX_BATCH_SIZES, ONNX_OPSET
from shared.errors import UserError
from shared.files import atomic_path
from shared.folders import link_images
from shared.metrics import max_scaled_diff, near_tie, top1_agreement
from shared.records import (
    ArmRecord,
    ComparisonRecord,
    DataRecord,
    DifferingImage,
    OnnxCross,
    OnnxRecord,
    Results,
    RunRecord,
    SkippedImage,
    WeightsRecord,
    write_results,
)

ACROSS = "pytorch-in-keras.onnx"


class Interrupted(KeyboardInterrupt):
    """The user stopped the run; `results` holds what was finished and is written."""

    def __init__(self, results: Results) -> None:
        super().__init__()
        self.results = results


def run_benchmark(options: Options, display: Display) -> Results:
    """Do the parts that the options name; write `results.json`.

    What is finished is kept when an arm fails or the user interrupts.

    Raises:
        UserError: an input is at fault; nothing of this run is left behind.
        Interrupted: the user stopped it, and what was finished is written.
    """
    with (
        claim_output(options.output) as claim,
        tempfile.TemporaryDirectory(prefix="bench-") as scratch,
    ):
        run = _prepare(options, display, Path(scratch))
        claim.begin(lambda: _record(run))
        display.log_to(options.output / "log.jsonl")
        try:
            _do_everything(run)
        except BaseException as error:
            if not run.has_results:
                raise
            claim.keep = True  # what is finished is worth it
            run.not_run.append(f"the rest: {_in_words(error)}")
            results = _record(run)
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted(results) from error
            raise
        claim.keep = True
        return _record(run)


def _in_words(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted by the user"
    return f"{type(error).__name__}: {error}"


def _prepare(options: Options, display: Display, scratch: Path) -> Run:
    config = options.config
    check_weights_choice(options.weights)
    data = prepare_data(options.data, config, options.skip_bad_images, display)
    weights = prepare_weights(options.weights, config, data, display)
    run = Run(options, display, scratch, data, weights, store_weights(weights, scratch))
    if config.division == "plain":
        run.folders = link_images(data, scratch / "images")
    if config.device == "cuda" or run.folders or options.switches:
        _probe(run)
    return run


def _probe(run: Run) -> None:
    """Let each arm look for its device, images and switches before one trains."""
    for arm in run.options.arms:
        # An arm that cannot even do this is reported when it comes to train.
        with suppress(ArmFailed):
            switches = switches_of(run, arm)
            work(run, "probe", arm, run.scratch / "probe", switches=switches)


def _do_everything(run: Run) -> None:
    if run.options.train or run.options.climb:
        with ExitStack() as stack:
            processes = {
                arm: stack.enter_context(start_worker(run)) for arm in run.options.arms
            }
            if run.options.train:
                _train_all(run, processes)
            if run.options.climb:
                _climb(run, processes)
    if run.options.timing == "control":
        run_control(run)
    elif run.options.timing == "scaling":
        measure_scaling(run)
    elif run.options.timing == "ladder":
        climb_idioms(run)
    elif run.options.timing:
        measure_times(run, thorough=run.options.timing == "thorough")
    if run.options.differences:
        run.ledger = keep_ledger(run)
    run.complete = len(run.finished) == len(run.arms) and not run.failures


def _train_all(run: Run, processes: Processes) -> None:
    """Train each arm while no other works, then export all of them side by side."""
    for arm in run.options.arms:
        _train(run, arm, processes[arm])
        _record(run)  # a later failure cannot take it away
    together_by_name(
        {arm: partial(_export, run, arm, processes[arm]) for arm in run.finished}
    )
    if len(run.finished) >= 2:
        _compare_arms(run)
    else:
        run.not_run.append("comparison: it needs two arms that ran")


def _climb(run: Run, processes: Processes) -> None:
    if not ladder_arms(run).keys() >= set(PAIR):
        run.not_run.append("parity ladder: it needs pytorch and a Keras arm")
        return
    try:
        run.parity = climb(run, processes)
    except ArmFailed as reason:
        run.miss(f"parity ladder: {reason}")
        return
    write_parity(run.parity, run.options.output)


def _train(run: Run, arm: str, process: WorkerProcess) -> None:
    try:
        done = ask(run, process, "train", arm, run.scratch / arm)
    except (ArmFailed, UserError) as reason:
        if isinstance(reason, UserError) and not run.finished:
            raise
        run.arms[arm] = ArmRecord(status=f"not run: {reason}")
        run.display.say(f"{arm}: not run: {reason}", "red")
        return
    record = run.arms[arm] = ArmRecord.model_validate(done["arm"])
    run.threads[arm] = done["threads"]
    run.display.say(f"{arm}: test accuracy {record.test.accuracy:.4f}, {record.device}")


def _export(run: Run, arm: str, process: WorkerProcess) -> None:
    """Write an arm's graph and check it with onnxruntime.

    Keras also writes one of PyTorch's classifier, to compare the two exporters.
    """
    if run.options.config.is_rounded:  # it would round in other places
        run.not_run.append(f"{arm}: ONNX: its graph is float32, the run was bfloat16")
        return
    try:
        done = ask(run, process, "export_trained", arm, run.scratch / f"{arm}-export")
        run.arms[arm].stages["export"] = done["seconds"]
        if arm == "keras" and "pytorch" in run.finished:
            _export_across(run, process)
        run.arms[arm].onnx = _check_onnx(run, arm)
    except ArmFailed as reason:
        run.miss(f"{arm}: export: {reason}")
    except (UserError, ValueError) as reason:  # a check fails where there is no result
        run.not_run.append(f"{arm}: ONNX check: {reason}")


def _export_across(run: Run, process: WorkerProcess) -> None:
    """PyTorch's trained classifier, moved into Keras and exported there."""
    if run.options.config.division == "plain":
        return
    output = run.options.output
    checkpoint = (output / run.arms["pytorch"].checkpoint).resolve()
    more = {"checkpoint": checkpoint}
    done = ask(
        run, process, "export_checkpoint", "keras", run.scratch / "cross", **more
    )
    with atomic_path(output / "models" / ACROSS) as temporary:
        shutil.copyfile(done["path"], temporary)


def _check_onnx(run: Run, arm: str) -> OnnxRecord:
    """Every test image through onnxruntime, against the framework's own logits."""
    run.display.show(f"{arm}: checking with onnxruntime")
    path = run.options.output / "models" / f"{arm}.onnx"
    graph, images = OnnxClassifier(path), run.data.splits["test"].images
    logits = {size: graph.all_logits(images, size) for size in ONNX_BATCH_SIZES}
    np.save(run.scratch / arm / ONNX_LOGITS, logits[ONNX_BATCH])
    return OnnxRecord(
        path=path.relative_to(run.options.output).as_posix(),
        bytes=path.stat().st_size,
        opset=ONNX_OPSET,
        parity=compare_with_reference(
            logits, np.load(run.scratch / arm / "test_logits.npy")
        ),
    )


def _compare_arms(run: Run) -> None:
    """The first arm with each other one, and one classifier exported by both sides."""
    arms = {name: run.arms[name] for name in run.finished}
    labels, config = run.data.splits["test"].labels, run.options.config
    run.comparison, *run.further = compare_arms(arms, labels)
    for found in run.comparisons:
        found.differing = _differing(run, found.arms)
    if config.division == "plain":
        run.not_run.append(
            "check of the backbone features, and exports across the two sides: the two "
            "networks of the plain division are not the same function"
        )
        return
    if not config.features_are_cached:
        run.not_run.append("check of the backbone features: none were computed apart")
    elif config.is_rounded:
        run.not_run.append("check of the backbone features: bfloat16 has three digits")
    else:
        for found in run.comparisons:
            _compare_features(run, found)
    if set(PAIR) <= set(run.finished) and all(run.arms[arm].onnx for arm in PAIR):
        _compare_graphs(run)


def _compare_features(run: Run, found: ComparisonRecord) -> None:
    features = [
        np.load(run.scratch / name / "validation-features.npy") for name in found.arms
    ]
    found.features_max_scaled_diff = max_scaled_diff(*features)


def _differing(run: Run, names: tuple[str, str]) -> list[DifferingImage]:
    """The test images for which two arms predict two classes."""
    logits = [np.load(run.scratch / name / "test_logits.npy") for name in names]
    classes, split = run.data.classes, run.data.splits["test"]
    predicted = [one.argmax(axis=1) for one in logits]
    tied = near_tie(logits[0]) | near_tie(logits[1])
    margins = [np.diff(np.sort(one, axis=1)[:, -2:]).ravel() for one in logits]
    return [
        DifferingImage(
            file=split.files[i],
            predicted=tuple(classes[one[i]] for one in predicted),
            margins=tuple(float(one[i]) for one in margins),
            within_rounding=bool(tied[i]),
        )
        for i in np.flatnonzero(predicted[0] != predicted[1])
    ]


def _compare_graphs(run: Run) -> None:
    """PyTorch's trained classifier, exported by each side."""
    images = run.data.splits["test"].images
    graph = OnnxClassifier(run.options.output / "models" / ACROSS)
    logits = graph.all_logits(images, ONNX_BATCH)
    reference = np.load(run.scratch / "pytorch" / ONNX_LOGITS)
    run.comparison.onnx_cross = OnnxCross(
        images=len(images),
        max_scaled_diff=max_scaled_diff(logits, reference),
        top1_agreement=top1_agreement(logits, reference),
        logit_spread=float(reference.std()),
    )


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
        environment=describe_environment(run.threads, environment_of(options.config)),
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
            licence=weights.licence,
            notice=weights.notice,
        ),
        config=options.config.model_dump(),
        arms=run.arms,
        comparison=run.comparison,
        further=run.further,
        parity=run.parity,
        ledger=run.ledger,
        timing=run.timing,
        scaling=run.scaling,
        idioms=run.idioms,
        photos=make_photos(run),
        checks=make_checks(
            run.arms,
            *(run.comparisons, run.parity, run.timing, run.scaling, run.idioms),
        ),
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
