"""Write measured numbers into the marked places of docs/differences.md."""

import re
from pathlib import Path

from bench.ledger import DOCUMENT, anchor, read_titles
from bench.records import AblationRecord, DifferenceRecord, Results
from bench.report.ledger import ledger_cells
from bench.report.numbers import with_interval
from shared.errors import UserError
from shared.files import write_atomically

NUM_LARGEST = 10
OPEN, CLOSE = "<!-- measured -->", "<!-- end -->"
BLOCK = re.compile(rf"\n{OPEN}\n.*?{CLOSE}\n", re.DOTALL)


def fill_in(text: str, results: Results) -> str:
    """Return the document's text with all its measured numbers replaced.

    Raises:
        UserError: the run measured only a part of the ledger.
    """
    differences = results.ledger.differences
    missing = sorted(set(read_titles(text)) - set(differences))
    if missing:
        raise UserError(
            "the document needs a measurement of every difference, and "
            f"{missing[0]} has none. Run `python -m bench differences` without naming "
            "any difference."
        )
    head, *entries = re.split(r"(?m)^(?=## D\d\d )", BLOCK.sub("", text))
    filled = [
        f"{entry.rstrip()}\n{_block(_sentences(differences[entry[3:6]]))}"
        for entry in entries
    ]
    opening = _block([_origin(results), *_largest(results, read_titles(text))])
    return f"{head.rstrip()}\n{opening}\n" + "\n".join(filled)


def write_document(results: Results, path: Path = DOCUMENT) -> None:
    """Write the numbers of a run into the document."""
    write_atomically(path, fill_in(path.read_text(), results))


def _block(lines: list[str]) -> str:
    return "\n".join(["", OPEN, *lines, CLOSE, ""])


def _origin(results: Results) -> str:
    machine, counts = results.environment, results.data.counts
    return (
        f"Measured on {machine.cpu}, {machine.cpu_count} cores, "
        f"{results.run.started_at[:10]}, commit {machine.commit}: {results.data.name}, "
        f"{counts['train']} images to train on, {counts['validation']} to validate and "
        f"{counts['test']} to test with; {len(results.ledger.seeds)} seeds.\n"
        "A change of accuracy is the mean over the seeds, in points, with the interval "
        "of Student's paired t, which decides the verdict.\n"
    )


def _largest(results: Results, titles: dict[str, str]) -> list[str]:
    """Return a table of the differences that change test accuracy the most."""
    changes = {
        number: record.ablation
        for number, record in results.ledger.differences.items()
        if record.ablation
    }
    ranked = sorted(changes, key=lambda number: -abs(changes[number].test_change))
    rows = [_row(titles[n], n, changes[n]) for n in ranked[:NUM_LARGEST]]
    shown = sum(changes[n].verdict == "shown" for n in ranked[:NUM_LARGEST])
    return [
        f"{shown} of these {len(rows)} changes are shown. The intervals of the others "
        "contain 0: these seeds cannot tell them from no change.",
        "",
        "| difference | what is left in | change of test accuracy, points | |",
        "|---|---|---|---|",
        *rows,
        "",
    ]


def _row(title: str, number: str, record: AblationRecord) -> str:
    link = f"[{number} {title}](#{anchor(f'{number} {title}')})"
    change = with_interval(record.test_change, record.test_interval)
    return f"| {link} | {record.what} | {change} | {record.verdict} |"


def _sentences(record: DifferenceRecord) -> list[str]:
    size, what, validation, test, verdict = ledger_cells(record)
    lines = [f"- Measured: {size}."]
    if record.ablation:
        shown = (
            "The change on the test images is shown."
            if verdict == "shown"
            else "These seeds cannot tell the change on the test images from none."
        )
        lines.append(
            f"- With {what}, accuracy changes by {validation} points on the validation "
            f"images and by {test} points on the test images. {shown}"
        )
    return [*lines, ""]
