"""Measure several arms in rounds, in an order shuffled every round."""

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
    """The samples by arm, phase and round, and the order of the arms."""

    order: list[list[str]] = field(default_factory=list)
    samples: dict[str, dict[str, Rounds]] = field(default_factory=dict)


class Turns:
    """Lets one of several threads work at a time, always in the same order."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = deque(names)  # whose turn it is, and who comes next
        self._changed = threading.Condition()

    def wait(self, name: str) -> None:
        """Wait until it is this thread's turn."""
        with self._changed:
            self._changed.wait_for(lambda: self._names[0] == name)

    def take(self, name: str) -> None:
        """Let each of the other threads have a turn, and wait for it."""
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
    """Let every arm measure once in each round, and in turns if it asks for them.

    What else the machine does then meets all arms, and none of them always first. A
    round in which an arm fails is lost for that arm alone.

    Args:
        measured: gets what was found, and has it when the user interrupts.
        measure: samples of each phase, from the arm's name, the number of the round,
            from 1, and a function that lets the other arms have a turn.
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
