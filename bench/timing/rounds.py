"""Measure several arms in rounds, in an order shuffled every round."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.processes import ArmFailed
from bench.statistics import Rounds


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
    measure: Callable[[str, int], dict[str, list[float]]],
    on_failure: Callable[[str, int, ArmFailed], None],
) -> None:
    """Let every arm measure once in each round.

    What else the machine does then meets all arms, and none of them always first. A
    round in which an arm fails is lost for that arm alone.

    Args:
        measured: gets what was found, and has it when the user interrupts.
        measure: samples of each phase in milliseconds, from the arm's name and the
            number of the round, from 1.
    """
    measured.samples.update({name: {} for name in names})
    for number in range(1, count + 1):
        order = random.permutation(names).tolist()
        measured.order.append(order)
        for name in order:
            try:
                phases = measure(name, number)
            except ArmFailed as reason:
                on_failure(name, number, reason)
                continue
            for phase, found in phases.items():
                measured.samples[name].setdefault(phase, {})[number] = found
