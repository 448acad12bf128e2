"""The short form of a report, for the terminal."""

from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.report.ledger import ledger_cells
from bench.report.numbers import DASH, fixed, percent, tiny
from bench.report.parity import HEADER, rung_cells
from bench.report.words import (
    accuracy_verdict,
    banners,
    checks_summary,
    difference,
    missing,
)
from shared.records import ArmRecord, LedgerRecord, ParityRecord, Results

COLUMNS = (  # two lines each, so that 80 columns hold them
    "validation\naccuracy",
    "test\naccuracy",
    "macro\nF1",
    "best\nepoch",
    "training\nseconds",
    "max_scaled\ndiff, ONNX",
    "top-1,\nONNX",
)


def print_summary(
    results: Results, console: Console, folder: Path | None = None
) -> None:
    """Print what the run shows and, where given, the `folder` its report lies in."""
    for warning in banners(results):
        console.print(Text(warning, "bold yellow"))
    if results.arms:
        console.print(_arm_table(results))
    if results.parity:
        console.print(_ladder(results.parity))
    if results.ledger:
        console.print(_ledger(results.ledger))
    if found := results.comparison:
        verdict = f"Verdict: {accuracy_verdict(found)}."
        console.print(Text(f"{difference(found)} {verdict}"))
    for gap in missing(results):
        console.print(Text(f"No result: {gap}", "yellow"))
    failed = any(not check.passed for check in results.checks)
    console.print(Text(checks_summary(results), "bold red" if failed else "green"))
    if folder:
        # A path broken over two lines could not be copied.
        console.print(Text(f"Report: {folder / 'report.html'}"), soft_wrap=True)


def _arm_table(results: Results) -> Table:
    title = Text(f"{results.data.name}, {results.division} division")
    look = {"box": box.SIMPLE_HEAD, "collapse_padding": True, "pad_edge": False}
    table = Table(title=title, title_justify="left", **look)
    table.add_column("\narm", overflow="fold")
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    for name, arm in results.arms.items():
        table.add_row(Text(name), *_cells(arm))
    return table


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


def _cells(arm: ArmRecord) -> list[str]:
    parity = arm.onnx.parity if arm.onnx else None
    return [
        percent(arm.validation.accuracy if arm.validation else None),
        percent(arm.test.accuracy if arm.test else None),
        fixed(arm.test.macro_f1 if arm.test else None),
        str(arm.best_epoch or DASH),
        fixed(training_seconds(arm), 1),
        tiny(parity.max_scaled_diff) if parity else DASH,
        percent(parity.top1_agreement if parity else None),
    ]


def training_seconds(arm: ArmRecord) -> float | None:
    """Time for features and epochs; None where neither was recorded."""
    parts = [arm.stages[name] for name in ("features", "epochs") if name in arm.stages]
    return sum(parts or [epoch.seconds for epoch in arm.history]) or None
