"""A user's program, as its syntax tree shows it; nothing of it is run."""

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from shared.errors import UserError

Function = ast.FunctionDef | ast.AsyncFunctionDef
MAX_BYTES = 10_000_000


@dataclass(frozen=True)
class Finding:
    """A trap at a place of a program.

    Attributes:
        line: counted from 1.
        entry: of docs/differences.md, such as "D01".
        message: what is wrong, in a sentence.
        mended: the line as it should be, or several lines.
    """

    line: int
    entry: str
    message: str
    mended: str


class Program:
    """The syntax tree of a program, with questions that the rules ask."""

    def __init__(self, text: str) -> None:
        """Parse a program.

        Raises:
            SyntaxError: it is no Python.
        """
        self.lines = text.splitlines()
        self.tree = ast.parse(text)

    @cached_property
    def imports(self) -> set[str]:
        """Return the packages that are imported, such as "torch"."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
        return found

    @cached_property
    def functions(self) -> list[Function]:
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]

    def calls(self, *names: str, inside: ast.AST | None = None) -> Iterator[ast.Call]:
        """Give the calls of functions or methods with one of the names, by line.

        Without a name, all calls.
        """
        found = [
            node
            for node in ast.walk(inside or self.tree)
            if isinstance(node, ast.Call)
            and (not names or last_name(node.func) in names)
        ]
        yield from sorted(found, key=lambda call: call.lineno)

    def has_call(self, *names: str, inside: ast.AST | None = None) -> bool:
        return any(self.calls(*names, inside=inside))

    def statement(self, node: ast.stmt | ast.expr) -> str:
        """Return the text of the line where a node begins, without its indentation."""
        return self.lines[node.lineno - 1].strip()

    def scopes(self) -> list[ast.AST]:
        """Return every function, and the module for what stands outside of them."""
        return [*self.functions, self.tree]


def last_name(node: ast.expr) -> str:
    """Return the last part of a dotted name: "step" of optimizer.step."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def owner(call: ast.Call) -> str:
    """Return what a method is called on, as it is written; "" for a function."""
    return ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Return the value of a keyword argument, or None."""
    return next((one.value for one in call.keywords if one.arg == name), None)


def number(node: ast.expr | None) -> float | None:
    """Return a number that is written as one, such as 10, -0.1 or 1 / 255."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = number(node.operand)
        return None if value is None else -value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        above, below = number(node.left), number(node.right)
        return above / below if above is not None and below else None
    return None


def with_argument(call: ast.Call, name: str, text: str) -> str:
    """Return the source of a call with a keyword argument more, or another value."""
    kept = [one for one in call.keywords if one.arg != name]
    value = ast.parse(text, mode="eval").body
    changed = [*kept, ast.keyword(name, value)]
    return ast.unparse(ast.Call(call.func, call.args, changed))


def read_program(path: Path) -> tuple[Program, list[str]]:
    """Read a Python file or a notebook.

    Returns:
        The program, and the place of each of its lines: a line number, in a notebook
        with the number of the cell before it.

    Raises:
        UserError: the file is no text, no notebook, or no Python.
    """
    if path.stat().st_size > MAX_BYTES:
        raise UserError(f"{path}: more than {MAX_BYTES // 10**6} MB; this is no code.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: this is no text in UTF-8.") from error
    if path.suffix == ".ipynb":
        text, places = _read_cells(text, path)
    else:
        places = [f"{line}" for line in range(1, text.count("\n") + 2)]
    try:
        return Program(text), places
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        place = places[min(line, len(places)) - 1]
        reason = getattr(error, "msg", None) or f"{error}"
        raise UserError(f"{path}:{place}: this is no Python: {reason}.") from error


def _read_cells(text: str, path: Path) -> tuple[str, list[str]]:
    """Return the code of a notebook; lines for IPython alone become `pass`."""
    try:
        cells = json.loads(text)["cells"]
        sources = [
            "".join(cell["source"]) if cell["cell_type"] == "code" else ""
            for cell in cells
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: this is no notebook.") from error
    lines, places = [], []
    for number_of_cell, source in enumerate(sources, 1):
        magic = source.lstrip().startswith("%%")
        for line, content in enumerate(source.splitlines(), 1):
            start = content.lstrip()
            indent = content[: len(content) - len(start)]
            skips = magic or start.startswith(("%", "!", "?")) or content.endswith("?")
            lines.append(f"{indent}pass" if skips else content)
            places.append(f"{number_of_cell}:{line}")
    return "\n".join(lines), places or ["1:1"]
