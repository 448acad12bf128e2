"""Folders that are whole or absent."""

from pathlib import Path

import pytest

from shared.errors import UserError
from shared.files import expand_home, new_folder


def test_folder_takes_its_name_when_it_is_complete(tmp_path):
    folder = tmp_path / "above" / "new"
    with new_folder(folder) as temporary:
        (temporary / "file").write_text("content")
        assert not folder.exists()
    assert (folder / "file").read_text() == "content"
    assert [path.name for path in folder.parent.iterdir()] == ["new"]
    assert folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_failure_leaves_nothing_behind(tmp_path, error):
    def fail(folder: Path) -> None:
        with new_folder(folder) as temporary:
            (temporary / "file").write_text("content")
            raise error

    with pytest.raises(error):
        fail(tmp_path / "above" / "new")
    assert list(tmp_path.iterdir()) == []


def test_file_in_the_way_is_explained(tmp_path):
    (tmp_path / "file").write_text("content")
    expected = pytest.raises(UserError, match="a part of this path is a file")
    with expected, new_folder(tmp_path / "file" / "new"):
        pass


def test_files_of_another_program_stay(tmp_path):
    folder = tmp_path / "new"
    expected = pytest.raises(UserError, match="another program has put files there")
    with expected, new_folder(folder):
        folder.mkdir()
        (folder / "file").write_text("content of another program")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert (folder / "file").read_text() == "content of another program"


def test_a_tilde_is_the_home_folder_wherever_a_path_begins(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    given = ["--output=~/x", "--data", "~/y", "~", "a~b", "--name=a~/b"]
    found = ["--output=/home/me/x", "--data", "/home/me/y", "/home/me", "a~b"]
    assert expand_home(given) == [*found, "--name=a~/b"]
