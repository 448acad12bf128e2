"""One clock for every duration in the project."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

now = time.perf_counter  # seconds, monotonic


class Stages:
    """Seconds spent in each named part of a job, in the order of first use."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Add the time of the block to stage `name`."""
        start = now()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + now() - start
