"""Run the benchmark: train every arm, compare the arms, and write one record."""

import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from bench.judging.comparison import compare_arms
from bench.processes.arms import FLOAT64_ARMS, PAIR
from bench.processes.request import ExportCheckpoint, ExportTrained, Probe, Train
from bench.processes.worker_process import ArmFailed, WorkerProcess, together_by_name
from bench.records import (
    ArmRecord,
    ComparisonRecord,
    DifferingImage,
    ParityRecord,
    Results,
)
from bench.run.devices import choose_device
from bench.run.display import Display
from bench.run.inputs import (
    check_weights_choice,
    prepare_data,
    prepare_weights,
    require_enough,
    store_weights,
)
from bench.run.journal import JOURNAL, Journal, read_parts
from bench.run.onnx_check import ACROSS, check_onnx, compare_graphs
from bench.run.output import claim_output
from bench.run.record import write_record
from bench.run.state import Options, Run, ask, start_worker, switches_of, work
from bench.studies.cells import (
    describe_inputs,
    leave_out_failed,
    make_record,
    run_experiments,
)
from bench.studies.control import run_control
from bench.studies.differences import keep_ledger
from bench.studies.parity import (
    Processes,
    climb,
    climb_training,
    ladder_arms,
    write_parity,
)
from bench.studies.scaling import measure_scaling
from bench.studies.speedups import measure_speedups
from bench.studies.timing import measure_times
from shared.data.folders import link_images
from shared.errors import UserError
from shared.files import atomic_path
from shared.metrics import max_scaled_diff, near_tie


class Interrupted(KeyboardInterrupt):
    """Interruption by the user. `results` holds all finished parts, as written."""

    def __init__(self, results: Results) -> None:
        super().__init__()
        self.results = results


def run_benchmark(options: Options, display: Display) -> Results:
    """Do the parts that the options name, and write `results.json`.

    Finished parts are kept if an arm fails or the user interrupts the run.

    Raises:
        UserError: an input is invalid; no file of this run is left behind.
        Interrupted: the user stopped the run; the finished parts are written.
    """
    with (
        claim_output(options.output) as claim,
        tempfile.TemporaryDirectory(prefix="bench-") as scratch,
    ):
        run = _prepare(options, display, Path(scratch))
        if options.resume:
            parts = read_parts(options.output / JOURNAL, describe_inputs(run))
            run.earlier_parts = leave_out_failed(parts)
            run.experiments = make_record(run, run.earlier_parts)
            claim.keep = run.has_results
        claim.begin(lambda: write_record(run), *([JOURNAL] if claim.keep else []))
        display.log_to(options.output / "log.jsonl")
        try:
            _do_everything(run)
        except BaseException as error:
            if not run.has_results:
                raise
            claim.keep = True
            run.not_run.append(f"the rest: {_in_words(error)}")
            results = write_record(run)
            if isinstance(error, KeyboardInterrupt):
                raise Interrupted(results) from error
            raise
        claim.keep = True
        return write_record(run)


def _in_words(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted by the user"
    return f"{type(error).__name__}: {error}"


def _prepare(options: Options, display: Display, scratch: Path) -> Run:
    check_weights_choice(options.weights)
    display.wait("asking each arm which device it can use")
    device = choose_device(options.config, options.gpu, options.arms, display.say)
    config = options.config.model_copy(update={"device": device.kind})
    options = replace(options, config=config)
    data = prepare_data(options.data, config, options.skip_bad_images, display)
    if options.experiments:
        require_enough(data)
    weights = prepare_weights(options.weights, config, data, display)
    file = store_weights(weights, scratch)
    run = Run(options, display, scratch, data, weights, file, device=device)
    if config.division == "plain":
        run.folders = link_images(data, scratch / "images")
    if run.folders or options.switches:
        _probe(run)
    return run


def _probe(run: Run) -> None:
    """Let each arm check its device, images and switches before any arm trains."""
    for arm in run.options.arms:
        # An arm that fails here fails again in training, and is reported there.
        with suppress(ArmFailed):
            request = Probe(
                arm=arm,
                config=run.options.config,
                scratch=run.scratch / "probe",
                inputs=run.inputs,
                switches=switches_of(run, arm),
            )
            work(run, request)


def _do_everything(run: Run) -> None:
    if run.options.train or run.options.climb:
        with ExitStack() as stack:
            processes = {
                arm: stack.enter_context(start_worker(run)) for arm in run.options.arms
            }
            if run.options.train:
                _train_all(run, processes)
            if run.options.climb:
                _climb(run, processes, climb)
    if run.options.timing == "control":
        run_control(run)
    elif run.options.timing == "scaling":
        measure_scaling(run)
    elif run.options.timing == "speedups":
        measure_speedups(run)
    elif run.options.timing:
        measure_times(run, thorough=run.options.timing == "thorough")
    if run.options.differences:
        run.ledger = keep_ledger(run)
    if run.options.experiments:
        path, inputs = run.options.output / JOURNAL, describe_inputs(run)
        run_experiments(run, Journal(path, inputs, run.earlier_parts))
    run.complete = len(run.finished) == len(run.arms) and not run.failures


def _train_all(run: Run, processes: Processes) -> None:
    """Train one arm after the other, then export all of them at the same time."""
    for arm in run.options.arms:
        _train(run, arm, processes[arm])
        write_record(run)  # keeps the finished arms even if the process is killed
    together_by_name(
        {arm: partial(_export, run, arm, processes[arm]) for arm in run.finished}
    )
    if len(run.finished) >= 2:
        _compare_arms(run)
    else:
        run.not_run.append("comparison: it needs two arms that ran")
    exact = set(FLOAT64_ARMS) <= set(run.finished)
    on_features = run.comparison and run.comparison.features_max_scaled_diff is not None
    if exact and on_features and not run.options.climb:
        _climb(run, processes, climb_training)


def _climb(
    run: Run,
    processes: Processes,
    climb_rungs: Callable[[Run, Processes], ParityRecord],
) -> None:
    if not ladder_arms(run).keys() >= set(PAIR):
        run.not_run.append("parity ladder: it needs pytorch and a Keras arm")
        return
    try:
        run.parity = climb_rungs(run, processes)
    except ArmFailed as reason:
        run.miss(f"parity ladder: {reason}")
        return
    write_parity(run.parity, run.options.output)


def _train(run: Run, arm: str, process: WorkerProcess) -> None:
    request = Train(
        arm=arm,
        config=run.options.config,
        scratch=run.scratch / arm,
        inputs=run.inputs,
        models=run.models,
    )
    try:
        done = ask(run, process, request)
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

    Keras also exports PyTorch's classifier, so that the two exporters can be compared.
    """
    if run.options.config.is_rounded:  # the graph would round in other places
        run.not_run.append(
            f"{arm}: ONNX: the graph is in float32, but the run has fewer digits"
        )
        return
    request = ExportTrained(
        arm=arm,
        config=run.options.config,
        scratch=run.scratch / f"{arm}-export",
        models=run.models,
    )
    try:
        done = ask(run, process, request)
        run.arms[arm].stages["export"] = done["seconds"]
        if arm == "keras" and "pytorch" in run.finished:
            _export_across(run, process)
        run.arms[arm].onnx = check_onnx(run, arm)
    except ArmFailed as reason:
        run.miss(f"{arm}: export: {reason}")
    except (UserError, ValueError) as reason:  # a missing result fails the check
        run.not_run.append(f"{arm}: ONNX check: {reason}")


def _export_across(run: Run, process: WorkerProcess) -> None:
    """Move PyTorch's trained classifier into Keras and export it there."""
    if run.options.config.division == "plain":
        return
    output = run.options.output
    request = ExportCheckpoint(
        arm="keras",
        config=run.options.config,
        scratch=run.scratch / "cross",
        checkpoint=(output / run.arms["pytorch"].checkpoint).resolve(),
    )
    done = ask(run, process, request)
    with atomic_path(output / "models" / ACROSS) as temporary:
        shutil.copyfile(done["path"], temporary)


def _compare_arms(run: Run) -> None:
    """Compare the first arm with each other arm, and both exports of a classifier."""
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
        run.not_run.append(
            "check of the backbone features: this run does not compute them separately"
        )
    elif config.is_rounded:
        run.not_run.append(
            "check of the backbone features: this run has fewer digits than float32"
        )
    else:
        for found in run.comparisons:
            _compare_features(run, found)
    if set(PAIR) <= set(run.finished) and all(run.arms[arm].onnx for arm in PAIR):
        compare_graphs(run)


def _compare_features(run: Run, found: ComparisonRecord) -> None:
    features = [
        np.load(run.scratch / name / "validation-features.npy") for name in found.arms
    ]
    found.features_max_scaled_diff = max_scaled_diff(*features)


def _differing(run: Run, names: tuple[str, str]) -> list[DifferingImage]:
    """Return the test images for which the two arms predict different classes."""
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
