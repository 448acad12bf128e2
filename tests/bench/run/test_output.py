"""The output folder: what a run accepts, what it removes, and what it never touches."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.records import SCHEMA_VERSION
from bench.run.output import claim_output, files_of_a_run
from shared.errors import UserError
from shared.files import UNFINISHED

SAMPLE = Path(__file__).parents[3] / "reports/samples/clothing-2-cores/results.json"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def earlier(tmp_path) -> Path:
    """The folder of an earlier run: every file that a run may write."""
    output = tmp_path / "out"
    for folder, names in files_of_a_run(output).items():
        folder.mkdir(parents=True, exist_ok=True)
        for name in (*names, f"{UNFINISHED}1.onnx"):
            (folder / name).write_text("earlier")
    (output / "results.json").write_bytes(SAMPLE.read_bytes())
    return output


def contents(folder: Path) -> dict[str, str]:
    """Every path below a folder, with what a file holds and a link points to."""
    return {
        str(path.relative_to(folder)): (
            os.readlink(path)
            if path.is_symlink()
            else path.read_text()
            if path.is_file()
            else "folder"
        )
        for path in folder.rglob("*")
    }


def start_run(output: Path, at_first: Callable[[], None] = lambda: None) -> None:
    """A run that leaves its first record alone, and calls `at_first` after it."""

    def write_results() -> None:
        (output / "results.json").write_text("new")
        at_first()

    with claim_output(output) as claim:
        claim.begin(write_results)
        claim.keep = True


def expect_refusal(output: Path, *words: str) -> None:
    before = contents(output)
    with pytest.raises(UserError) as refusal:
        start_run(output)
    assert contents(output) == before
    for word in (f"--output {output}", "Nothing was changed", *words):
        assert word in str(refusal.value)


def test_a_new_run_replaces_every_file_of_an_earlier_one(earlier):
    start_run(earlier)
    assert contents(earlier) == {"results.json": "new"}


def test_the_record_is_written_before_anything_is_removed(earlier):
    before, seen = contents(earlier), {}
    with claim_output(earlier) as claim:
        claim.begin(lambda: seen.update(contents(earlier)))
        claim.keep = True
    assert seen == before


def test_files_of_others_stay(earlier):
    (earlier / "thesis.txt").write_text("mine")
    (earlier / "models/keras/notes.txt").write_text("mine")
    (earlier / "models/mine").mkdir()
    start_run(earlier)
    assert contents(earlier) == {
        "results.json": "new",
        "thesis.txt": "mine",
        "models": "folder",
        "models/keras": "folder",
        "models/keras/notes.txt": "mine",
        "models/mine": "folder",
    }


def fail(text: str) -> None:
    raise UserError(text)


def crash_after_the_beginning(output: Path) -> None:
    with claim_output(output) as claim:
        claim.begin(lambda: (output / "results.json").write_text("new"))
        (output / "models/keras").mkdir(parents=True, exist_ok=True)
        (output / "models/keras/best.json").write_text("half")
        fail("crashed")


def test_a_failed_run_takes_its_own_files_away_alone(earlier, tmp_path):
    (earlier / "models/mine.onnx").write_text("mine")
    for output in (earlier, tmp_path / "deep" / "new"):
        with pytest.raises(UserError, match="crashed"):
            crash_after_the_beginning(output)
    assert contents(earlier) == {"models": "folder", "models/mine.onnx": "mine"}
    assert not (tmp_path / "deep").exists()


def test_a_mistake_before_the_run_begins_changes_nothing(earlier):
    before = contents(earlier)
    with pytest.raises(UserError, match="bad data"), claim_output(earlier):
        fail("bad data")
    with pytest.raises(UserError, match="disk is full"), claim_output(earlier) as claim:
        claim.begin(lambda: fail("disk is full"))
    assert contents(earlier) == before


@pytest.mark.parametrize(
    "change",
    [
        *(
            {"schema_version": version}
            for version in (SCHEMA_VERSION - 1, SCHEMA_VERSION + 1, "1", None)
        ),
        *({"arms": 3}, {"status": "finished"}),
    ],
)
def test_a_changed_record_is_refused(earlier, change):
    record = json.loads(SAMPLE.read_text()) | change
    (earlier / "results.json").write_text(json.dumps(record))
    expect_refusal(earlier, "results.json in this folder is broken")


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '{"schema_version": 1}', '{"schema_version": 2}', "[" * 9999],
)
def test_a_broken_record_is_refused(earlier, text):
    (earlier / "results.json").write_text(text)
    expect_refusal(earlier, "results.json in this folder is broken")


def test_a_truncated_record_is_refused(earlier):
    (earlier / "results.json").write_bytes(SAMPLE.read_bytes()[:-20])
    expect_refusal(earlier, "results.json in this folder is broken")


@pytest.mark.parametrize("name", ["models/best.pt", "thesis.txt", "report.html"])
def test_a_folder_without_a_record_is_refused(tmp_path, name):
    file = tmp_path / "mine" / name
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    expect_refusal(tmp_path / "mine", "contains other files", name.split("/")[0])


@pytest.mark.parametrize(
    "name",
    ["results.json", "log.jsonl", "models", "models/keras", "models/pytorch.onnx"],
)
def test_a_symbolic_link_is_refused(earlier, tmp_path, name):
    elsewhere = (earlier / name).rename(tmp_path / "elsewhere")
    before = contents(tmp_path)
    (earlier / name).symlink_to(elsewhere)
    expect_refusal(earlier, f"'{name}' in it is a symbolic link")
    (earlier / name).unlink()
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["models", "report.html"])
def test_a_file_in_place_of_a_folder_and_the_reverse_are_refused(earlier, name):
    path = earlier / name
    path.rename(earlier / "aside")
    if name == "models":
        path.write_text("mine")
    else:
        path.mkdir()
    expect_refusal(earlier, f"'{name}' in it is a f")


def test_a_link_to_an_earlier_run_is_as_good_as_its_folder(earlier, tmp_path):
    link = tmp_path / "latest"
    link.symlink_to(earlier)
    start_run(link)
    assert link.is_symlink()
    assert contents(earlier) == {"results.json": "new"}


def test_a_link_that_comes_while_inputs_are_prepared_is_seen(earlier, tmp_path):
    with claim_output(earlier) as claim:
        elsewhere = (earlier / "models").rename(tmp_path / "elsewhere")
        (earlier / "models").symlink_to(elsewhere)
        before = contents(tmp_path)
        with pytest.raises(UserError, match="symbolic link"):
            claim.begin(lambda: (earlier / "results.json").write_text("new"))
        assert contents(tmp_path) == before
        claim.keep = True


def test_a_link_that_comes_during_the_run_is_not_followed(earlier, tmp_path):
    def put_a_link_there() -> None:
        (earlier / "models").rename(tmp_path / "elsewhere")
        (earlier / "models").symlink_to(tmp_path / "elsewhere")

    before = contents(earlier / "models")
    start_run(earlier, put_a_link_there)
    assert contents(tmp_path / "elsewhere") == before


def test_two_names_of_one_folder_are_one_claim(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with (
        claim_output(tmp_path / "out") as claim,
        pytest.raises(UserError, match="another run"),
        claim_output(tmp_path / "link"),
    ):
        pass
    assert not claim.keep


def test_a_name_that_is_too_long_is_refused(tmp_path):
    with (
        pytest.raises(UserError, match="too long"),
        claim_output(tmp_path / ("x" * 300)),
    ):
        pass
