"""Read docs/differences.md, the ledger, if the project's documents are there."""

import re
from functools import cache
from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "docs" / "differences.md"


def read_document() -> str:
    """Return the text of the document; "" for a package installed without it."""
    return DOCUMENT.read_text() if DOCUMENT.is_file() else ""


def read_titles(text: str) -> dict[str, str]:
    """Return the title of every entry by its number."""
    return dict(re.findall(r"(?m)^## (D\d\d) (.+)$", text))


def anchor(title: str) -> str:
    """Return GitHub's anchor of a heading, such as d01-frozen-batch-norm."""
    return re.sub(r"[^\w -]", "", title).lower().replace(" ", "-")


@cache
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


def read_row(number: str) -> str:
    """Return what each framework does, as the row of an entry's table in Markdown.

    Raises:
        LookupError: there is no such entry, or it has no such table.
    """
    table = r"[^\n]*\n\n\| PyTorch \| Keras \|\n\|---\|---\|\n\| ([^\n]+) \|\n"
    found = re.search(rf"(?m)^## {number} {table}", read_document())
    if not found:
        raise LookupError(f"{DOCUMENT.name} has no table of {number}")
    return unlink(found[1])


def _plain(text: str) -> str:
    """Keep only the text of links and of code."""
    return unlink(text).replace("`", "")


def unlink(text: str) -> str:
    """Put a paragraph on one line, and keep only the text of its links."""
    return re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", " ".join(text.split()))
