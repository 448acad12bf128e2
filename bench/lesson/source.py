"""Read parts of the two programs from their files; nothing is imported or run."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SIDES = {"pytorch": "PyTorch", "keras": "Keras"}
ROOT = Path(__file__).parents[2]
Definition = ast.FunctionDef | ast.ClassDef
Line = tuple[int | None, str]


@dataclass(frozen=True)
class Code:
    """Some lines of a program.

    Attributes:
        file: such as "keras_impl/model.py".
        lines: number in the file and text, without the indentation that all share. A
            line without a number stands for lines that are left out.
    """

    file: str
    lines: list[Line]

    @property
    def place(self) -> str:
        """Return file and first line, such as "keras_impl/model.py:50"."""
        return f"{self.file}:{self.lines[0][0]}"

    @property
    def text(self) -> str:
        return "\n".join(text for _, text in self.lines)

    @property
    def entries(self) -> list[str]:
        """Return the entries of the ledger that comments name, such as "D01"."""
        return find_entries(self.text)


def find_entries(text: str) -> list[str]:
    """Return the entries of the ledger that marks such as [D01] name."""
    return list(dict.fromkeys(re.findall(r"\[(D\d\d)\]", text)))


def read_code(side: str, reference: str, matched: bool = False) -> Code:
    """Return the part of a program that a reference names.

    Args:
        side: "pytorch" or "keras".
        reference: chapter and definition, such as "model.Classifier.train". Words after
            a colon choose statements: "training.train: Adam, cosine" shows only those
            that contain one of the words, and "..." for the others.
        matched: read the matched program in place of the plain one.

    Raises:
        LookupError: there is no such file or definition, or no such statement.
    """
    name, _, words = reference.partition(": ")
    chapter, *path = name.split(".")
    file = f"{side}_impl/{'matched/' if matched else ''}{chapter}.py"
    lines, tree = _parse(file)
    node = _find(tree, path, f"{file} has no {'.'.join(path)}")
    whole = lines[_first_line(node) - 1 : node.end_lineno]
    wanted = words.split(", ") if words else []
    text = "".join(line for _, line in whole)
    if missing := [word for word in wanted if word not in text]:
        raise LookupError(f"{file}: {'.'.join(path)} has no {missing[0]!r}")
    chosen = _excerpt(node, lines, wanted) if wanted else _without_arguments(whole)
    return Code(file, _dedent(list(chosen)))


def read_file(file: str) -> Code:
    """Return a whole file, such as "keras_impl/model.py"."""
    return Code(file, _parse(file)[0])


def find_line(codes: list[Code], name: str) -> tuple[str, int]:
    """Return the file and the number of the first line that uses a name.

    Raises:
        LookupError: no line does.
    """
    for code in codes:
        for number, text in code.lines:
            if number and re.search(rf"\b{name}\b", text.partition("#")[0]):
                return code.file, number
    raise LookupError(f"no line uses {name}")


def has_matched(side: str, reference: str) -> bool:
    """Return whether the matched program has what a reference names."""
    try:
        read_code(side, reference, matched=True)
    except LookupError:
        return False
    return True


def list_public(side: str) -> list[str]:
    """Return the functions and classes of the plain program that others may use.

    They are written as a reference, such as "model.build_model".
    """
    return [
        f"{path.stem}.{node.name}"
        for path in sorted((ROOT / f"{side}_impl").glob("*.py"))
        for node in _parse(f"{side}_impl/{path.name}")[1].body
        if isinstance(node, Definition) and not node.name.startswith("_")
    ]


def list_names(text: str) -> set[str]:
    """Return the names that some code uses, those of attributes and arguments too."""
    found = set(re.findall(r"[A-Za-z_]\w*", _without_strings(text)))
    return {name for name in found if len(name) > 1}


def _without_strings(text: str) -> str:
    text = re.sub(r'"""[\s\S]*?"""', "", text)
    return re.sub(r"#.*", "", text)


@cache
def _parse(file: str) -> tuple[list[Line], ast.Module]:
    path = ROOT / file
    if not path.is_file():
        raise LookupError(f"there is no {file}")
    text = path.read_text()
    return list(enumerate(text.splitlines(), 1)), ast.parse(text)


def _find(tree: ast.Module, path: list[str], problem: str) -> Definition:
    body, found = tree.body, None
    for name in path:
        inner = [one for one in body if isinstance(one, Definition)]
        found = next((one for one in inner if one.name == name), None)
        if found is None:
            raise LookupError(problem)
        body = found.body
    if found is None:
        raise LookupError(problem)
    return found


def _first_line(node: Definition) -> int:
    decorators = [decorator.lineno for decorator in node.decorator_list]
    return min([node.lineno, *decorators])


def _excerpt(node: Definition, lines: list[Line], words: list[str]) -> Iterator[Line]:
    """Give the name of a definition, and the statements that contain one of the words.

    Arguments that take several lines are left out too.
    """
    first, last = node.lineno, _with_comments(node.body[0], lines) - 1
    yield from lines[_first_line(node) - 1 : first - 1]
    _, text = lines[first - 1]
    yield first, text.partition("(")[0] + "(...):" if last > first else text
    yield from _choose(node.body, lines, words)


def _choose(
    body: list[ast.stmt], lines: list[Line], words: list[str]
) -> Iterator[Line]:
    """Give the statements that contain one of the words, and "..." for the others."""

    def contains(first: int, last: int) -> bool:
        text = "\n".join(line for _, line in lines[first - 1 : last])
        return any(word in text for word in words)

    left_out = False
    for node in body:
        first = _with_comments(node, lines)
        if _is_docstring(node) or not contains(first, node.end_lineno):
            if not (left_out or _is_docstring(node)):
                yield None, " " * node.col_offset + "..."
                left_out = True
            continue
        left_out = False
        inner = getattr(node, "body", [])
        header = _with_comments(inner[0], lines) - 1 if inner else node.end_lineno
        if isinstance(node, Definition) and not contains(first, header):
            yield from [(None, ""), *_excerpt(node, lines, words)]
            continue
        yield from lines[first - 1 : header]
        if inner and contains(first, header):
            yield from lines[header : inner[-1].end_lineno]
        else:
            yield from _choose(inner, lines, words)
        if other := getattr(node, "orelse", []):
            start = _with_comments(other[0], lines) - 1
            yield from lines[inner[-1].end_lineno : start]
            yield from _choose(other, lines, words)


def _without_arguments(lines: list[Line]) -> Iterator[Line]:
    """Leave out what docstrings say of arguments; the programs' files have it."""
    skips = False
    for (number, text), (_, below) in zip(lines, [*lines[1:], (None, "")], strict=True):
        skips = skips and not text.endswith('"""')
        skips = skips or below.strip() in ("Args:", "Returns:", "Raises:")
        if not skips:
            yield number, text


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _with_comments(node: ast.stmt, lines: list[Line]) -> int:
    """Return the number of the first line of the comments above a statement."""
    first = node.lineno
    while lines[first - 2][1].lstrip().startswith("#"):
        first -= 1
    return first


def _dedent(lines: list[Line]) -> list[Line]:
    indents = [len(text) - len(text.lstrip()) for _, text in lines if text.strip()]
    return [(number, text[min(indents) :]) for number, text in lines]
