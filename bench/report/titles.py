"""Show the entries of docs/differences.md, if the project's documents are there."""

import re

from markupsafe import Markup, escape

from bench.ledger import read_document, unlink
from bench.report.blocks import Block, Table, Text


def read_entry(title: str) -> list[Block]:
    """Return the document's text on one difference, without the measured numbers."""
    _, _, text = read_document().partition(f"\n## {title}\n")
    text = re.split(r"\n## |\n<!-- measured -->", text)[0]
    return [_block(part) for part in text.strip().split("\n\n") if part]


def _block(part: str) -> Block:
    """Turn a part of an entry into a table or a paragraph."""
    if not part.startswith("|"):
        return Text(_inline(part))
    lines = [line.strip("| ").split(" | ") for line in part.splitlines()]
    header, _, *rows = [[_inline(cell) for cell in line] for line in lines]
    return Table("", "l" * len(header), header, rows)


def _inline(text: str) -> Markup:
    """Mark code as such, and keep only the text of links."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(unlink(text)))))
