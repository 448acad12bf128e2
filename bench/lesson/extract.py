"""Take functions out of a plain program, for a notebook that has them itself."""

import ast
from collections.abc import Iterable

from bench.lesson.source import read_file

Definition = ast.FunctionDef | ast.ClassDef | ast.Assign


class Program:
    """Shows code of a plain program, each definition and each import once.

    Attributes:
        known: names that the notebook has defined or imported so far.
        needed: names that the code so far takes from other files of the program.
    """

    def __init__(self, side: str) -> None:
        self.package = f"{side}_impl"
        self.known: set[str] = set()
        self.needed: set[str] = set()

    def show(self, text: str) -> str:
        """Return a cell, with the program's code in place of imports from it.

        Raises:
            LookupError: the program has no such definition, or the cell has other code
                beside the imports.
        """
        body = ast.parse(text).body
        own = self._own(body)
        if not own:
            self.known |= {_bound(one) for node in body for one in _aliases(node)}
            return text
        if len(own) < len(body):
            raise LookupError(f"a cell imports from {self.package}, and does more")
        return "\n\n\n".join(
            self._take(node.module, [one.name for one in node.names]) for node in own
        )

    def _own(self, body: list[ast.stmt]) -> list[ast.ImportFrom]:
        """Return the imports from the plain program."""
        imports = [node for node in body if isinstance(node, ast.ImportFrom)]
        return [node for node in imports if node.module.startswith(self.package)]

    def _take(self, module: str, names: list[str]) -> str:
        """Return definitions of a file, with what they need of the same file."""
        file = f"{module.replace('.', '/')}.py"
        text = read_file(file).text
        tree = ast.parse(text)
        defined = {_name(one): one for one in tree.body if isinstance(one, Definition)}
        if missing := {*names} - {*defined}:
            raise LookupError(f"{file} has no {', '.join(sorted(missing))}")
        wanted = _with_needed(names, defined) - self.known
        self.known |= wanted
        nodes = [node for name, node in defined.items() if name in wanted]
        imports = self._import(tree, text, set().union(*map(_names_in, nodes)))
        constants = [_source(one, text) for one in nodes if isinstance(one, ast.Assign)]
        head = "\n".join([f"# From {file}", *imports])
        if constants:
            head += "\n\n" + "\n".join(constants)
        others = [one for one in nodes if not isinstance(one, ast.Assign)]
        return "\n\n\n".join([head, *(_source(one, text) for one in others)])

    def _import(self, tree: ast.Module, text: str, used: set[str]) -> list[str]:
        """Return the imports of a file that bind used names which are not known yet."""
        own = self._own(tree.body)
        lines = []
        for node in tree.body:
            names = [one for one in _aliases(node) if _bound(one) in used]
            if node in own:
                self.needed |= {_bound(one) for one in names}
                continue
            new = [one for one in names if _bound(one) not in self.known]
            self.known |= {_bound(one) for one in new}
            if new and new == _aliases(node):
                lines.append(_source(node, text))
            elif new and isinstance(node, ast.ImportFrom):
                lines.append(ast.unparse(ast.ImportFrom(node.module, new, 0)))
        return lines


def _with_needed(names: Iterable[str], defined: dict[str, Definition]) -> set[str]:
    """Return names and all that their definitions use, directly or through others."""
    found: set[str] = set()
    left = [*names]
    while left:
        name = left.pop()
        if name in defined and name not in found:
            found.add(name)
            left += _names_in(defined[name])
    return found


def _aliases(node: ast.stmt) -> list[ast.alias]:
    return node.names if isinstance(node, ast.Import | ast.ImportFrom) else []


def _bound(one: ast.alias) -> str:
    return one.asname or one.name


def _name(node: Definition) -> str:
    return node.name if hasattr(node, "name") else ast.unparse(node.targets[0])


def _names_in(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def _source(node: ast.stmt, text: str) -> str:
    """Return the lines of a statement, with its decorators and the comments above."""
    lines = text.splitlines()
    decorators = getattr(node, "decorator_list", [])
    start = min(one.lineno for one in (node, *decorators)) - 1
    while lines[start - 1].startswith("#"):
        start -= 1
    return "\n".join(lines[start : node.end_lineno])
