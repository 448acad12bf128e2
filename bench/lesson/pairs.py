"""Show a topic in the terminal: both programs, and the notes of what differs."""

import difflib

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from bench.ledger import read_document, read_note, read_titles
from bench.lesson.source import SIDES, Code
from bench.lesson.topics import TOPICS, Topic

SIDE_BY_SIDE = 130  # columns; with fewer, one program stands above the other


def print_topics(console: Console) -> None:
    """List the topics, in the order of the programs."""
    table = Table.grid(padding=(0, 2))
    for topic in TOPICS:
        table.add_row(Text(topic.name, "bold"), topic.says)
    console.print(table)
    console.print(
        "Show one with `python -m bench pairs NAME`. A name of either framework works "
        "too, such as BatchNormalization or zero_grad, and an entry such as D01.",
        markup=False,
    )


def print_topic(topic: Topic, console: Console) -> None:
    """Show the plain programs' code of a topic, and the notes of its differences."""
    console.rule(Text(topic.title, "bold"))
    console.print(topic.says, markup=False)
    left = list(topic.entries)
    for codes in topic.rows():
        panes = [_pane(side, code) for side, code in zip(SIDES, codes, strict=True)]
        console.print(_beside(panes, console.width))
        marked = [entry for code in codes if code for entry in code.entries]
        for entry in [entry for entry in left if entry in marked]:
            left.remove(entry)
            console.print(_note(entry))
    for entry in left:
        console.print(_note(entry))


def print_matched(topic: Topic, console: Console) -> None:
    """Show what the matched programs change in a topic, against the plain ones."""
    console.rule(Text(f"{topic.title}, matched", "bold"))
    panes = []
    for side, name in SIDES.items():
        plain, matched = (text.splitlines() for text in topic.read_both(side))
        names = f"{side}_impl", f"{side}_impl/matched"
        lines = difflib.unified_diff(plain, matched, *names, lineterm="", n=100)
        text = "\n".join(lines) if matched else "Nothing: the plain program does it."
        panes.append(_headed(name, names[1], _colour(text, "diff")))
    console.print(_beside(panes, console.width))


def _pane(side: str, code: Code | None) -> RenderableType:
    if code is None:
        return Text()
    return _headed(SIDES[side], code.place, _colour(code.text, "python"))


def _colour(text: str, language: str) -> Syntax:
    return Syntax(
        text,
        language,
        theme="ansi_dark",  # the terminal's own colours
        background_color="default",
        word_wrap=True,
    )


def _headed(name: str, place: str, body: RenderableType) -> RenderableType:
    return Group(Text.assemble((name, "bold"), (f"  {place}", "dim")), body)


def _beside(panes: list[RenderableType], width: int) -> RenderableType:
    if width < SIDE_BY_SIDE:
        return Padding(Group(*panes), (1, 0, 0, 0))
    table = Table.grid(padding=(0, 2), expand=True)
    for _ in panes:
        table.add_column(ratio=1)
    table.add_row(*panes)
    return Padding(table, (1, 0, 0, 0))


def _note(entry: str) -> RenderableType:
    title = read_titles(read_document()).get(entry, "")
    note = read_note(entry)
    lines = [Text(f"[{entry}] {title}", "bold")]
    for name, does in zip(SIDES.values(), (note.pytorch, note.keras), strict=True):
        lines.append(Text.assemble((f"{name}: ", "dim"), does.replace("`", "")))
    lines += [Text(note.says), *(Text(text, "dim") for text in note.measured)]
    return Padding(Group(*lines), (1, 4, 0, 4))
