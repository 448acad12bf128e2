"""Check files and folders, and print what was found."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from bench.ledger import read_note
from bench.lesson.check import keras_rules, pytorch_rules
from bench.lesson.check.program import Finding, Program, read_program
from shared.errors import UserError

IGNORE = re.compile(r"#\s*bench:\s*ignore\b([\sD\d,]*)")
Rule = Callable[[Program], Iterator[Finding]]
SKIPPED = {"__pycache__", "node_modules", "site-packages", ".ipynb_checkpoints"}


@dataclass(frozen=True)
class Trap:
    """A finding with its file, and the place in it as people name it."""

    file: Path
    place: str
    finding: Finding


def list_files(path: Path) -> list[Path]:
    """Return the Python files and notebooks of a folder, or the one file.

    Raises:
        UserError: there is nothing of that kind.
    """
    if path.is_file():
        if path.suffix not in (".py", ".ipynb"):
            raise UserError(f"check: {path} is neither a .py nor an .ipynb file.")
        return [path]
    if not path.is_dir():
        raise UserError(f"check: there is no {path}.")
    files = [
        file
        for pattern in ("*.py", "*.ipynb")
        for file in path.rglob(pattern)
        if not _is_skipped(file.relative_to(path)) and file.is_file()
    ]
    if not files:
        raise UserError(f"check: {path} has no .py and no .ipynb file.")
    return sorted(files)


def _is_skipped(path: Path) -> bool:
    return any(part in SKIPPED or part.startswith(".") for part in path.parts)


def check_file(file: Path) -> list[Trap]:
    """Return the traps of one file, from top to bottom."""
    program, places = read_program(file)
    found = [one for one in find_traps(program) if not _is_ignored(one, program)]
    return [
        Trap(file, places[one.line - 1], one)
        for one in sorted(found, key=lambda one: (one.line, one.entry))
    ]


def find_traps(program: Program) -> Iterator[Finding]:
    """Give what the rules find, those of the frameworks that the program imports."""
    rules: list[Rule] = []
    if program.imports & {"torch", "torchvision"}:
        rules += pytorch_rules.RULES
    if program.imports & {"keras", "tensorflow", "tf_keras"}:
        rules += keras_rules.RULES
    for rule in rules:
        yield from dict.fromkeys(rule(program))  # once for a function in a function


def _is_ignored(finding: Finding, program: Program) -> bool:
    """Return whether the line says `# bench: ignore D01`, or ignores everything."""
    found = IGNORE.search(program.lines[finding.line - 1])
    if found is None:
        return False
    entries = re.findall(r"D\d\d", found[1])
    return not entries or finding.entry in entries


def print_traps(traps: list[Trap], num_files: int, console: Console) -> None:
    """Print each trap in a line, and the mended lines below it."""
    for trap in traps:
        one = trap.finding
        say(console, f"{trap.file}:{trap.place}: {one.entry} {one.message}")
        for line in [*one.mended.splitlines(), *_effect(one.entry)]:
            say(console, f"    {line}")
    if not traps:
        files = "1 file" if num_files == 1 else f"{num_files} files"
        say(console, f"{files}: no trap found that the ledger knows.")


def print_for_github(traps: list[Trap], console: Console) -> None:
    """Print each trap as a warning that GitHub shows beside the line."""
    for trap in traps:
        one = trap.finding
        line = trap.place.rpartition(":")[2]
        text = f"{one.message}. Better: {one.mended}"
        # GitHub's own escapes for the value of a workflow command.
        text = text.replace("%", "%25").replace("\n", "%0A")
        place = f"file={trap.file},line={line},title={one.entry}"
        say(console, f"::warning {place}::{text}")


def say(console: Console, text: str) -> None:
    """Print a text as it is, on one line."""
    console.print(text, markup=False, soft_wrap=True)


def _effect(entry: str) -> list[str]:
    """Return the effect that was measured on the photos of clothes, as a comment."""
    effect = read_note(entry).effect
    found = re.match(
        r"With (.+), accuracy changes .* (\S+ \(\S+ to \S+\)) points on", effect
    )
    if found:
        effect = f"Measured here, with {found[1]}: {found[2]} points of test accuracy."
    return [f"# {effect}"] if effect else []
