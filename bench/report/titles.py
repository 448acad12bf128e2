"""The entries of docs/differences.md, where the project's documents are at hand."""

import re
from pathlib import Path

from markupsafe import Markup, escape

from bench.report.blocks import Block, Table, Text

DOCUMENT = Path(__file__).parents[2] / "docs" / "differences.md"


def read_document() -> str:
    """The text of the document; empty for a package that was installed without it."""
    return DOCUMENT.read_text() if DOCUMENT.is_file() else ""


def read_titles(text: str) -> dict[str, str]:
    """Number and title of every entry."""
    return dict(re.findall(r"(?m)^## (D\d\d) (.+)$", text))


def read_entry(title: str) -> list[Block]:
    """What the document says about one difference, but for the measured numbers."""
    _, _, text = read_document().partition(f"\n## {title}\n")
    text = re.split(r"\n## |\n<!-- measured -->", text)[0]
    return [_block(part) for part in text.strip().split("\n\n") if part]


def _block(part: str) -> Block:
    """A table or a paragraph."""
    if not part.startswith("|"):
        return Text(_inline(part))
    lines = [line.strip("| ").split(" | ") for line in part.splitlines()]
    header, _, *rows = [[_inline(cell) for cell in line] for line in lines]
    return Table("", "l" * len(header), header, rows)


def _inline(text: str) -> Markup:
    """Code in its own type, and of links the text alone: their targets stay behind."""
    text = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", " ".join(text.split()))
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
