"""Keep what a run of all cases measured, and write docs/cases.md from it."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.ledger import anchor, make_link
from bench.lesson.case_words import HEADER, conclude, make_rows, name_figure, read_text
from bench.lesson.cases import (
    CaseRecord,
    CasesRecord,
    Change,
    find_cause,
    judge,
    measure_cases,
)
from bench.lesson.source import ROOT, SIDES
from bench.processes.worker_process import share_cores
from bench.run.display import Display
from bench.run.environment import describe_environment
from cases.table import CASES, Case
from shared.clock import now
from shared.files import write_atomically

DOCUMENT, RECORD = ROOT / "docs" / "cases.md", ROOT / "docs" / "cases.json"
OPENING = ROOT / "cases" / "opening.md"


def measure_and_keep(
    names: Sequence[str], num_seeds: int, display: Display
) -> dict[str, CaseRecord]:
    """Measure cases, keep the record with the machine's description, write the page."""
    started_at, start = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", now()
    cases = measure_cases(names, num_seeds, display)
    record = CasesRecord(
        environment=describe_environment({}, share_cores(len(SIDES))),
        started_at=started_at,
        seconds=now() - start,
        cases=cases,
    )
    write_atomically(RECORD, f"{record.model_dump_json(indent=1)}\n")
    write_document(DOCUMENT)
    return cases


def write_document(path: Path) -> None:
    """Write the page of the cases from the kept record."""
    record = CasesRecord.model_validate_json(RECORD.read_text())
    machine = record.environment
    judged = {name: judge(CASES[name], one) for name, one in record.cases.items()}
    seeds = len(next(iter(record.cases["broadcast-loss"].figures["keras"].values())))
    packages = ", ".join(
        f"{name} {machine.packages[name]}" for name in ("torch", "keras", "tensorflow")
    )
    lines = [
        OPENING.read_text(),
        f"Measured on {machine.cpu}, {machine.cpu_count} cores, on "
        f"{record.started_at[:10]}, at commit {machine.commit}, with {packages}: "
        f"{seeds} seeds, in {record.seconds / 60:.1f} minutes.\n",
        "| case | largest effect that is shown | entry |\n|---|---|---|",
        *(_summarise(CASES[name], changes) for name, changes in judged.items()),
        "",
    ]
    for name, changes in judged.items():
        lines += _describe(CASES[name], record.cases[name], changes)
    write_atomically(path, "\n".join(lines))


def _summarise(case: Case, changes: list[Change]) -> str:
    cause = find_cause(case, changes)
    found = (
        (cause.difference.name, _link(cause.difference.entry))
        if cause
        else ("none", "")
    )
    return f"| [{case.name}](#{anchor(case.title)}) | {' | '.join(found)} |"


def _link(entry: str) -> str:
    """Return a link to an entry of the ledger; "" if there is none."""
    return make_link(entry) if entry else ""


def _describe(case: Case, record: CaseRecord, changes: list[Change]) -> Iterator[str]:
    question, explanation = read_text(case)
    yield f"## {case.title}\n\n{question}\n"
    yield f"Threads: {', '.join(f'<{thread}>' for thread in case.threads)}\n"
    for one in case.differences:
        link = f" ({_link(one.entry)})" if one.entry else ""
        suspected = " The thread suspects it." if one.suspected else ""
        yield f"- *{one.name}*{link}: {one.says}.{suspected}"
    yield f"\nMeasured: {name_figure(case)}.\n"
    yield f"| {' | '.join(HEADER)} |\n|{'---|' * len(HEADER)}"
    for row in make_rows(case, record, changes):
        yield f"| {' | '.join(row)} |"
    yield f"\n{' '.join(conclude(case, record, changes))}\n"
    folder = f"../cases/{case.name.replace('-', '_')}"
    yield (
        f"{explanation}\n\nBoth sides: [PyTorch]({folder}/pytorch_side.py), "
        f"[Keras]({folder}/keras_side.py).\n"
    )
