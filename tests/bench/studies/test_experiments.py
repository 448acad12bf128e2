"""The experiments: what is declared, what is refused, and runs that are killed."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from bench.processes.arms import PAIR
from bench.processes.worker_process import ArmFailed
from bench.records import Accuracies, CellRecord
from bench.run.inputs import require_enough
from bench.run.journal import JOURNAL, Journal
from bench.studies import cells
from bench.studies.estimates import EPOCH_ON_IMAGES
from bench.studies.experiments import EXPERIMENTS, choose
from shared.config import make_config
from shared.data.dataset import prepare
from shared.errors import UserError


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_setting_is_a_valid_configuration(name):
    experiment = EXPERIMENTS[name]
    base, *others = experiment.settings.values()
    defaults = make_config().model_dump()
    assert all(defaults[field] == value for field, value in base.changes.items())
    assert base.share == 1
    assert others
    for setting in experiment.settings.values():
        make_config(**setting.changes)
    if experiment.field:
        assert {experiment.field} == set().union(
            *(one.changes for one in experiment.settings.values())
        )


def test_cells_that_experiments_share_are_trained_once():
    found = cells.list_cells(choose(("dropout", "schedule")), make_config())
    assert len(found) == 5 * (4 + 3 - 1)  # they have the same base
    found = cells.list_cells(choose(("all",)), make_config())
    assert len({cell.name for cell in found}) == len(found)


def arms_by_seed(name: str, setting: str) -> list[tuple[str, ...]]:
    """The arms that train a setting, for each seed."""
    experiment = EXPERIMENTS[name]
    one = replace(experiment, settings={setting: experiment.settings[setting]})
    return [
        cells.arms_of(cell, PAIR, make_config())
        for cell in cells.list_cells({name: one}, make_config())
    ]


def test_which_arms_train_a_setting():
    both = ("pytorch", "keras")
    assert arms_by_seed("dropout", "0.5") == [both] * 5
    assert arms_by_seed("batch-norm", "drifting") == [both, ("keras",), ("pytorch",)]
    assert arms_by_seed("augmentation", "off") == [both] * 3
    assert arms_by_seed("fine-tuning", "gradual at 1e-4") == [both] * 3
    assert arms_by_seed("divisions", "plain Keras") == [("keras",)] * 3


def test_the_work_of_the_busiest_arm_counts():
    two_settings_of_five_seeds = EXPERIMENTS["class-weights"]
    assert cells.work_of_busiest(two_settings_of_five_seeds) == 10
    frozen, drifting = 3, 2 * (1 + EPOCH_ON_IMAGES * 3)  # on features; shared out
    assert cells.work_of_busiest(EXPERIMENTS["batch-norm"]) == frozen + drifting


def test_values_of_one_s_own_are_compared_with_the_base():
    chosen = choose(("dropout",), values="0.1, 0.3")
    assert list(chosen["dropout"].settings) == ["0.2", "0.1", "0.3"]
    sizes = choose(("inner-size",), values="none,32")["inner-size"].settings
    assert [one.changes["inner_size"] for one in sizes.values()] == [100, 0, 32]


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        (("dropuot",), {}, "learning-rate, inner-size, dropout"),
        (("dropout",), {"values": "0.1,lots"}, "should be a valid number"),
        (("dropout",), {"values": "1.5"}, "dropout = 1.5"),
        (("dropout",), {"values": "0.2"}, "besides 0.2"),
        (("dropout", "schedule"), {"values": "0.1"}, "name one experiment"),
        (("schedule",), {"values": "cosine"}, "learning-rate, inner-size, dropout"),
        (("dropout",), {"seeds": 0}, "--seeds 0"),
        (("dropout",), {"epochs": 0}, "--epochs 0"),
    ],
)
def test_what_is_not_allowed_is_named_with_what_is(names, options, words):
    with pytest.raises(UserError, match=words):
        choose(names, **options)


def test_a_class_with_a_single_image_is_refused(few_photos, tmp_path):
    shutil.copytree(few_photos, tmp_path / "small")
    for path in sorted((tmp_path / "small" / "test" / "hat").iterdir())[1:]:
        path.unlink()
    data = prepare(str(tmp_path / "small"), make_config(), cache=tmp_path / "cache")
    with pytest.raises(UserError, match="'hat' has 1 images in test"):
        require_enough(data)


class FakeProcess:
    """Finishes trainings with the accuracy of their dropout; fails as it is told."""

    def __init__(self, failing: str, breaking: str) -> None:
        self.failing, self.breaking = failing, breaking

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def do(self, request, on_event, _time_limit_s) -> dict:
        for cell in request.cells:
            dropout = str(cell.changes.get("dropout", 0.2))
            if dropout == self.breaking:
                raise ArmFailed("out of memory")
            record = CellRecord(
                arm=request.arm,
                changes=cell.changes,
                seed=cell.seed,
                status="failed: no number" if dropout == self.failing else "ok",
            )
            if record.status == "ok":
                record.best = record.last = Accuracies(
                    train=0.9, validation=0.8, test=1 - float(dropout)
                )
            part = {"record": record.model_dump()}
            on_event({"event": "cell", "name": cell.name, "part": part})
        return {}


def test_what_fails_is_reported_and_the_rest_goes_on(run, tmp_path, monkeypatch):
    """One training fails, and another one breaks its process down.

    A run that goes on tries both again.
    """
    run.options = replace(run.options, experiments=choose(("dropout",), seeds=2))
    process = FakeProcess(failing="0.5", breaking="0.8")
    monkeypatch.setattr(cells, "start_worker", lambda *_: process)
    monkeypatch.setattr(cells, "_store_features", lambda *_: {})
    journal = Journal(tmp_path / JOURNAL, {}, {})
    cells.run_experiments(run, journal)
    assert run.failures == 4
    assert any("dropout 0.8, seed 1: failed: out of memory" in t for t in run.not_run)
    assert any("dropout 0.5, seed 0: failed: no number" in t for t in run.not_run)
    settings = run.experiments.experiments["dropout"].settings
    assert [one.verdict for one in settings] == [None, "different", None, None]
    assert settings[1].change == pytest.approx(0.2)

    process.failing = process.breaking = ""
    parts = cells.leave_out_failed(journal.parts)
    assert len(journal.parts) - len(parts) == 4
    cells.run_experiments(run, Journal(tmp_path / JOURNAL, {}, parts))
    settings = run.experiments.experiments["dropout"].settings
    assert [one.verdict for one in settings[1:]] == ["different"] * 3


@pytest.mark.slow
def test_quick_run_of_every_experiment(bench, few_photos, real_weights, tmp_path):
    done = bench(
        *("experiments", "all", "--quick", "--seeds", 1, "--data", few_photos),
        *("--weights", real_weights, "--output", tmp_path / "run"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "run/results.json").read_text())["experiments"]
    assert list(record["experiments"]) == list(EXPERIMENTS)
    assert all(cell["status"] == "ok" for cell in record["cells"])
    features = {"learning-rate", "inner-size", "dropout", "optimizer", "schedule"}
    settings = sum(len(record["experiments"][name]["settings"]) for name in features)
    assert record["pairs"] > settings - len(features)
    assert record["differing"] == []
    for experiment in record["experiments"].values():
        assert all(setting["verdict"] is None for setting in experiment["settings"])
    page = (tmp_path / "run/report.html").read_text()
    assert page.count("<svg") >= len(EXPERIMENTS)
    assert "gives no verdicts" in page
    with (tmp_path / "run/cells.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["experiment"] for row in rows} == set(EXPERIMENTS)
    assert all(float(row["test"]) >= 0 for row in rows)


@pytest.mark.slow
def test_a_killed_run_goes_on(bench, few_photos, real_weights, cache, tmp_path):
    """Killed in the middle of a training, and then resumed on other inputs and these.

    What the whole run says is what an undisturbed run says.
    """
    output = tmp_path / "run"
    command = ["experiments", "dropout", "--seeds", "2", "--epochs", "30"]
    inputs = ["--data", few_photos, "--weights", real_weights]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench", *command, *inputs, "--output", output],
        env=os.environ | {"BENCH_CACHE": str(cache)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    journal = output / "journal.jsonl"
    while process.poll() is None and count_lines(journal) < 5:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = journal.read_text()
    finished = count_lines(journal) - 2  # besides the inputs and the features
    assert 3 <= finished < 16
    resume = [*command, "--output", output, "--resume"]
    refused = bench(*resume, *inputs, "--quick")
    assert refused.returncode == 2
    assert "quick: was False, is True" in refused.stderr
    assert journal.read_text() == kept
    done = bench(*resume, *inputs)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{16 - finished} of {16 - finished}" in done.stdout
    assert journal.read_text().startswith(kept)
    whole = bench(*command, *inputs, "--output", tmp_path / "whole")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    found, expected = (
        json.loads((folder / "results.json").read_text())["experiments"]
        for folder in (output, tmp_path / "whole")
    )
    assert without_times(found) == without_times(expected)
    again = bench(*resume, *inputs)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "min left" not in again.stdout  # as after each training


def count_lines(path) -> int:
    return path.read_text().count("\n") if path.exists() else 0


def without_times(record: dict) -> dict:
    for cell in record["cells"]:
        cell["seconds"] = 0
        for epoch in cell["history"]:
            epoch["seconds"] = 0
    return record
