"""The short form of a report, for the terminal."""

from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.records import LedgerRecord, ParityRecord, Results
from bench.report.ledger import ledger_cells
from bench.report.opening import make_opening
from bench.report.parity import HEADER, rung_cells
from bench.report.words import banners, difference, missing

STYLES = {"proven": "bold green", "failed": "bold red", "open": "yellow"}


def print_summary(
    results: Results, console: Console, folder: Path | None = None
) -> None:
    """Print what the run shows and, where given, the `folder` its report lies in."""
    for warning in banners(results):
        console.print(Text(warning, "bold yellow"))
    if results.parity and (results.parity.first_failed or not results.arms):
        console.print(_ladder(results.parity))
    if results.ledger:
        console.print(_ledger(results.ledger))
    if found := results.comparison:
        verdict = f"Verdict: {found.verdict}."
        console.print(Text(f"{difference(found)} {verdict}"))
    for gap in missing(results):
        console.print(Text(f"No result: {gap}", "yellow"))
    _print_opening(results, console)
    if folder:
        # A path broken over two lines could not be copied.
        console.print(Text(f"Report: {folder / 'report.html'}"), soft_wrap=True)


def _print_opening(results: Results, console: Console) -> None:
    """The first page of the report: its cards as a table, and what is proven."""
    opening = make_opening(results)
    if opening.cards:
        title = Text(f"{results.data.name}, {results.division} division")
        look = {"box": box.SIMPLE_HEAD, "pad_edge": False, "show_edge": False}
        table = Table(title=title, title_justify="left", **look)
        for name in ("", *opening.colors):
            table.add_column(Text(name), overflow="fold")
        form = "{} ({})" if len(opening.colors) <= 2 else "{}\n{}"  # in 80 columns
        for card in opening.cards:
            table.add_row(card.title, *map(Text, card.cells(form)))
        console.print(table)
    for claim in (opening.claim, opening.checks):
        if claim:
            console.print(Text(claim.text, STYLES[claim.state]))


def _ladder(parity: ParityRecord) -> Table:
    table = Table(*HEADER, box=box.SIMPLE_HEAD, pad_edge=False)
    for rung in parity.rungs:
        table.add_row(*map(Text, rung_cells(rung)))
    return table


def _ledger(ledger: LedgerRecord) -> Table:
    """What was left in and what that did; the report has the sizes as well."""
    header = ("", "Left in", "Validation", "Test", "Verdict")
    table = Table(*header, box=box.SIMPLE_HEAD, pad_edge=False)
    for number, record in ledger.differences.items():
        if record.ablation:
            _, *ablation = ledger_cells(record)
            table.add_row(number, *map(Text, ablation))
    return table
