"""Carry out what people have decided about images, on a copy of the data set."""

from collections import Counter
from pathlib import Path

from bench.explore.decisions import DELETE, MOVE, Decision, read_decisions
from shared.data.cache import Progress
from shared.data.dataset import find_folder, scan_folder
from shared.data.folders import copy_images
from shared.files import new_folder, require_new


def relabel(
    table: Path, data: str | None, destination: Path, progress: Progress
) -> str:
    """Carry out an edited CSV file on a copy of the data set, and say what was done.

    Raises:
        UserError: a line cannot be carried out, or the destination cannot be used;
            nothing is written.
    """
    source = find_folder(data, progress)
    files = scan_folder(source)
    require_new("--destination", destination, source)
    decisions = read_decisions(table, files)
    done = apply_decisions(source, destination, decisions, progress)
    left = sum(map(len, files.values())) - done[DELETE]
    return (
        f"{destination}: {left:,} images. Deleted: {done[DELETE]}. Moved to another "
        f"class: {done[MOVE]}. {source} is unchanged.\nNow run python -m bench explore "
        f"--data {destination}"
    )


def apply_decisions(
    source: Path, destination: Path, decisions: list[Decision], progress: Progress
) -> Counter[str]:
    """Copy a data set and carry out the decisions on the copy.

    The copy has the images, and the files beside the folders of the splits. It gets its
    name when it is complete.

    Args:
        decisions: as `read_decisions` checked them.

    Returns:
        The number of decisions by action.

    Raises:
        UserError: there is no room for the copy.
    """
    files = scan_folder(source)
    paths = [*_beside(source), *(p for split in files.values() for p in split.values())]
    taken = {path.relative_to(source) for path in paths}
    with new_folder(destination) as copy:
        copy_images({path: path.relative_to(source) for path in paths}, copy, progress)
        for decision in decisions:
            place = files[decision.split][decision.file].relative_to(source)
            if decision.action == DELETE:
                (copy / place).unlink()
            elif decision.action == MOVE:
                target = _free_name(place, decision.new_class, taken)
                taken.add(target)
                (copy / place).rename(copy / target)
    return Counter(decision.action for decision in decisions)


def _beside(source: Path) -> list[Path]:
    """Return the files beside the folders of the splits, such as a licence."""
    return [
        path
        for path in sorted(source.iterdir())
        if path.is_file() and not path.name.startswith(".")
    ]


def _free_name(place: Path, new_class: str, taken: set[Path]) -> Path:
    """Return where an image goes in its new class, under its own name if it is free."""
    folder = place.parent.parent / new_class
    names = [place.name, f"{place.parent.name}-{place.name}"]
    names += [f"{number}-{place.name}" for number in range(2, len(taken) + 3)]
    return next(folder / name for name in names if folder / name not in taken)
