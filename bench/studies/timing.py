"""Time the arms phase by phase, and compare the first arm with the other arms."""

from collections.abc import Sequence

from bench.judging.comparison import compare_timing
from bench.judging.intervals import MIN_ROUNDS, summarise
from bench.records import ArmRecord
from bench.run.state import Run
from bench.studies.control import read_control
from bench.studies.time_arms import time_arms


def measure_times(run: Run, thorough: bool = False) -> None:
    """Time the phases of every arm that was trained, or of all arms without training.

    Args:
        thorough: see `time_arms`.
    """
    if run.options.config.timing_rounds == 0:
        run.not_run.append("timing: it was not asked for")
        return
    names = run.finished if run.options.train else run.options.arms
    try:
        time_arms(run, names, thorough)
    finally:  # keep the samples of an interrupted run
        _summarise(run, names)


def _summarise(run: Run, names: Sequence[str]) -> None:
    samples = run.measured.samples
    for name in names:
        if name not in run.arms:
            status = "ok" if samples.get(name) else "not run: no round was finished"
            run.arms[name] = ArmRecord(status=status, device=run.devices.get(name))
        run.arms[name].timing = {
            phase: summarise(rounds, run.images_in.get(phase))
            for phase, rounds in samples.get(name, {}).items()
        }
    run.timing.control = read_control(run)
    for name in run.finished[1:]:
        _compare(run, (run.finished[0], name))


def _compare(run: Run, names: tuple[str, str]) -> None:
    devices = [run.arms[name].device for name in names]
    if devices[0] != devices[1]:
        run.not_run.append(
            f"ratios of times: {names[0]} ran on {devices[0]} and {names[1]} on "
            f"{devices[1]}, so ratios would compare devices and not frameworks"
        )
    elif not (ratios := compare_timing(names, run.measured.samples)):
        run.not_run.append(
            f"ratios of times: they need {MIN_ROUNDS} timing rounds that both "
            f"{names[0]} and {names[1]} finished"
        )
    else:
        run.timing.ratios[names[1]] = ratios
        if run.comparison and run.comparison.arms == names:
            run.comparison.timing = ratios
