"""Say what a case showed, in the terminal and in docs/cases.md."""

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.lesson.cases import CaseRecord, Change, are_equal, find_cause, judge
from bench.lesson.source import ROOT, SIDES
from cases.table import CASES, EQUAL, Case

MEASURED = "<!-- measured -->\n"  # in case.md, the place of the measurements
HEADER = ["left in", "PyTorch", "change", "Keras", "change"]


def read_text(case: Case) -> tuple[str, str]:
    """Return the question of a case, and its explanation with the mended lines."""
    path = ROOT / "cases" / case.name.replace("-", "_") / "case.md"
    question, _, explanation = path.read_text().partition(MEASURED)
    return question.strip(), explanation.strip()


def make_rows(case: Case, record: CaseRecord, changes: list[Change]) -> list[list[str]]:
    """Return a row for the equal run and one for each difference, as in HEADER."""
    equal = [np.mean(record.figures[side][EQUAL]) for side in SIDES]
    rows = [[EQUAL, f"{equal[0]:.4g}", "", f"{equal[1]:.4g}", ""]]
    for difference in case.differences:
        row = [difference.name]
        for change in changes:
            if change.difference == difference:
                row += [f"{change.figure:.4g}", _describe(change)]
        rows.append(row)
    return rows


def _describe(change: Change) -> str:
    if change.interval is None:
        return "none"
    low, high = change.interval
    verdict = "shown" if change.is_shown else "not shown"
    return f"{change.change:+.3g} ({low:+.3g} to {high:+.3g}), {verdict}"


def conclude(case: Case, record: CaseRecord, changes: list[Change]) -> list[str]:
    """Return what the measurements show, in sentences."""
    if not are_equal(case, record):
        return [
            f"With nothing left in, the outputs of the two sides differ by "
            f"{record.outputs_differ_by:.2g}. They should be equal, so that the rest "
            "says nothing."
        ]
    said = [
        f"With nothing left in, the outputs of the two sides differ by at most "
        f"{record.outputs_differ_by:.1g}."
    ]
    cause = find_cause(case, changes)
    name = cause.difference.name if cause else ""
    if cause:
        unit = f" {case.unit}" if case.unit else ""
        said.append(
            f"The largest effect that is shown is that of *{name}*: "
            f"{cause.difference.says}. On the side of {SIDES[cause.side]} it changes "
            f"the figure by {cause.change:+.3g}{unit}."
        )
    elif case.behind:
        said.append(
            f"On the side of {SIDES[case.behind]}, which stays behind in the thread, "
            "no difference is shown to change the figure."
        )
    else:
        said.append("No difference is shown to change the figure.")
    return said + _mention_others(case, changes, name)


def _mention_others(case: Case, changes: list[Change], cause: str) -> list[str]:
    """Return what else is shown, and what the thread suspects without being shown."""
    said = []
    shown = {
        one.name: [
            SIDES[change.side]
            for change in changes
            if change.difference == one and change.is_shown
        ]
        for one in case.differences
        if one.name != cause
    }
    others = [f"*{n}* ({', '.join(sides)})" for n, sides in shown.items() if sides]
    if others:
        said.append(f"Also shown: {', '.join(others)}.")
    suspects = [one.name for one in case.differences if one.suspected]
    cleared = [f"*{name}*" for name in suspects if not shown.get(name, True)]
    if cleared:
        said.append(f"Suspected in the thread, but not shown: {', '.join(cleared)}.")
    if cause and cause not in suspects:
        said.append("The thread does not name this cause.")
    return said


def print_cases(console: Console) -> None:
    """List the cases, one a line."""
    table = Table.grid(padding=(0, 2))
    for case in CASES.values():
        table.add_row(f"[bold]{case.name}[/bold]", case.title)
    console.print(table)


def print_case(case: Case, record: CaseRecord, console: Console) -> None:
    """Print the question of a case, what was measured, and what it shows."""
    changes = judge(case, record)
    for text in (case.title, *case.threads, read_text(case)[0]):
        console.print(text, markup=False, soft_wrap=True)
    table = Table(*HEADER, title=name_figure(case))
    for row in make_rows(case, record, changes):
        table.add_row(*row)
    console.print(table)
    for sentence in conclude(case, record, changes):
        console.print(sentence.replace("*", ""), markup=False, soft_wrap=True)
    console.print("docs/cases.md has the explanation and the lines to mend.\n")


def name_figure(case: Case) -> str:
    """Return what a case measures, with its unit."""
    return f"{case.figure}, {case.unit}" if case.unit else case.figure
