"""The CSV file: how it is written, what of an edited one is refused, what is done."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.explore.decisions import to_csv
from bench.explore.losses import Candidate
from bench.explore.relabel import relabel
from shared.errors import UserError

HEADER = "split,file,class,predicted,loss,action,new_class"


def ignore(*_: object) -> None:
    pass


@pytest.fixture
def source(tmp_path) -> Path:
    """Two classes, three images each, with the same names in both classes."""
    folder = tmp_path / "images"
    for number, split in enumerate(("train", "val", "test")):
        for label in ("hat", "shirt"):
            (folder / split / label).mkdir(parents=True)
            for name in ("a.png", "b.png", "c.png"):
                color = (number * 80, len(label) * 20, ord(name[0]))
                path = folder / split / label / name
                Image.fromarray(np.full((2, 2, 3), color, np.uint8)).save(path)
    (folder / "LICENSE").write_text("CC0")
    (folder / ".hidden").write_text("not copied")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def apply(source: Path, *lines: str, header: str = HEADER) -> dict[str, bytes]:
    """Write the lines into a file, carry them out, and return what the copy holds."""
    table = source.parent / "edited.csv"
    table.write_text("\n".join([header, *lines, ""]))
    before = contents(source)
    try:
        said = relabel(table, str(source), source.parent / "copy", ignore)
    finally:
        assert contents(source) == before
        assert {path.name for path in source.parent.iterdir()} <= {
            *("images", "edited.csv", "copy")
        }
    assert "is unchanged" in said
    return contents(source.parent / "copy")


def test_table_keeps_all_images_until_it_is_edited(source):
    candidate = Candidate("train", 1, "hat/b.png", "hat", "shirt", 2.5)
    header, row = csv.reader(io.StringIO(to_csv([candidate])))
    assert ",".join(header) == HEADER
    assert row == ["train", "hat/b.png", "hat", "shirt", "2.500", "keep", ""]
    before = contents(source)
    del before[".hidden"]
    assert apply(source, ",".join(row)) == before


def test_images_are_deleted_and_moved_in_the_copy(source):
    before = contents(source)
    copy = apply(
        source,
        "train,hat/a.png,hat,shirt,2.5,delete,",
        "validation,shirt/b.png,shirt,hat,2.5,Move,hat",
        "test,hat/c.png,hat,hat,0.1,keep,",
    )
    assert "train/hat/a.png" not in copy
    assert "val/shirt/b.png" not in copy
    # The name is taken there by another image, which stays.
    assert copy["val/hat/shirt-b.png"] == before["val/shirt/b.png"]
    assert copy["val/hat/b.png"] == before["val/hat/b.png"]
    assert copy["LICENSE"] == b"CC0"
    assert len(copy) == len(before) - 2  # the hidden file, and a deleted image


def test_moving_both_ways_loses_no_image(source):
    before = contents(source)
    copy = apply(
        source,
        "train,hat/a.png,,,,move,shirt",
        "train,shirt/a.png,,,,move,hat",
    )
    assert copy["train/shirt/hat-a.png"] == before["train/hat/a.png"]
    assert copy["train/hat/shirt-a.png"] == before["train/shirt/a.png"]
    assert len(copy) == len(before) - 1


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_file_of_a_spreadsheet_program_is_read(source, delimiter):
    lines = [HEADER, "train,hat/a.png,hat,shirt,2.5,delete,"]
    first, second = (line.replace(",", delimiter) for line in lines)
    copy = apply(source, f"{second}\r", header=f"\ufeff{first}\r")
    assert "train/hat/a.png" not in copy


REFUSED = {
    "train,hat/z.png,,,,delete,": "line 3: unknown file 'hat/z.png' in train",
    "val,hat/a.png,,,,delete,": "line 3: unknown split 'val'; there are train",
    "train,hat/a.png,,,,remove,": "line 3: unknown action 'remove'",
    "train,hat/a.png,,,,,": "line 3: unknown action ''",
    "train,hat/a.png,,,,move,socks": "line 3: unknown class 'socks'; there are hat, ",
    "train,hat/a.png,,,,move,": "line 3: unknown class ''",
    "train,hat/a.png,,,,move,hat": "line 3: 'hat/a.png' is in the class 'hat' already",
    "train,hat/a.png,,,,keep,shirt": "line 3: new_class is 'shirt', but action is not",
    "train,hat/b.png,,,,keep,": "line 3: train/hat/b.png stands on line 2 too",
    "train": "line 3: unknown file ''",
}


@pytest.mark.parametrize("line", REFUSED)
def test_line_that_cannot_be_carried_out_is_named(source, line):
    with pytest.raises(UserError) as error:
        apply(source, "train,hat/b.png,,,,delete,", line)
    assert REFUSED[line] in str(error.value)
    assert "nothing was changed" in str(error.value)
    assert not (source.parent / "copy").exists()


def test_all_wrong_lines_are_named_at_once(source):
    with pytest.raises(UserError, match=r"(?s)line 2: .*line 3: "):
        apply(source, "train,hat/x.png,,,,keep,", "train,hat/y.png,,,,keep,")


def test_class_without_images_is_refused(source):
    lines = [f"test,hat/{name}.png,,,,delete," for name in "abc"]
    with pytest.raises(UserError, match="test/hat would have no images"):
        apply(source, *lines)
    copy = apply(source, *lines, "test,shirt/a.png,,,,move,hat")
    assert "test/hat/a.png" not in copy  # the name of a deleted image stays unused
    assert "test/hat/shirt-a.png" in copy


@pytest.mark.parametrize("header", ["split,file,class", ""])
def test_missing_column_is_named(source, header):
    with pytest.raises(UserError, match=r"line 1 has no column .*action, new_class"):
        apply(source, "train,hat/a.png,hat", header=header)


def test_file_that_is_no_text_is_refused(source, tmp_path):
    table = source / "train" / "hat" / "a.png"
    with pytest.raises(UserError, match="it is not UTF-8 text"):
        relabel(table, str(source), tmp_path / "copy", ignore)
    with pytest.raises(UserError, match="No such file"):
        relabel(tmp_path / "missing.csv", str(source), tmp_path / "copy", ignore)


def test_destination_that_exists_is_refused(source, tmp_path):
    (tmp_path / "copy").mkdir()
    with pytest.raises(UserError, match="this exists already"):
        apply(source, "train,hat/a.png,,,,delete,")
    assert list((tmp_path / "copy").iterdir()) == []


def test_destination_inside_the_data_set_is_refused(source):
    table = source.parent / "edited.csv"
    table.write_text(HEADER)
    with pytest.raises(UserError, match="lies inside the data set"):
        relabel(table, str(source), source / "train" / "copy", ignore)
    assert not (source / "train" / "copy").exists()


def test_link_to_a_data_set_is_copied_as_files(source, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(source)
    table = tmp_path / "edited.csv"
    table.write_text(HEADER)
    relabel(table, str(link), tmp_path / "copy", ignore)
    paths = list((tmp_path / "copy").rglob("*"))
    assert len(paths) == 3 * (1 + 2 + 6) + 1
    assert not any(path.is_symlink() for path in paths)
