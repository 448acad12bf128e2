"""Print the short form of a report on the terminal."""

from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.records import LedgerRecord, Results
from bench.report.conclusions import conclude
from bench.report.ledger import HEADER as LEDGER_HEADER
from bench.report.ledger import ledger_cells
from bench.report.opening import make_opening
from bench.report.parity import HEADER, rung_cells
from bench.report.words import banners, difference, missing

STYLES = {"proven": "bold green", "failed": "bold red", "open": "yellow"}


def print_summary(
    results: Results, console: Console, folder: Path | None = None
) -> None:
    """Print what the run shows and, if given, the folder with its report."""
    for warning in banners(results):
        console.print(Text(warning, "bold yellow"))
    if results.parity and (results.parity.first_failed or not results.arms):
        console.print(_table(HEADER, list(map(rung_cells, results.parity.rungs))))
    if results.ledger:
        console.print(_ledger(results.ledger))
    if results.experiments:
        for name, experiment in results.experiments.experiments.items():
            console.print(Text(f"{name}: {experiment.question}", "bold"))
            for sentence in conclude(name, experiment, results.experiments):
                console.print(Text(sentence))
    if found := results.comparison:
        verdict = f"Verdict: {found.verdict}."
        console.print(Text(f"{difference(found)} {verdict}"))
    for gap in missing(results):
        console.print(Text(f"No result: {gap}", "yellow"))
    _print_opening(results, console)
    if folder:
        # Keep the path on one line, so that it can be copied.
        console.print(Text(f"Report: {folder / 'report.html'}"), soft_wrap=True)


def _print_opening(results: Results, console: Console) -> None:
    """Print the first page of the report: its cards as a table, and its claims."""
    opening = make_opening(results)
    if opening.cards:
        # Two lines for each cell let more than two arms fit into 80 columns.
        form = "{} ({})" if len(opening.colors) <= 2 else "{}\n{}"
        rows = [[card.title, *card.cells(form)] for card in opening.cards]
        console.print(Text(f"{results.data.name}, {results.division} division"))
        console.print(_table(["", *opening.colors], rows))
    for claim in (opening.claim, opening.checks):
        if claim:
            console.print(Text(claim.text, STYLES[claim.state]))


def _ledger(ledger: LedgerRecord) -> Table:
    """Return the effects on accuracy; the report has the measured sizes as well."""
    return _table(
        ["", *LEDGER_HEADER[3:]],
        [
            [number, *ledger_cells(record)[1:]]
            for number, record in ledger.differences.items()
            if record.ablation
        ],
    )


def _table(header: list[str], rows: list[list[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in header:
        table.add_column(Text(name), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
