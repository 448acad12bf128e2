"""The output folder: claimed for one run, and left as it was where the run fails."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from shared.errors import UserError
from shared.files import cache_folder, require_free_space, require_writable

OURS = {
    "results.json",
    "parity.json",
    "report.md",
    "report.html",
    "log.jsonl",
    "models",
}
OUTPUT_BYTES = 200 * 2**20  # checkpoints, graphs and reports of one run


class Claim:
    """A run's hold on its output folder.

    Attributes:
        keep: set once there is something worth keeping if the run fails.
    """

    def __init__(self, output: Path) -> None:
        self.output = output
        self.keep = False
        self._made = [f for f in (output, *output.parents) if not f.exists()]
        self._cleared = False

    def clear(self) -> None:
        """Remove an earlier run's files, so that none passes for this one's."""
        self._cleared = True
        shutil.rmtree(self.output / "models", ignore_errors=True)
        for name in OURS - {"models"}:
            (self.output / name).unlink(missing_ok=True)

    def undo(self) -> None:
        """Remove what this run wrote, and the folders it made for it."""
        if self.output.is_dir() and (self._cleared or self.output in self._made):
            self.clear()
        for folder in self._made:  # the innermost first, so that each is empty
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


@contextmanager
def claim_output(output: Path) -> Iterator[Claim]:
    """Hold a folder for one run; what the run wrote goes if it fails, unless kept.

    Raises:
        UserError: the folder cannot be written, has no room, holds other files, or
            another run writes to it now.
    """
    lock = cache_folder() / "locks" / hashlib.sha256(str(output).encode()).hexdigest()
    require_writable(lock.parent)
    try:
        with FileLock(lock, timeout=0):
            claim = Claim(output)
            try:
                _require_usable(output)
                yield claim
            except BaseException:
                if not claim.keep:
                    claim.undo()
                raise
    except Timeout as error:
        raise UserError(
            f"--output {output}: another run writes there now. Give another folder."
        ) from error


def _require_usable(output: Path) -> None:
    strangers = sorted(set(os.listdir(output)) - OURS) if output.is_dir() else []
    if strangers:
        raise UserError(
            f"--output {output}: the folder holds other files ({strangers[0]}). Give a "
            "new folder, or one of an earlier run."
        )
    require_writable(output)
    require_free_space(output, OUTPUT_BYTES)
