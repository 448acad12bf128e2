"""Time each arm in fresh processes, and compare what they took."""

from bench.comparison import compare_timing
from bench.processes import ArmFailed
from bench.run import Run, work
from bench.statistics import Rounds, summarise
from shared.sampling import TIMING, stream


def measure_times(run: Run) -> None:
    """Time every phase of each arm; the order of the arms is shuffled every round."""
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
                done = work(run, "time_phases", arm, run.scratch / "timing")
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
