"""Files that are either whole or absent, and the folder where caches live."""

import errno
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os.path import expanduser
from pathlib import Path

import platformdirs

from shared.errors import UserError

UNFINISHED = ".bench-unfinished-"  # what the names of files under way begin with


def cache_folder() -> Path:
    """Return the folder for decoded images, downloads and weights ($BENCH_CACHE)."""
    chosen = os.environ.get("BENCH_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("bench-suite"))


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its name once the block ends.

    The name keeps its suffixes, since Keras chooses a file format by them. An error or
    a kill inside the block leaves `path` as it was.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    suffix = "".join(Path(path).suffixes)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(suffix, UNFINISHED, path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(0o644)  # temporary files are private
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise explained(error, path) from error


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a whole small file, or nothing."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that takes the name `folder` once the block ends.

    An error inside the block leaves nothing behind, not even the folders above.

    Raises:
        UserError: the folder cannot be made or the disk is full.
    """
    made = [parent for parent in folder.absolute().parents if not parent.exists()]
    try:
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp("", UNFINISHED, folder.parent))
            try:
                temporary.chmod(0o755)  # temporary folders are private
                yield temporary
                temporary.rename(folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        except BaseException:
            for parent in made:  # begins with the innermost one
                with suppress(OSError):
                    parent.rmdir()
            raise
    except OSError as error:
        raise explained(error, folder) from error


def require_writable(folder: Path) -> None:
    """Create `folder` and prove that a file can be written in it.

    Raises:
        UserError: it cannot; nothing is left behind.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise explained(error, folder) from error


def require_free_space(folder: Path, needed_bytes: int) -> None:
    """Raise UserError where the disk of `folder` has less than `needed_bytes` free."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise UserError(
            f"{folder}: {needed_bytes / 2**20:.0f} MiB are needed there and "
            f"{free / 2**20:.0f} MiB are free. Free some space, or choose another disk "
            "with --output or BENCH_CACHE."
        )


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def explained(error: OSError, path: Path) -> Exception:
    """Return a UserError for what the user can mend, else the error itself."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        what = "no space is left on the disk"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        what = "no permission to write there"
    elif error.errno in (errno.ENOTDIR, errno.EEXIST):
        what = "a part of this path is a file, not a folder"
    elif error.errno == errno.ENOTEMPTY:
        what = "another program has put files there meanwhile"
    elif error.errno == errno.ENAMETOOLONG:
        what = "a name in this path is too long"
    else:
        return error
    return UserError(
        f"{path}: {what}. Choose another folder with --output or BENCH_CACHE."
    )


def expand_home(arguments: list[str]) -> list[str]:
    """Put the home folder in the place of a tilde, which no shell does after a "="."""
    return [
        re.sub("^(--[a-z-]+=|)(~.*)", lambda part: part[1] + expanduser(part[2]), one)
        for one in arguments
    ]


def require_new(option: str, destination: Path, source: Path) -> None:
    """Check that a copy of a data set replaces nothing, and does not contain itself.

    Raises:
        UserError: the destination exists, or lies inside the source.
    """
    if destination.exists() or destination.is_symlink():
        raise UserError(
            f"{option} {destination}: this exists already. Give the name of a new "
            "folder; the copy of the data set is written there."
        )
    if destination.resolve().is_relative_to(source.resolve()):
        raise UserError(
            f"{option} {destination}: this lies inside the data set {source}. Give a "
            "folder outside of it."
        )
