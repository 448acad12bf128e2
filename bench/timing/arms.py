"""Time arms in rounds of fresh processes that work in turns."""

from collections.abc import Callable, Sequence

from bench.environment import describe_state
from bench.processes import ArmFailed
from bench.run import Run, work
from bench.timing.phases import shorten
from bench.timing.rounds import Phases, TakeTurn, measure_in_rounds
from bench.timing.timer import IN_A_TURN
from shared.folders import link_images
from shared.records import MemoryRecord, OperationRecord, TimingRunRecord
from shared.sampling import TIMING, stream


def time_arms(
    run: Run,
    names: Sequence[str],
    thorough: bool,
    arm_of: Callable[[str], str] = lambda name: name,
) -> None:
    """Take samples into `run.measured`, and how they were taken into `run.timing`.

    Args:
        names: what to time, in processes of the arm that `arm_of` names.
        thorough: the longer phases too: passes over images, files, onnxruntime.
    """
    config = run.options.config
    rounds, state = config.timing_rounds, describe_state()
    timing = run.timing = TimingRunRecord(
        rounds=rounds,
        order=[],
        samples_in_a_turn=IN_A_TURN,
        before=state,
        after=state,
    )
    timing.order = run.measured.order  # the list itself, which is still filled

    def measure(name: str, number: int, take_turn: TakeTurn) -> Phases:
        run.display.say(f"timing round {number}/{rounds}: {name}")
        scratch, arm = run.scratch / f"timing-{number}" / name, arm_of(name)
        more = {"thorough": thorough, "folders": folders}
        done = work(run, "time_phases", arm, scratch, on_turn=take_turn, **more)
        run.images_in |= done["images"]
        run.devices[arm], run.threads[arm] = done["device"], done["threads"]
        timing.overhead_ms[arm] = done["overhead_ms"]
        memory = MemoryRecord(**done["memory"])
        timing.memory[arm] = _larger(memory, timing.memory.get(arm))
        if operations := done["operations"]:
            records = {n: OperationRecord(**one) for n, one in operations.items()}
            timing.operations[arm] = records
        timing.after = describe_state()
        return done["phases"]

    def miss(name: str, number: int, reason: ArmFailed) -> None:
        run.miss(f"timing round {number} of {name}: {reason}")

    # Passes of the plain division read files: as many as the matched one's images.
    folders = run.folders
    if run.folders:
        folders = link_images(shorten(run.data), run.scratch / "timing-images")
    random = stream(config.seed, TIMING)
    measure_in_rounds(run.measured, names, rounds, random, measure, miss)


def _larger(one: MemoryRecord, other: MemoryRecord | None) -> MemoryRecord:
    """The larger of each peak; None where neither has one."""
    peaks = [one.model_dump(), other.model_dump() if other else {}]
    names = MemoryRecord.model_fields
    known = {n: [p[n] for p in peaks if p.get(n) is not None] for n in names}
    return MemoryRecord(**{n: max(found, default=None) for n, found in known.items()})
