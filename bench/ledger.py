"""Read docs/differences.md, the ledger, if the project's documents are there."""

import re
from dataclasses import dataclass
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


def make_link(number: str, document: str = DOCUMENT.name) -> str:
    """Return a link to an entry in Markdown.

    Args:
        document: path from the page with the link.
    """
    title = f"{number} {read_titles(read_document())[number]}"
    return f"[{title}]({document}#{anchor(title)})"


@dataclass(frozen=True)
class Note:
    """What an entry says in short; each is "" or empty where there is nothing.

    Attributes:
        pytorch, keras: what each framework does, in Markdown.
        says: the first paragraph, as plain text.
        measured: sentences with what was measured, as plain text.
    """

    pytorch: str
    keras: str
    says: str
    measured: list[str]

    @property
    def effect(self) -> str:
        """Return the last measurement, that of the accuracy if there is one."""
        return (self.measured or [""])[-1]


@cache
def read_note(number: str) -> Note:
    """Return what an entry says in short."""
    title = read_titles(read_document()).get(number, "")
    _, _, text = read_document().partition(f"\n## {number} {title}\n")
    explained, _, measured = text.partition("\n## ")[0].partition("<!-- measured -->")
    table, _, says = explained.strip().partition("\n\n")
    row = unlink(table.rpartition("\n")[2]).strip("| ")
    pytorch, _, keras = row.partition(" | ")
    return Note(
        pytorch=pytorch,
        keras=keras,
        says=_plain(says.partition("\n\n")[0]),
        measured=[*map(_plain, re.findall(r"(?m)^- (.+)$", measured))],
    )


def _plain(text: str) -> str:
    """Keep only the text of links and of code."""
    return unlink(text).replace("`", "")


def unlink(text: str) -> str:
    """Put a paragraph on one line, and keep only the text of its links."""
    return re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", " ".join(text.split()))
