"""The public cases: both sides start equal, and each cause shows."""

import ast
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from rich.console import Console

from bench.cli import execute
from bench.ledger import read_document, read_titles
from bench.lesson import case_document
from bench.lesson.case_words import conclude, print_case, read_text
from bench.lesson.cases import (
    CaseRecord,
    CasesRecord,
    _run_side,
    are_equal,
    find_cause,
    judge,
)
from bench.processes.worker_process import ArmFailed, together
from cases.table import BACKENDS, CASES, EQUAL

ROOT = Path(__file__).parents[2]
FREE = ("cases/data.py", "cases/run.py", "cases/table.py", "cases/*/data.py")


def public(path: str) -> list[tuple[str, list[str]]]:
    """Public functions of a file with their parameters; a model's class has none."""
    return [
        ("build_model", [])
        if isinstance(node, ast.ClassDef)
        else (node.name, [argument.arg for argument in node.args.args])
        for node in ast.parse((ROOT / path).read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name[0] != "_"
    ]


@pytest.mark.parametrize("name", sorted({*CASES} - {"keras-backends"}))
def test_both_sides_have_the_same_functions_in_order(name):
    """Where PyTorch has a class for its model, Keras has a function."""
    folder = f"cases/{name.replace('-', '_')}"
    pytorch, keras = (public(f"{folder}/{side}_side.py") for side in BACKENDS)
    assert [function for function, _ in pytorch] == [function for function, _ in keras]
    assert pytorch[-1] == ("measure", ["seed", "differences"])
    for (_, first), (_, second) in zip(pytorch, keras, strict=True):
        assert first in ([], second)


def test_common_functions_of_both_sides_are_the_same():
    pytorch = public("cases/pytorch_common.py")
    assert pytorch == public("cases/keras_common.py")
    assert len(pytorch) > 5


def test_shared_files_import_no_framework():
    paths = [path for pattern in FREE for path in ROOT.glob(pattern)]
    assert len(paths) > 10
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in getattr(node, "names", [])]
            module = getattr(node, "module", "") or ""
            assert not {"torch", "keras", "tensorflow"} & {module, *names}, path


def test_a_side_ends_if_the_other_one_fails():
    """Else it goes on through all of its seeds, here for hours."""

    def fail() -> None:
        raise ArmFailed("keras: broken")

    with pytest.raises(ArmFailed, match="keras: broken"):
        together(partial(_run_side, "pytorch", 100_000, ["plain-cnn"], Mock()), fail)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_differences_stand_in_the_code_and_in_the_ledger(case):
    folder = ROOT / "cases" / case.name.replace("-", "_")
    code = "".join(path.read_text() for path in folder.glob("*.py"))
    code += "".join(path.read_text() for path in (ROOT / "cases").glob("*_common.py"))
    titles = read_titles(read_document())
    for one in case.differences:
        assert f'"{one.name}"' in code
        assert not one.entry or one.entry in titles
    assert case.cause in {"", *(one.name for one in case.differences)}
    assert all(len(text) > 100 for text in read_text(case))


def make_record(change: float, differ_by: float = 0.0) -> CaseRecord:
    """A case whose last difference alone changes PyTorch's figure."""
    case, rng = CASES["broadcast-loss"], np.random.default_rng(0)
    equal = rng.random(5)
    figures = {
        side: {EQUAL: [*equal]} | {one.name: [*equal] for one in case.differences}
        for side in ("pytorch", "keras")
    }
    noise = rng.normal(0, 0.01, 5)
    figures["pytorch"][case.cause] = [*(equal + change + noise)]
    return CaseRecord(outputs_differ_by=differ_by, figures=figures)


def test_largest_change_that_is_shown_is_the_cause():
    case = CASES["broadcast-loss"]
    changes = judge(case, make_record(change=1))
    assert find_cause(case, changes).difference.name == case.cause
    assert [one.interval is None for one in changes] == [True] * 4 + [False, True]
    said = " ".join(conclude(case, make_record(change=1), changes))
    assert "*targets (N,)*" in said
    assert (
        "Suspected in the thread, but not shown: *first values*, *Keras's Adam*."
        in said
    )


def test_change_within_the_noise_is_no_cause():
    record = make_record(change=0)
    changes = judge(CASES["broadcast-loss"], record)
    assert find_cause(CASES["broadcast-loss"], changes) is None
    assert (
        "no difference is shown"
        in conclude(CASES["broadcast-loss"], record, changes)[1]
    )


def test_change_of_the_side_that_is_not_behind_is_no_cause():
    case, record = CASES["broadcast-loss"], make_record(change=1)
    record.figures = dict(zip(BACKENDS, reversed(record.figures.values()), strict=True))
    changes = judge(case, record)
    assert find_cause(case, changes) is None
    assert "Also shown: *targets (N,)* (Keras)." in conclude(case, record, changes)


def test_sides_that_do_not_start_equal_are_named():
    record = make_record(change=1, differ_by=0.5)
    case = CASES["broadcast-loss"]
    assert not are_equal(case, record)
    assert "differ by 0.5" in conclude(case, record, judge(case, record))[0]


def test_case_is_printed(capsys):
    case = CASES["broadcast-loss"]
    print_case(case, make_record(change=1), Console(width=200))
    said = capsys.readouterr().out
    assert case.threads[0] in said
    assert "shown" in said


def test_without_a_name_the_cases_are_listed(capsys):
    assert execute("case", []) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in CASES)


def test_unknown_case_lists_what_there_is(capsys):
    assert execute("case", ["nonsense"]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in CASES)


@pytest.mark.parametrize(
    "arguments",
    [["broadcast-loss", "--seeds", "1"], ["softmax-twice", "--update-document"]],
)
def test_other_mistakes_are_named(arguments, capsys):
    assert execute("case", arguments) == 2
    said = capsys.readouterr().err
    assert "must be 2 or more" in said or "a run of all cases" in said


def test_document_is_what_the_record_writes(tmp_path):
    case_document.write_document(tmp_path / "cases.md")
    written = (tmp_path / "cases.md").read_text()
    assert written == case_document.DOCUMENT.read_text()


def test_kept_record_finds_the_cause_of_each_case():
    kept = CasesRecord.model_validate_json(case_document.RECORD.read_text())
    assert kept.cases.keys() == CASES.keys()
    for name, record in kept.cases.items():
        assert are_equal(CASES[name], record), name
        cause = find_cause(CASES[name], judge(CASES[name], record))
        assert (cause.difference.name if cause else "") == CASES[name].cause


@pytest.mark.slow
def test_all_cases_start_equal_and_show_their_causes(tmp_path, monkeypatch):
    """Two seeds cannot show an effect, but a large one is seen in their mean."""
    monkeypatch.setattr(case_document, "RECORD", tmp_path / "cases.json")
    monkeypatch.setattr(case_document, "DOCUMENT", tmp_path / "cases.md")
    assert execute("case", ["all", "--seeds", "2", "--update-document"]) == 0
    text = (tmp_path / "cases.json").read_text()
    kept = CasesRecord.model_validate_json(text)
    assert kept.cases.keys() == CASES.keys()
    for name, record in kept.cases.items():
        sizes: dict[str, float] = {}
        own = CASES[name].behind
        for one in judge(CASES[name], record):
            if own and one.side != own:
                continue
            size = max(abs(one.change), sizes.get(one.difference.name, 0))
            sizes[one.difference.name] = size
        if cause := CASES[name].cause:
            assert sizes[cause] > 0.5 * max(sizes.values()), (name, sizes)
    assert (tmp_path / "cases.md").read_text().count("\n## ") == len(CASES)
