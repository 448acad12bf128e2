"""The CSV file in which people decide what becomes of images: write and read it."""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.explore.losses import Candidate
from shared.data.cache import Files, listed
from shared.errors import UserError

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
