"""What a report is made of. Both templates show the same blocks in the same order."""

from dataclasses import dataclass, field
from typing import ClassVar

from markupsafe import Markup

from bench.records import Photo


@dataclass(frozen=True)
class Text:
    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True)
class Bullets:
    kind: ClassVar[str] = "bullets"
    items: list[str]


@dataclass(frozen=True)
class Entries:
    """Entries of docs/differences.md by their titles.

    The HTML report holds what they say, since it may be kept anywhere; the Markdown
    report links to the document where both belong to one folder tree.
    """

    kind: ClassVar[str] = "entries"
    entries: dict[str, list["Block"]]


@dataclass(frozen=True)
class Code:
    kind: ClassVar[str] = "code"
    code: str


@dataclass(frozen=True)
class Table:
    kind: ClassVar[str] = "table"
    title: str
    align: str  # one letter a column: l text, r number
    header: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Plot:
    """An inline SVG; the Markdown report leaves it out."""

    kind: ClassVar[str] = "plot"
    svg: Markup
    caption: str
    wide: bool = False  # keeps its own size and scrolls where the page is narrower


@dataclass(frozen=True)
class Strip:
    """Test images, each with the answers of some arms."""

    kind: ClassVar[str] = "strip"
    arms: dict[str, str]  # with their colours
    photos: list[Photo]


@dataclass(frozen=True)
class Row:
    """Blocks that stand side by side where there is room."""

    kind: ClassVar[str] = "row"
    blocks: list["Block"]


@dataclass(frozen=True)
class Fold:
    """Blocks that lie folded away under one line; the Markdown report shows them."""

    kind: ClassVar[str] = "fold"
    summary: str
    blocks: list["Block"]
    is_open: bool = False


Block = Text | Bullets | Entries | Code | Table | Plot | Strip | Row | Fold


@dataclass(frozen=True)
class Section:
    title: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        return self.title.lower().replace(" ", "-")
