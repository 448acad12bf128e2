"""Time arms in rounds of fresh processes that work in turns."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial

from bench.processes.agreed import IN_A_TURN
from bench.processes.request import Inputs, Time
from bench.processes.rounds import Phases, TakeTurn, measure_in_rounds
from bench.processes.worker_process import ArmFailed
from bench.records import MemoryRecord, OperationRecord, TimingRunRecord
from bench.run.environment import describe_state
from bench.run.state import Run, work
from shared.data.folders import link_images
from shared.data.subsets import shorten
from shared.sampling import TIMING, stream


def time_arms(
    run: Run,
    names: Sequence[str],
    thorough: bool,
    arm_of: Callable[[str], str] = lambda name: name,
) -> None:
    """Store samples in `run.measured`, and the conditions of timing in `run.timing`.

    Cold phases are timed in processes that are alone on the machine. A short timing
    takes the steady steps in the same processes. A thorough timing takes them in
    processes that run at the same time and work in turns.

    Args:
        names: names of the processes to time; each runs the arm that `arm_of` returns.
        thorough: also time the longer phases: passes over images, writing files, and
            onnxruntime.
    """
    config = run.options.config
    rounds, state = config.timing_rounds, describe_state(run.device)
    timing = run.timing = TimingRunRecord(
        rounds=rounds,
        order=[],
        samples_in_a_turn=IN_A_TURN if thorough else None,
        before=state,
        after=state,
    )
    timing.order = run.measured.order  # the same list, which later rounds extend

    def measure(
        job: str, name: str, number: int, take_turn: TakeTurn = lambda: None
    ) -> Phases:
        run.display.say(f"timing round {number}/{rounds}: {name}")
        scratch, arm = run.scratch / f"timing-{number}" / name, arm_of(name)
        request = Time(job=job, arm=arm, config=config, scratch=scratch, inputs=inputs)
        done = work(run, request, on_turn=take_turn)
        cut_short = [*timing.cut_short.get(name, []), *done["cut_short"]]
        timing.cut_short[name] = sorted(set(cut_short))
        run.images_in |= done["images"]
        run.devices[arm], run.threads[arm] = done["device"], done["threads"]
        timing.overhead_ms[arm] = done["overhead_ms"]
        memory = MemoryRecord(**done["memory"])
        timing.memory[arm] = _larger(memory, timing.memory.get(arm))
        if operations := done["operations"]:
            records = {n: OperationRecord(**one) for n, one in operations.items()}
            timing.operations[arm] = records
        timing.after = describe_state(run.device)
        return done["phases"]

    def miss(name: str, number: int, reason: ArmFailed) -> None:
        run.miss(f"timing round {number} of {name}: {reason}")

    # The plain division reads files in its passes. They get the same share of images as
    # the passes of the matched division.
    inputs = run.inputs
    if run.folders:
        few = link_images(shorten(run.data), run.scratch / "timing-images")
        inputs = inputs.model_copy(update={"folders": few})
    if run.device.gpu:
        _work_untimed(run, dict.fromkeys(map(arm_of, names)), inputs)
    random = stream(config.seed, TIMING)
    for job in ("time_cold", "time_steady") if thorough else ("time_briefly",):
        measure_in_rounds(
            run.measured, names, rounds, random, partial(measure, job), miss
        )


def _work_untimed(run: Run, arms: Iterable[str], inputs: Inputs) -> None:
    """Let each arm take its steps once, without keeping their times.

    If a framework has no finished code for a GPU, the driver compiles it when a process
    first needs it, which takes minutes, and keeps it on disk for later processes.
    """
    for arm in arms:
        run.display.say(f"{arm}: a first process, which is not timed")
        request = Time(
            job="time_briefly",
            arm=arm,
            config=run.options.config,
            scratch=run.scratch / f"{arm}-untimed",
            inputs=inputs,
        )
        with suppress(ArmFailed):  # the timed processes fail as well, and are reported
            work(run, request)


def _larger(one: MemoryRecord, other: MemoryRecord | None) -> MemoryRecord:
    """Return the larger value of each peak, or None if neither record has a value."""
    peaks = [one.model_dump(), other.model_dump() if other else {}]
    names = MemoryRecord.model_fields
    known = {n: [p[n] for p in peaks if p.get(n) is not None] for n in names}
    return MemoryRecord(**{n: max(found, default=None) for n, found in known.items()})
