"""Find the probes of the ledger: a few lines that show what a framework does."""

import ast
import re
from functools import cache

from bench.lesson.source import ROOT, SIDES, Code, read_code

CHAPTER = "differences/probes"


def find_probes(entry: str) -> list[Code | None]:
    """Return the probe of an entry on each side; [] if neither has one."""
    found = [_names(side).get(entry) for side in SIDES]
    if not any(found):
        return []
    return [
        read_code(side, f"{CHAPTER}.{name}") if name else None
        for side, name in zip(SIDES, found, strict=True)
    ]


@cache
def _names(side: str) -> dict[str, str]:
    """Return the name of each entry's probe, whose documentation begins with it."""
    tree = ast.parse((ROOT / f"{side}_impl" / f"{CHAPTER}.py").read_text())
    return {
        found[1]: node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and (found := re.match(r"\[(D\d\d)\]", ast.get_docstring(node) or ""))
    }
