"""Measure several arms in rounds, in an order shuffled every round."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from bench.processes import ArmFailed, together
from bench.statistics import Rounds
from bench.timing.turns import Turns

# Samples of each phase in milliseconds, from the arm's name, the number of the round,
# from 1, and a call that lets the arm rest.
Measure = Callable[[str, int, Callable[[], None]], dict[str, list[float]]]


@dataclass(frozen=True)
class Measured:
    """Samples by arm, phase and round, and the order in which the arms had them."""

    order: list[list[str]] = field(default_factory=list)
    samples: dict[str, dict[str, Rounds]] = field(default_factory=dict)


def measure_in_rounds(
    measured: Measured,
    names: Sequence[str],
    count: int,
    random: np.random.Generator,
    measure: Measure,
    on_failure: Callable[[str, int, ArmFailed], None],
) -> None:
    """Let every arm measure once in each round.

    What else the machine does then meets all arms, and none of them always first. An
    arm may rest between its samples until the others have had a turn, so that even what
    changes within seconds meets all of them. A round in which an arm fails is lost for
    that arm alone.

    Args:
        measured: gets what was found, and has it when the user interrupts.
    """
    measured.samples.update({name: {} for name in names})
    for number in range(1, count + 1):
        order = random.permutation(names).tolist()
        measured.order.append(order)
        turns = Turns(order)
        one = partial(_take_turns, measured, turns, measure, number)
        reasons = together(*(partial(one, name) for name in order))
        for name, reason in zip(order, reasons, strict=True):
            if reason:
                on_failure(name, number, reason)


def _take_turns(
    measured: Measured, turns: Turns, measure: Measure, number: int, name: str
) -> ArmFailed | None:
    turns.wait(name)
    try:
        phases = measure(name, number, partial(turns.rest, name))
    except ArmFailed as reason:
        return reason
    finally:
        turns.leave(name)
    for phase, found in phases.items():
        measured.samples[name].setdefault(phase, {})[number] = found
    return None
