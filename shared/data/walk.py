"""Which files of a folder count as images, for training and for `predict` alike."""

from collections.abc import Iterator
from pathlib import Path

# Files that Windows puts into folders. Those of macOS and Jupyter begin with a dot.
OF_THE_SYSTEM = {"thumbs.db", "ehthumbs.db", "desktop.ini"}


def visible(folder: Path) -> list[Path]:
    """Return what lies in a folder, sorted by name, without hidden and system files.

    Raises:
        OSError: the folder cannot be read.
    """
    names = sorted(path.name for path in folder.iterdir())
    return [
        folder / name
        for name in names
        if not name.startswith(".") and name.lower() not in OF_THE_SYSTEM
    ]


def walk(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder and of all folders in it, linked ones included.

    A folder that several links lead to is entered once.

    Raises:
        OSError: a folder cannot be read.
    """
    entered, waiting = set(), [folder]
    while waiting:
        path = waiting.pop(0)
        if not path.is_dir():
            yield path
        elif (real := path.resolve()) not in entered:
            entered.add(real)
            waiting = visible(path) + waiting
