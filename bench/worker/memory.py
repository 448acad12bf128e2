"""Measure the memory of this process, and its growth during a pass over images."""

import os
import re
import resource
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from bench.records import PassMemory
from shared.config import Config
from shared.progress import OnBatch

INTERVAL_S = 0.05
STATM = Path("/proc/self/statm")


def read_private_mib() -> float | None:
    """Return the resident memory of this process without mapped files, in MiB.

    The kernel can drop the pages of mapped files when another process needs memory, so
    the program does not depend on them. The result is None if the system does not
    report it.
    """
    if not STATM.is_file():
        return None
    _, resident, shared, *_ = map(int, STATM.read_text().split())
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE") / 2**20


class PrivateMemory:
    """Thread that watches the private memory of this process.

    Attributes:
        peak_mib: the largest value so far; None if the system does not report it.
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
    """Batch callback that reads memory after a quarter of a pass and at its end.

    The first batches allocate memory that all batches use. Memory that is added after
    the first quarter grows with the number of images. The second reading comes before
    the last batch, since Keras would trace the network again for a smaller batch and
    allocate new buffers.
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
        """Return the readings, or None if the pass was too short or is not finished."""
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
    """Return the largest resident memory of this process so far, in MiB."""
    # Without this file, getrusage() is used, which returns the parent's peak if that
    # was higher.
    status = Path("/proc/self/status")
    if status.is_file() and (
        peak := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    ):
        return int(peak[1]) / 2**10
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**20 if sys.platform == "darwin" else 2**10)


def explain(error: Exception, config: Config) -> str:
    """Return the reason why a job failed, and a smaller batch if memory ran out.

    What a network takes grows in proportion to the batch, and the rest is the same for
    any batch. How much is missing is not known: allocations fail one by one.
    """
    if not _is_out_of_memory(error):
        return f"{type(error).__name__}: {error}".splitlines()[0]
    smaller = config.batch_size // 2
    if not smaller or config.division == "plain":  # its batch size is fixed
        return "out of memory. --device cpu takes the memory of the computer"
    return (
        f"out of memory with batches of {config.batch_size}. A batch of half the size "
        f"takes half as much and is expected to fit: --batch-size {smaller}"
    )


def _is_out_of_memory(error: Exception) -> bool:
    """Tell by names and words, since no framework may be imported for its classes."""
    names = {kind.__name__ for kind in type(error).__mro__}
    words = ("RESOURCE_EXHAUSTED", "CUDA error: out of memory")  # JAX; a full card
    return bool(
        names & {"OutOfMemoryError", "ResourceExhaustedError"}  # PyTorch; TensorFlow
        or any(word in str(error) for word in words)
    )
