"""What a report is made of. Both templates show the same blocks in the same order."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from bench.records import Photo


class Block:
    """One part of a section."""

    @property
    def kind(self) -> str:
        """Which one, for the templates: "text", "table" and so on."""
        return type(self).__name__.lower()


@dataclass(frozen=True)
class Text(Block):
    text: str


@dataclass(frozen=True)
class Bullets(Block):
    items: list[str]


@dataclass(frozen=True)
class Entries(Block):
    """Entries of docs/differences.md by their titles.

    The HTML report holds what they say, since it may be kept anywhere; the Markdown
    report links to the document where both belong to one folder tree.
    """

    entries: dict[str, list[Block]]


@dataclass(frozen=True)
class Code(Block):
    code: str


@dataclass(frozen=True)
class Table(Block):
    title: str
    align: str  # one letter a column: l text, r number
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Plot(Block):
    """An inline SVG; the Markdown report leaves it out."""

    svg: Markup
    caption: str
    wide: bool = False  # keeps its own size and scrolls where the page is narrower


@dataclass(frozen=True)
class Strip(Block):
    """Test images, each with the answers of some arms."""

    arms: dict[str, str]  # with their colours
    photos: list[Photo]


@dataclass(frozen=True)
class Row(Block):
    """Blocks that stand side by side where there is room."""

    blocks: Sequence[Block]


@dataclass(frozen=True)
class Fold(Block):
    """Blocks that lie folded away under one line; the Markdown report shows them."""

    summary: str
    blocks: list[Block]
    is_open: bool = False


@dataclass(frozen=True)
class Section:
    title: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        return self.title.lower().replace(" ", "-")
