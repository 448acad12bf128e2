"""The output folder: claimed for one run, and left as it was where the run fails."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from bench.processes.arms import ARMS, PLAIN_SUFFIXES, SUFFIXES, side_of
from bench.records import Results
from shared.errors import UserError
from shared.files import (
    UNFINISHED,
    cache_folder,
    require_free_space,
    require_writable,
)
from shared.program import HISTORY

RESULTS = "results.json"
OUTPUT_BYTES = 200 * 2**20  # checkpoints, graphs and reports of one run
ADVICE = "Nothing was changed. Give a new folder, or one of an earlier run."


class Claim:
    """A run's hold on its output folder.

    Attributes:
        keep: set once there is something worth keeping if the run fails.
    """

    def __init__(self, output: Path) -> None:
        self.keep = False
        self._output = output
        self._folder = Path(os.path.realpath(output))
        folders = self._folder, *self._folder.parents
        self._made = [folder for folder in folders if not os.path.lexists(folder)]
        self._begun = False

    def require_usable(self) -> None:
        """Raise UserError unless the folder is empty, or an earlier run's, with room.

        A missing folder is made.
        """
        require_writable(self._folder)
        require_free_space(self._folder, OUTPUT_BYTES)
        if os.listdir(self._folder):
            _require_earlier_run(self._output, self._folder)

    def begin(self, write_results: Callable[[], object]) -> None:
        """Write this run's first results.json, then remove the earlier run's files.

        In this order, since the next run knows the folder by its results.json, even if
        this one is killed.

        Raises:
            UserError: as `require_usable`, since the inputs took their time.
        """
        self.require_usable()
        write_results()
        self._begun = True
        _remove_files(self._folder, spare=RESULTS)

    def undo(self) -> None:
        """Remove what this run wrote, and the folders that it made."""
        if self._begun:
            _remove_files(self._folder)
        for folder in self._made:  # the innermost first, so that each is empty
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def claim_output(output: Path) -> Iterator[Claim]:
    """Hold a folder for one run; what the run wrote goes if it fails, unless kept.

    Raises:
        UserError: the folder cannot be written, has no room, is neither empty nor an
            earlier run's, or another run writes to it now.
    """
    claim = Claim(output)
    key = os.fsencode(os.path.realpath(output))
    lock = cache_folder() / "locks" / hashlib.sha256(key).hexdigest()
    require_writable(lock.parent)
    try:
        with FileLock(lock, timeout=0):
            try:
                claim.require_usable()
                yield claim
            except BaseException:
                if not claim.keep:
                    claim.undo()
                raise
    except Timeout as error:
        raise UserError(
            f"--output {output}: another run writes there now. Give another folder."
        ) from error


def files_of_a_run(output: Path) -> dict[Path, list[str]]:
    """Return every name that a run may write, by folder, the innermost first."""
    models = output / "models"
    files = {}
    for arm in ARMS:
        side = side_of(arm)
        suffixes = SUFFIXES[side], PLAIN_SUFFIXES[side], ".json"
        kept = [f"{name}{s}" for name in ("best", "last") for s in suffixes]
        files[models / arm] = [*kept, HISTORY]
    files[models] = [f"{name}.onnx" for name in (*ARMS, "pytorch-in-keras")]
    files[output] = [RESULTS, "parity.json", "report.md", "report.html", "log.jsonl"]
    return files


def _remove_files(output: Path, spare: str | None = None) -> None:
    """Remove a run's files, and folders that are then empty; never anything else."""
    for folder, names in files_of_a_run(output).items():
        if os.path.realpath(folder) != str(folder):  # a symbolic link came in between
            continue
        for file in (*map(folder.joinpath, names), *folder.glob(f"{UNFINISHED}*")):
            if file.name != spare:
                file.unlink(missing_ok=True)
        if folder != output:
            with suppress(OSError):  # it is missing, or holds files of others
                folder.rmdir()


def _require_earlier_run(output: Path, folder: Path) -> None:
    """Raise UserError unless a folder that is not empty is an earlier run's."""
    if not os.path.lexists(folder / RESULTS):
        raise UserError(
            f"--output {output}: the folder holds other files "
            f"({min(os.listdir(folder))}), and no {RESULTS} of an earlier run. {ADVICE}"
        )
    for inner, names in files_of_a_run(folder).items():
        for path in (inner, *map(inner.joinpath, names)):
            wanted = "folder" if path == inner else "file"
            if os.path.lexists(path) and (found := _kind(path)) != wanted:
                raise UserError(
                    f"--output {output}: '{path.relative_to(folder)}' in it is a "
                    f"{found}, and not the {wanted} of an earlier run. {ADVICE}"
                )
    try:
        Results.model_validate_json((folder / RESULTS).read_bytes())
    except (OSError, ValidationError) as error:
        raise UserError(
            f"--output {output}: the folder holds a {RESULTS} that is broken, or of "
            f"another program or version. {ADVICE}"
        ) from error


def _kind(path: Path) -> str:
    if path.is_symlink():
        return "symbolic link"
    if path.is_dir():
        return "folder"
    return "file" if path.is_file() else "special file"
