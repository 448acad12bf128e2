"""A journal keeps what is finished, whatever happens to the run."""

import pytest

from bench.run.journal import JOURNAL, Journal, read_parts
from shared.errors import UserError

INPUTS = {"data": "abc", "packages": {"torch": "2.15"}, "quick": False}


@pytest.fixture
def path(tmp_path):
    journal = Journal(tmp_path / JOURNAL, INPUTS, {"earlier": 1})
    journal.keep("second", {"test": 0.5})
    journal.keep("third", [1, 2])
    return tmp_path / JOURNAL


def test_finished_parts_come_back(path):
    parts = read_parts(path, INPUTS)
    assert parts == {"earlier": 1, "second": {"test": 0.5}, "third": [1, 2]}
    Journal(path, INPUTS, parts).keep("fourth", None)
    assert list(read_parts(path, INPUTS)) == ["earlier", "second", "third", "fourth"]


@pytest.mark.parametrize("lost", range(1, 12))
def test_a_line_that_was_cut_short_does_not_count(path, lost):
    path.write_bytes(path.read_bytes()[:-lost])
    assert list(read_parts(path, INPUTS)) == ["earlier", "second"]


def test_a_file_that_was_cut_in_its_first_line_is_another_run_s(path):
    path.write_text('{"data"')
    with pytest.raises(UserError, match="have changed"):
        read_parts(path, INPUTS)


def test_every_changed_input_is_named(path):
    changed = INPUTS | {"data": "other", "packages": {"torch": "2.16"}}
    with pytest.raises(UserError) as error:
        read_parts(path, changed)
    for words in ("data: was abc, is other", "2.15", "2.16"):
        assert words in str(error.value)
    assert "quick" not in str(error.value)


def test_a_folder_without_a_journal_is_refused(tmp_path):
    with pytest.raises(UserError, match="Leave --resume out"):
        read_parts(tmp_path / JOURNAL, INPUTS)
