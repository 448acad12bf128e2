"""Run the cases of `cases/` on both sides, and judge which difference explains each."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from bench.judging.intervals import MeanDifference, decide, is_shown
from bench.lesson.source import ROOT, SIDES
from bench.processes.worker_process import (
    ON_CPU,
    ArmFailed,
    share_cores,
    stoppable,
    together,
)
from bench.records import EnvironmentRecord, Interval
from bench.run.display import Display
from cases.table import CASES, EQUAL, Case, Difference
from shared.errors import UserError
from shared.metrics import Record

NUM_SEEDS = 5


class CaseRecord(Record):
    """What both sides of a case measured.

    Attributes:
        outputs_differ_by: the largest difference between the outputs of the two sides
            where nothing is left in.
        figures: by side and by what is left in, one for each seed.
    """

    outputs_differ_by: float
    figures: dict[str, dict[str, list[float]]]


class CasesRecord(Record):
    """What a run of all cases measured, and where."""

    environment: EnvironmentRecord
    started_at: str
    seconds: float
    cases: dict[str, CaseRecord]


@dataclass(frozen=True)
class Change:
    """What a difference changes on one side, against the run with nothing left in.

    Attributes:
        figure: the mean over the seeds, with the difference left in.
        interval: of the change; None if no seed changed by more than rounding.
    """

    difference: Difference
    side: str
    figure: float
    change: float
    interval: Interval | None
    is_shown: bool


def find_case(name: str) -> Case:
    """Return a case by its name.

    Raises:
        UserError: there is no such case.
    """
    if name not in CASES:
        raise UserError(
            f"case {name}: there is no such case. Allowed are {', '.join(CASES)}, and "
            "all."
        )
    return CASES[name]


def measure_cases(
    names: Sequence[str], num_seeds: int, display: Display
) -> dict[str, CaseRecord]:
    """Measure cases on both sides at once, in one process for each framework.

    Raises:
        ArmFailed: the process of a side failed.
    """
    calls = [partial(_run_side, side, num_seeds, names, display) for side in SIDES]
    found = dict(zip(SIDES, together(*calls), strict=True))
    return {name: _make_record(name, found) for name in names}


def _run_side(
    side: str, num_seeds: int, names: Sequence[str], display: Display
) -> list[dict]:
    """Return the lines that `cases.run` prints."""
    command = [sys.executable, "-m", "cases.run", side, f"{num_seeds}", *names]
    environment = os.environ | ON_CPU | share_cores(len(SIDES))
    lines = []
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
        stoppable(process),
    ):
        for line in process.stdout:
            lines.append(json.loads(line))
            if len(lines) == 1 or lines[-1]["case"] != lines[-2]["case"]:
                display.show(f"{side}: {lines[-1]['case']}")
        if process.wait():
            errors.seek(0)
            said = errors.read().strip().splitlines() or ["it said nothing"]
            raise ArmFailed(f"{side}: {said[-1]}")
    return lines


def _make_record(name: str, found: dict[str, list[dict]]) -> CaseRecord:
    outputs, figures = {}, {}
    for side, lines in found.items():
        own = [line for line in lines if line["case"] == name]
        equal = [line["outputs"] for line in own if line["left_in"] == EQUAL]
        outputs[side] = np.array(equal)
        figures[side] = {
            left_in: [line["figure"] for line in own if line["left_in"] == left_in]
            for left_in in dict.fromkeys(line["left_in"] for line in own)
        }
    differ_by = np.abs(outputs["pytorch"] - outputs["keras"]).max()
    return CaseRecord(outputs_differ_by=float(differ_by), figures=figures)


def are_equal(case: Case, record: CaseRecord) -> bool:
    """Return whether the two sides agree to rounding where nothing is left in."""
    return record.outputs_differ_by < case.rounding


def judge(case: Case, record: CaseRecord) -> list[Change]:
    """Judge what each difference changes on each side, all of a case together.

    The test is Student's paired t over the seeds, with Holm's correction. Where a
    change is the largest one of many outputs, it cannot be negative, and a t test would
    say nothing: there it is shown if every seed changes by more than rounding, and the
    interval is the range over the seeds.
    """
    places = [(one, side) for one in case.differences for side in SIDES]
    changes = [
        np.subtract(figures[one.name], figures[EQUAL])
        for one, side in places
        for figures in [record.figures[side]]
    ]
    moved = [bool((np.abs(change) > case.rounding).any()) for change in changes]
    family = [MeanDifference(c) for c, m in zip(changes, moved, strict=True) if m]
    intervals = iter([decision.interval for decision in decide(family)])
    judged = []
    for (one, side), change, has_moved in zip(places, changes, moved, strict=True):
        interval = next(intervals) if has_moved else None
        if interval and case.compares_outputs:
            interval = float(change.min()), float(change.max())
        shown = interval is not None and is_shown(interval)
        figure = float(np.mean(record.figures[side][one.name]))
        judged.append(Change(one, side, figure, float(change.mean()), interval, shown))
    return judged


def find_cause(case: Case, changes: list[Change]) -> Change | None:
    """Return the largest change that is shown, or None if none is.

    If one side stays behind in the thread, only changes of this side can explain it.
    """
    sides = {case.behind} if case.behind else {*SIDES}
    shown = [one for one in changes if one.is_shown and one.side in sides]
    return max(shown, key=lambda one: abs(one.change), default=None)
