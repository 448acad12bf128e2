"""How much memory a process has to itself."""

import os
import threading
from pathlib import Path

INTERVAL_S = 0.05
STATM = Path("/proc/self/statm")


class PrivateMemory:
    """Watches, in a thread, the resident memory that belongs to no file.

    Mapped files count as resident too, but the kernel drops their pages when somebody
    else needs the room: what they take is no need of the program's.

    Attributes:
        peak_mib: the most seen so far; None where the system does not tell.
    """

    def __init__(self) -> None:
        self.peak_mib: float | None = None
        if STATM.is_file():
            threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        page_mib = os.sysconf("SC_PAGE_SIZE") / 2**20
        wake = threading.Event()
        while True:
            _, resident, shared, *_ = map(int, STATM.read_text().split())
            self.peak_mib = max(self.peak_mib or 0.0, (resident - shared) * page_mib)
            wake.wait(INTERVAL_S)
