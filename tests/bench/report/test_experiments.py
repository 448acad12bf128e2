"""What a report says about experiments, from records made by hand."""

import csv
import io

import pytest

from bench.judging.experiments import MARGIN, judge_settings
from bench.ledger import read_document, read_titles
from bench.records import (
    Accuracies,
    CellRecord,
    DifferingCell,
    ExperimentRecord,
    ExperimentsRecord,
    SettingRecord,
)
from bench.report.conclusions import WORKSHOP_ENTRIES, conclude
from bench.report.experiments import _natural_order, make_csv
from bench.report.experiments import make_blocks as make

BASE = [0.87, 0.88, 0.86, 0.87, 0.88]
SHIFTS = {"0.2": 0.0, "0": 0.001, "0.5": -0.05}


def make_record(shifts: dict[str, float] = SHIFTS, **changes) -> ExperimentsRecord:
    """An experiment on dropout whose settings differ by these shifts, on both arms."""
    noise = [0.001, -0.001, 0.0, 0.002, -0.002]
    cells = [
        CellRecord(
            arm=arm,
            changes={"dropout": name} if shift else {},
            seed=seed,
            status="ok",
            best_epoch=7,
            best=Accuracies(train=0.95, validation=0.85 + shift, test=test),
            last=Accuracies(train=0.97, validation=0.84, test=test),
            seconds=1.0,
        )
        for name, shift in shifts.items()
        for arm in ("pytorch", "keras")
        for seed, start in enumerate(BASE)
        for test in [start + (shift + noise[seed] if shift else 0)]
    ]
    settings = [
        SettingRecord(name=name, changes={"dropout": name} if shift else {})
        for name, shift in shifts.items()
    ]
    experiment = ExperimentRecord(question="How much?", epochs=10, settings=settings)
    record = ExperimentsRecord(
        quick=False,
        seeds={"dropout": 5},
        margin=MARGIN,
        experiments={"dropout": experiment},
        cells=cells,
        **changes,
    )
    judge_settings(experiment, [record.find(one, 5) for one in settings])
    return record


def text_of(record: ExperimentsRecord) -> str:
    return " ".join(conclude("dropout", record.experiments["dropout"], record))


def test_a_comparison_with_another_setting_is_not_one_with_the_base():
    record = make_record()
    setting = record.experiments["dropout"].settings[-1]
    setting.name, setting.against = "0.5 against 0", "0"
    said = text_of(record)
    assert said.startswith("No difference in test accuracy from 0.2 is shown for any")
    assert "0.5 against 0: -5.0 (" in said


def test_the_conclusion_follows_from_the_numbers():
    said = text_of(make_record())
    assert said.startswith(
        "No setting is shown to reach a higher test accuracy than 0.2, and 0.5 is "
        "shown to reach a lower one."
    )
    assert "0.5 against 0.2: -5.0 (" in said
    assert ", different." in said
    assert "0 against 0.2: +0.1 (" in said
    assert "equal: two one-sided tests exclude a difference of 2 points" in said
    assert "one would choose 0 (85.1%)" in said
    assert "that of 0.5 (+15.0 points" in said
    assert said.endswith("Decided by Student's paired t, 2 settings judged together.")


@pytest.mark.parametrize(
    ("shifts", "words"),
    [
        ({"0.2": 0, "0": 0.03}, "A higher test accuracy than with 0.2 is shown for 0."),
        ({"0.2": 0, "0": 0.0001}, "No difference in test accuracy from 0.2 is shown"),
        ({"0.2": 0, "0": -0.03, "0.5": -0.04}, "0 and 0.5 are shown to reach lower"),
    ],
)
def test_the_first_sentence_says_the_most_important(shifts, words):
    assert words in text_of(make_record(shifts))


def test_settings_that_part_by_rounding_are_named():
    parted = DifferingCell(
        changes={"dropout": "0.5"}, share=1.0, seed=0, images=9, by_rounding=True
    )
    assert "With 0.5 the training makes rounding errors grow" in text_of(
        make_record(differing=[parted])
    )
    assert "rounding" not in text_of(make_record())


def test_a_quick_run_gives_no_verdict():
    record = make_record()
    record.quick = True
    assert text_of(record).endswith("and gives no verdicts.")


def test_settings_that_are_not_finished_are_named():
    record = make_record()
    record.cells = [cell for cell in record.cells if not cell.changes]
    for setting in record.experiments["dropout"].settings:
        setting.verdict = None
    assert text_of(record) == (
        "No training is finished for 0 and 0.5. So nothing can be concluded yet."
    )


def test_plot_comes_before_the_table_and_shows_both_arms():
    blocks = make("dropout", make_record().experiments["dropout"], make_record())
    kinds = [one.kind for one in blocks]
    assert kinds == ["text", "plot", "text", "bullets", "table", "text"]
    assert all(arm in str(blocks[1].svg) for arm in ("pytorch", "keras"))
    header, rows = blocks[4].header, blocks[4].rows
    assert "Test, keras" in header
    assert rows[0][1] == "base"
    assert [row[1] for row in rows[1:]] == ["equal", "different"]
    assert all(len(row) == len(header) for row in rows)


def test_entries_of_the_ledger_are_named_as_they_are_called():
    titles = read_titles(read_document())
    for names in WORKSHOP_ENTRIES.values():
        assert all(titles[name[:3]] == name[4:] for name in names)


def test_a_table_of_a_run_that_has_just_begun_has_whole_rows():
    record = make_record()
    record.cells = record.cells[:1]
    blocks = make("dropout", record.experiments["dropout"], record)
    (table,) = [one for one in blocks if one.kind == "table"]
    assert all(len(row) == len(table.header) for row in table.rows)


def test_settings_stand_in_the_order_of_their_numbers():
    names = sorted(["0.2", "0", "none", "0.05", "a"], key=_natural_order)
    assert names == ["0", "0.05", "0.2", "none", "a"]


def test_csv_has_every_training_once_for_each_experiment():
    rows = list(csv.DictReader(io.StringIO(make_csv(make_record()))))
    assert len(rows) == 30
    assert {row["setting"] for row in rows} == set(SHIFTS)
    assert {row["arm"] for row in rows} == {"pytorch", "keras"}
    assert all(row["status"] == "ok" for row in rows)
