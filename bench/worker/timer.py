"""Time calls: the first one apart, warm-up until steady, then the samples to keep.

Steady samples are taken in turns of a fraction of a second. A machine that shares its
memory with others may be a quarter slower for seconds and then as before: arms that
were timed one after the other would differ by that.
"""

from collections.abc import Callable

import numpy as np

from bench.processes.agreed import IN_A_TURN
from shared.clock import now

WINDOW = 3  # calls whose median is compared with that of the calls before
STEADY = 0.05  # largest relative change between two windows
EMPTY_CALLS = 1000


class Timer:
    """Times calls of one process, in milliseconds.

    Args:
        synchronise: waits until the device has done all that was asked of it; called
            before each reading of the clock.
        samples: how many steady calls to keep.
        most_warm_up: calls that warm-up may take at most.
        budget_s: seconds for the calls of a phase after its first one. When they are
            used up, the phase ends with the samples that it has, at least one.
        take_turn: lets the other arms work, up to their next turn; None if there are
            none to take turns with.
        clock: seconds; another one in tests.
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
        """Return the milliseconds of one call, with its work on the device.

        By the wall clock on every arm: TensorFlow and JAX offer no CUDA events.
        """
        self._synchronise()
        start = self._clock()
        call()
        self._synchronise()
        return (self._clock() - start) * 1000

    def steady(self, call: Callable[[], object]) -> list[float]:
        """Warm a call up until its times are steady; return the samples' milliseconds.

        At least one; fewer than asked for where the calls took all of the budget. The
        first call, which may trace and compile, and the other arms' turns do not count.
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
        """Return the milliseconds that timing adds to a call, by empty calls."""
        return float(np.median([self.once(lambda: None) for _ in range(EMPTY_CALLS)]))


def is_steady(milliseconds: list[float]) -> bool:
    """Return whether the last calls took as long as the calls before them."""
    windows = [milliseconds[-2 * WINDOW : -WINDOW], milliseconds[-WINDOW:]]
    if len(windows[0]) < WINDOW:
        return False
    before, after = map(np.median, windows)
    return bool(abs(after - before) <= STEADY * before)
