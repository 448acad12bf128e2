"""A CSV file in which people decide what becomes of images, and what carries it out."""

import csv
import io
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.explore.losses import Candidate
from shared.data.cache import Files, Progress, listed
from shared.data.dataset import find_folder, scan_folder
from shared.errors import UserError
from shared.files import new_folder, require_free_space

COLUMNS = ("split", "file", "class", "predicted", "loss", "action", "new_class")
NEEDED = ("split", "file", "action", "new_class")
KEEP, DELETE, MOVE = "keep", "delete", "move"
ACTIONS = (KEEP, DELETE, MOVE)
DELIMITERS = ",;\t"  # some spreadsheet programs write one of the others


@dataclass(frozen=True)
class Decision:
    """A line of the CSV file: what becomes of an image.

    Attributes:
        file: 'class/name.jpg' in its split.
        new_class: the class to move the image to, or "" for the other actions.
    """

    line: int
    split: str
    file: str
    action: str
    new_class: str


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
    _require_new(destination, source)
    decisions = read_decisions(table, files)
    done = apply_decisions(source, destination, decisions, progress)
    left = sum(map(len, files.values())) - done[DELETE]
    return (
        f"{destination}: {left:,} images. {done[DELETE]} were deleted, {done[MOVE]} "
        f"moved to another class. {source} is unchanged.\nNow run python -m bench "
        f"explore --data {destination}"
    )


def to_csv(candidates: list[Candidate]) -> str:
    """Return the text of a CSV file that keeps all images until a person edits it."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for one in candidates:
        known = [one.split, one.file, one.label, one.predicted, f"{one.loss:.3f}"]
        table.writerow([*known, KEEP, ""])
    return text.getvalue()


def read_decisions(path: Path, files: Files) -> list[Decision]:
    """Read an edited CSV file and check each line against the data set.

    Raises:
        UserError: the file cannot be read, or all lines that cannot be carried out.
    """
    decisions = _parse(path)
    problems = [
        f"line {decision.line}: {problem}"
        for decision in decisions
        if (problem := _find_problem(decision, files))
    ]
    seen: dict[tuple[str, str], int] = {}
    for one in decisions:
        first = seen.setdefault((one.split, one.file), one.line)
        if first != one.line:
            problems.append(
                f"line {one.line}: {one.split}/{one.file} stands on line {first} too"
            )
    problems = problems or _empty_classes(decisions, files)
    if problems:
        raise UserError(
            f"--apply {path}: nothing was changed, since not all lines can be carried "
            f"out:\n{listed(problems)}\nThe column action allows {', '.join(ACTIONS)}. "
            f"The action {MOVE} needs one of the classes of the data set in the column "
            "new_class."
        )
    return decisions


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
        require_free_space(copy, sum(path.stat().st_size for path in paths))
        for number, path in enumerate(paths):
            if number % 100 == 0:
                progress("copying the data set", number, len(paths))
            target = copy / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
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


def _parse(path: Path) -> list[Decision]:
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise _unreadable(path, error.strerror) from error
    except UnicodeDecodeError as error:
        raise _unreadable(path, "it is not UTF-8 text") from error
    first = text.split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=first.count)
    rows = csv.DictReader(
        io.StringIO(text, newline=""), delimiter=delimiter, restval=""
    )
    missing = [name for name in NEEDED if name not in (rows.fieldnames or ())]
    if missing:
        raise UserError(
            f"--apply {path}: line 1 has no column {', '.join(missing)}. The columns "
            f"are {', '.join(COLUMNS)}."
        )
    try:
        return [_make_decision(rows.line_num, row) for row in rows]
    except csv.Error as error:
        raise _unreadable(path, f"line {rows.line_num}: {error}") from error


def _unreadable(path: Path, reason: str) -> UserError:
    return UserError(
        f"--apply {path}: the file cannot be read ({reason}). Give the relabel.csv of "
        "`python -m bench explore --run FOLDER`."
    )


def _make_decision(line: int, row: dict[str, str]) -> Decision:
    return Decision(
        line=line,
        split=row["split"].strip(),
        file=row["file"],
        action=row["action"].strip().lower(),
        new_class=row["new_class"].strip(),
    )


def _find_problem(decision: Decision, files: Files) -> str | None:
    """Say what is wrong with a line, if anything is."""
    if decision.split not in files:
        return f"unknown split '{decision.split}'; there are {', '.join(files)}"
    if decision.file not in files[decision.split]:
        return f"unknown file '{decision.file}' in {decision.split}"
    if decision.action not in ACTIONS:
        return f"unknown action '{decision.action}'"
    if decision.action != MOVE:
        if decision.new_class:
            return f"new_class is '{decision.new_class}', but action is not {MOVE}"
        return None
    classes = sorted({name.split("/")[0] for name in files["train"]})
    if decision.new_class not in classes:
        return f"unknown class '{decision.new_class}'; there are {', '.join(classes)}"
    if decision.new_class == decision.file.split("/")[0]:
        return f"'{decision.file}' is in the class '{decision.new_class}' already"
    return None


def _empty_classes(decisions: list[Decision], files: Files) -> list[str]:
    """Return the folders in which the decisions leave no image."""
    left = Counter((s, name.split("/")[0]) for s in files for name in files[s])
    for one in decisions:
        if one.action != KEEP:
            left[one.split, one.file.split("/")[0]] -= 1
        if one.action == MOVE:
            left[one.split, one.new_class] += 1
    return [f"{s}/{c} would have no images" for (s, c), n in left.items() if n == 0]


def _require_new(destination: Path, source: Path) -> None:
    """Check that the copy replaces nothing, and does not contain itself."""
    if destination.exists() or destination.is_symlink():
        raise UserError(
            f"--destination {destination}: this exists already. Give the name of a new "
            "folder; the copy of the data set is written there."
        )
    if destination.resolve().is_relative_to(source.resolve()):
        raise UserError(
            f"--destination {destination}: this lies inside the data set {source}. "
            "Give a folder outside of it."
        )


def _free_name(place: Path, new_class: str, taken: set[Path]) -> Path:
    """Return where an image goes in its new class, under its own name if it is free."""
    folder = place.parent.parent / new_class
    names = [place.name, f"{place.parent.name}-{place.name}"]
    names += [f"{number}-{place.name}" for number in range(2, len(taken) + 3)]
    return next(folder / name for name in names if folder / name not in taken)
