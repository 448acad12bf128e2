"""Time calls: warm up until the times are steady, then keep the samples.

The arms take their steady samples in turns of a fraction of a second. A machine that
shares its memory with other machines may be a quarter slower for some seconds. If the
arms were timed one after the other, this would look like a difference between them.
"""

from collections.abc import Callable

import numpy as np

from bench.processes.agreed import IN_A_TURN
from shared.clock import now

WINDOW = 3  # calls whose median is compared with that of the calls before
STEADY = 0.05  # largest relative change between two windows
EMPTY_CALLS = 1000


class Timer:
    """Timer for calls of one process, in milliseconds.

    Args:
        synchronise: waits until the device has finished all its work; called before
            each reading of the clock.
        samples: number of steady calls to keep.
        most_warm_up: largest number of calls for the warm-up.
        budget_s: seconds for the calls of a phase after its first call. When they are
            used up, the phase ends with the samples that it has, at least one.
        take_turn: lets the other arms work until their next turn; None if the arms do
            not take turns.
        clock: returns the time in seconds; tests replace it.
    """

    def __init__(
        self,
        synchronise: Callable[[], None],
        samples: int,
        most_warm_up: int,
        budget_s: float,
        take_turn: Callable[[], None] | None = None,
        clock: Callable[[], float] = now,
    ) -> None:
        self._synchronise, self._clock = synchronise, clock
        self._samples, self._most_warm_up = samples, most_warm_up
        self._budget_ms = budget_s * 1000
        self._take_turn = take_turn

    def once(self, call: Callable[[], object]) -> float:
        """Return the milliseconds of one call, including its work on the device.

        Every arm uses the wall clock, since TensorFlow and JAX offer no CUDA events.
        """
        self._synchronise()
        start = self._clock()
        call()
        self._synchronise()
        return (self._clock() - start) * 1000

    def steady(self, call: Callable[[], object]) -> list[float]:
        """Warm up until the times are steady; return the milliseconds of the samples.

        There is at least one sample. If the calls use up the budget, there are fewer
        samples than asked for. The first call, which may trace and compile, and the
        turns of the other arms do not count against the budget.
        """
        calls: list[float] = []
        while len(calls) < self._most_warm_up and not is_steady(calls):
            calls.append(self.once(call))
            if sum(calls[1:]) > self._budget_ms:
                break
        kept: list[float] = []
        while not kept or (
            len(kept) < self._samples and sum(calls[1:]) < self._budget_ms
        ):
            if self._take_turn and len(kept) % IN_A_TURN == 0:
                self._take_turn()
                # The other arm's work has evicted our data from the CPU caches, so the
                # first call is not kept.
                calls.append(self.once(call))
            kept.append(self.once(call))
            calls.append(kept[-1])
        return kept

    def after_one(self, call: Callable[[], object]) -> float:
        """Return the milliseconds of a long call, after one call to warm up."""
        call()
        if self._take_turn:
            self._take_turn()
        return self.once(call)

    def overhead(self) -> float:
        """Return the milliseconds that timing adds to a call, from empty calls."""
        return float(np.median([self.once(lambda: None) for _ in range(EMPTY_CALLS)]))


def is_steady(milliseconds: list[float]) -> bool:
    """Return whether the last calls took as long as the calls before them."""
    windows = [milliseconds[-2 * WINDOW : -WINDOW], milliseconds[-WINDOW:]]
    if len(windows[0]) < WINDOW:
        return False
    before, after = map(np.median, windows)
    return bool(abs(after - before) <= STEADY * before)
