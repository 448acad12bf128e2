"""Building blocks of a report. Both templates show them in the same order."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from bench.records import Photo


class Block:
    """One part of a section."""

    @property
    def kind(self) -> str:
        """Return the name of the block's class for the templates, such as "table"."""
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

    The HTML report contains their text, since it may be moved anywhere. The Markdown
    report links to the document if both lie in the project's folder.
    """

    entries: dict[str, list[Block]]


@dataclass(frozen=True)
class Code(Block):
    code: str


@dataclass(frozen=True)
class Table(Block):
    title: str
    align: str  # one letter for each column: l for text, r for numbers
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Plot(Block):
    """An inline SVG, which the Markdown report leaves out."""

    svg: Markup
    caption: str
    wide: bool = False  # keeps its size and scrolls if the page is narrower


@dataclass(frozen=True)
class Strip(Block):
    """A strip of test images, each with the answers of one or more arms."""

    arms: dict[str, str]  # the colour of each arm
    photos: list[Photo]


@dataclass(frozen=True)
class Picture:
    """A picture with its caption."""

    jpeg: str  # base64
    title: str
    lines: Sequence[str] = ()


@dataclass(frozen=True)
class Gallery(Block):
    """Pictures in a grid. The Markdown report has only their captions."""

    pictures: Sequence[Picture]
    width_rem: int = 14  # smallest width of a picture, in the font size of the page


@dataclass(frozen=True)
class Row(Block):
    """Blocks that stand side by side if the page is wide enough."""

    blocks: Sequence[Block]


@dataclass(frozen=True)
class Fold(Block):
    """Blocks that are hidden until a click on their summary line.

    The Markdown report always shows them.
    """

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
