"""Claim the output folder for one run, and clean it up if the run fails."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from bench.processes.arms import ARMS, PLAIN_SUFFIXES, SUFFIXES, side_of
from bench.records import Results
from bench.run.journal import JOURNAL
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
ADVICE = "Nothing was changed. Give a new folder or the folder of an earlier run."


class Claim:
    """Claim of a run on its output folder.

    Attributes:
        keep: whether the files stay if the run fails.
    """

    def __init__(self, output: Path) -> None:
        self.keep = False
        self._output = output
        self._folder = Path(os.path.realpath(output))
        folders = self._folder, *self._folder.parents
        self._made = [folder for folder in folders if not os.path.lexists(folder)]
        self._begun = False

    def require_usable(self) -> None:
        """Check that a run may write into the folder. A missing folder is made.

        Raises:
            UserError: the folder is neither empty nor of an earlier run, or its disk is
                nearly full.
        """
        require_writable(self._folder)
        require_free_space(self._folder, OUTPUT_BYTES)
        if os.listdir(self._folder):
            _require_earlier_run(self._output, self._folder)

    def begin(self, write_results: Callable[[], object], *spare: str) -> None:
        """Write this run's first results.json, then remove the earlier run's files.

        The files called `spare` stay.

        The order matters if this run is killed: the next run recognises the folder by
        its results.json.

        Raises:
            UserError: see `require_usable`; the folder may have changed meanwhile.
        """
        self.require_usable()
        write_results()
        self._begun = True
        _remove_files(self._folder, RESULTS, *spare)

    def undo(self) -> None:
        """Remove the files that this run wrote, and the folders that it made."""
        if self._begun:
            _remove_files(self._folder)
        for folder in self._made:  # begins with the innermost folder
            with suppress(OSError):
                folder.rmdir()


@contextmanager
def claim_output(output: Path) -> Iterator[Claim]:
    """Claim a folder for one run. If the run fails, its files are removed, unless kept.

    Raises:
        UserError: the folder cannot be written, has no room, is neither empty nor of an
            earlier run, or another run is writing to it.
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
            f"--output {output}: another run is writing there. Give another folder."
        ) from error


def files_of_a_run(output: Path) -> dict[Path, list[str]]:
    """Return all file names that a run may write, by folder, innermost folder first."""
    models = output / "models"
    files = {}
    for arm in ARMS:
        side = side_of(arm)
        suffixes = SUFFIXES[side], PLAIN_SUFFIXES[side], ".json"
        kept = [f"{name}{s}" for name in ("best", "last") for s in suffixes]
        files[models / arm] = [*kept, HISTORY]
    files[models] = [f"{name}.onnx" for name in (*ARMS, "pytorch-in-keras")]
    files[output] = [RESULTS, "parity.json", "report.md", "report.html", "log.jsonl"]
    files[output] += [JOURNAL, "cells.csv"]
    return files


def _remove_files(output: Path, *spare: str) -> None:
    """Remove the files of a run, and the folders that are then empty."""
    for folder, names in files_of_a_run(output).items():
        if os.path.realpath(folder) != str(folder):  # it is reached by a symbolic link
            continue
        for file in (*map(folder.joinpath, names), *folder.glob(f"{UNFINISHED}*")):
            if file.name not in spare:
                file.unlink(missing_ok=True)
        if folder != output:
            with suppress(OSError):  # it is missing, or contains other files
                folder.rmdir()


def _require_earlier_run(output: Path, folder: Path) -> None:
    """Check that a folder that is not empty belongs to an earlier run.

    Raises:
        UserError: it does not.
    """
    if not os.path.lexists(folder / RESULTS):
        raise UserError(
            f"--output {output}: the folder contains other files "
            f"({min(os.listdir(folder))}) but no {RESULTS} of an earlier run. {ADVICE}"
        )
    for inner, names in files_of_a_run(folder).items():
        for path in (inner, *map(inner.joinpath, names)):
            wanted = "folder" if path == inner else "file"
            if os.path.lexists(path) and (found := _kind(path)) != wanted:
                raise UserError(
                    f"--output {output}: '{path.relative_to(folder)}' in it is a "
                    f"{found}, not the {wanted} of an earlier run. {ADVICE}"
                )
    try:
        Results.model_validate_json((folder / RESULTS).read_bytes())
    except (OSError, ValidationError) as error:
        raise UserError(
            f"--output {output}: the {RESULTS} in this folder is broken, or belongs to "
            f"another program or version. {ADVICE}"
        ) from error


def _kind(path: Path) -> str:
    if path.is_symlink():
        return "symbolic link"
    if path.is_dir():
        return "folder"
    return "file" if path.is_file() else "special file"
