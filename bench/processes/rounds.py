"""Measure several arms in rounds. Each round shuffles their order."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from bench.judging.intervals import Rounds
from bench.processes.worker_process import ArmFailed, stopping, together

TakeTurn = Callable[[], None]
Phases = dict[str, list[float]]  # samples in milliseconds
Measure = Callable[[str, int, TakeTurn], Phases]


@dataclass(frozen=True)
class Measured:
    """Samples by arm, phase and round, and the order of the arms in each round."""

    order: list[list[str]] = field(default_factory=list)
    samples: dict[str, dict[str, Rounds]] = field(default_factory=dict)


class Turns:
    """Turns of several threads, which work one at a time, in a fixed order."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = deque(names)  # the first thread is the one whose turn it is
        self._changed = threading.Condition()

    def wait(self, name: str) -> None:
        """Wait until it is this thread's turn."""
        with self._changed:
            self._changed.wait_for(lambda: self._names[0] == name)

    def take(self, name: str) -> None:
        """Let each of the other threads have a turn, and wait until all had theirs."""
        with self._changed:
            self._names.rotate(-1)
            self._changed.notify_all()
        self.wait(name)

    def leave(self, name: str) -> None:
        """Take this thread out of the order for good."""
        with self._changed:
            self._names.remove(name)
            self._changed.notify_all()


def measure_in_rounds(
    measured: Measured,
    names: Sequence[str],
    count: int,
    random: np.random.Generator,
    measure: Measure,
    on_failure: Callable[[str, int, ArmFailed], None],
) -> None:
    """Let every arm measure once in each round.

    An arm can give the other arms a turn during its measurement. Other load on the
    machine then affects all arms equally. If an arm fails, only its own samples of that
    round are lost.

    Args:
        measured: receives the samples, and keeps them if the user interrupts.
        measure: returns the samples of each phase. Its arguments are the arm's name,
            the number of the round (from 1), and a function that lets the other arms
            have a turn.
    """
    for name in names:
        measured.samples.setdefault(name, {})
    for number in range(1, count + 1):
        order = random.permutation(names).tolist()
        measured.order.append(order)
        turns = Turns(order)
        calls = (
            partial(_measure_one, measured, name, number, turns, measure)
            for name in order
        )
        for name, reason in zip(order, together(*calls), strict=True):
            if reason:
                on_failure(name, number, reason)


def _measure_one(
    measured: Measured, name: str, number: int, turns: Turns, measure: Measure
) -> ArmFailed | None:
    """Keep the samples of one arm in one round; return the reason if there are none."""
    turns.wait(name)
    try:
        if not stopping.is_set():
            phases = measure(name, number, partial(turns.take, name))
            for phase, samples in phases.items():
                measured.samples[name].setdefault(phase, {})[number] = samples
    except ArmFailed as reason:
        return reason
    finally:
        turns.leave(name)
    return None
