"""How much memory a process has to itself, and whether it grows during a pass."""

import os
import re
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from bench.records import PassMemory
from shared.progress import OnBatch

INTERVAL_S = 0.05
STATM = Path("/proc/self/statm")


def read_private_mib() -> float | None:
    """Return the resident memory of this process that belongs to no file, MiB.

    Mapped files count as resident too, but the kernel drops their pages when another
    process needs the room, so they are no need of the program's.

    Returns:
        MiB; None where the system does not tell.
    """
    if not STATM.is_file():
        return None
    _, resident, shared, *_ = map(int, STATM.read_text().split())
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE") / 2**20


class PrivateMemory:
    """Watches the private memory of this process in a thread.

    Attributes:
        peak_mib: the most seen so far; None where the system does not tell.
    """

    def __init__(self) -> None:
        self.peak_mib = read_private_mib()
        if self.peak_mib is not None:
            threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        wake = threading.Event()
        while True:
            self.peak_mib = max(self.peak_mib, read_private_mib())
            wake.wait(INTERVAL_S)


class PassWatch:
    """A batch callback that reads memory after a quarter of a pass and at its end.

    The first batches allocate what all of them use; what comes after a quarter of the
    pass grows with the number of images. The end is that of the last whole batch: for a
    smaller one behind it, Keras would trace the network again and take new buffers.
    """

    def __init__(
        self,
        batch_size: int,
        read_device_mib: Callable[[], float | None],
        on_batch: OnBatch,
    ) -> None:
        self._batch_size = batch_size
        self._read_device_mib = read_device_mib
        self._on_batch = on_batch
        self._readings: dict[int, tuple] = {}  # by the number of batches done

    def __call__(self, done: int, total: int) -> None:
        if done in (-(-total // 4), total - 1):
            self._readings[done] = read_private_mib(), self._read_device_mib()
        self._on_batch(done, total)

    def record(self) -> PassMemory | None:
        """Return the readings, or None if the pass was too short or did not end."""
        if len(self._readings) < 2:
            return None
        first, last = self._readings
        private, device = zip(*self._readings.values(), strict=True)
        return PassMemory(
            images=(last - first) * self._batch_size,
            private_mib=None if None in private else private,
            device_mib=None if None in device else device,
        )


def peak_rss_mib() -> float:
    """Return the largest resident memory of this process so far, MiB."""
    # Where there is none, getrusage() tells our parent's peak if that was higher.
    status = Path("/proc/self/status")
    if status.is_file() and (
        peak := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    ):
        return int(peak[1]) / 2**10
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**20 if sys.platform == "darwin" else 2**10)
