"""Read the entries of docs/differences.md, if the project's documents are there."""

import re
from pathlib import Path

from markupsafe import Markup, escape

from bench.report.blocks import Block, Table, Text

DOCUMENT = Path(__file__).parents[2] / "docs" / "differences.md"


def read_document() -> str:
    """Return the text of the document; "" for a package installed without it."""
    return DOCUMENT.read_text() if DOCUMENT.is_file() else ""


def read_titles(text: str) -> dict[str, str]:
    """Return the title of every entry by its number."""
    return dict(re.findall(r"(?m)^## (D\d\d) (.+)$", text))


def read_entry(title: str) -> list[Block]:
    """Return the document's text on one difference, without the measured numbers."""
    _, _, text = read_document().partition(f"\n## {title}\n")
    text = re.split(r"\n## |\n<!-- measured -->", text)[0]
    return [_block(part) for part in text.strip().split("\n\n") if part]


def read_note(number: str) -> tuple[str, str]:
    """Return what an entry says first, and its last measured effect, as plain text.

    Each is "" where there is none.
    """
    title = read_titles(read_document()).get(number, "")
    _, _, text = read_document().partition(f"\n## {number} {title}\n")
    explained, _, measured = text.partition("\n## ")[0].partition("<!-- measured -->")
    paragraphs = [
        part for part in explained.strip().split("\n\n") if not part.startswith("|")
    ]
    effects = re.findall(r"(?m)^- (.+)$", measured)
    return _plain((paragraphs or [""])[0]), _plain((effects or [""])[-1])


def _plain(text: str) -> str:
    """Keep only the text of links and of code."""
    return _unlinked(text).replace("`", "")


def _unlinked(text: str) -> str:
    """Put a paragraph on one line, and keep only the text of its links."""
    return re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", " ".join(text.split()))


def _block(part: str) -> Block:
    """Turn a part of an entry into a table or a paragraph."""
    if not part.startswith("|"):
        return Text(_inline(part))
    lines = [line.strip("| ").split(" | ") for line in part.splitlines()]
    header, _, *rows = [[_inline(cell) for cell in line] for line in lines]
    return Table("", "l" * len(header), header, rows)


def _inline(text: str) -> Markup:
    """Mark code as such, and keep only the text of links."""
    text = _unlinked(text)
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
