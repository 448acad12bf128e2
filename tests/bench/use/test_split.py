"""A copy with splits of a folder that has one sub-folder for each class."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cli import execute
from bench.use.split import split_data
from shared.data.copies import describe_copies
from shared.data.dataset import scan_folder
from shared.errors import UserError
from shared.files import sha256_of


def quiet(_description: str, _done: int, _total: int) -> None:
    """Report nothing."""


@pytest.fixture
def photos(tmp_path) -> Path:
    """Two classes of 20 and 5 images, of which two are the same."""
    random = np.random.default_rng(0)
    for label, number in (("hat", 20), ("shirt", 5)):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for i in range(number):
            pixels = random.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"{i}.png")
    same = (tmp_path / "photos/hat/0.png").read_bytes()
    for i in range(1, 8):
        (tmp_path / "photos/hat" / f"copy-{i}.png").write_bytes(same)
    (tmp_path / "photos/hat/.hidden").touch()
    return tmp_path / "photos"


def test_command_makes_a_data_set(photos, tmp_path, capsys):
    arguments = ["--split", "80/10/10", f"{photos}", f"{tmp_path / 'new'}"]
    assert execute("prepare", arguments) == 0
    assert "photos is unchanged." in " ".join(capsys.readouterr().out.split())
    files = scan_folder(tmp_path / "new")
    found = [path.name for split in files.values() for path in split.values()]
    assert len(found) == 32
    labels = [name.split("/")[0] for name in files["validation"]]
    assert labels.count("shirt") == 1
    assert (tmp_path / "photos/hat/.hidden").exists()


def test_copies_of_an_image_stay_together(photos, tmp_path):
    for seed in range(5):
        split_data(photos, tmp_path / f"{seed}", "60/20/20", seed, quiet)
        digests = {
            f"{split}/{name}": sha256_of(path)
            for split, paths in scan_folder(tmp_path / f"{seed}").items()
            for name, path in paths.items()
        }
        assert describe_copies(digests) is None


def test_the_seed_chooses(photos, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        split_data(photos, tmp_path / name, "80/10/10", seed, quiet)
    a, b, c = (list(scan_folder(tmp_path / name)["test"]) for name in "abc")
    assert a == b != c


@pytest.mark.parametrize(
    "shares", ["80/20", "80/10/20", "a/b/c", "90/10/0", "-1/1/100"]
)
def test_shares_that_make_no_sense_are_refused(photos, tmp_path, shares):
    with pytest.raises(UserError, match="three percentages"):
        split_data(photos, tmp_path / "new", shares, 0, quiet)
    assert not (tmp_path / "new").exists()


def test_folders_that_cannot_be_used_are_refused(photos, tmp_path, capsys):
    def complaint(source: Path, destination: Path) -> str:
        with pytest.raises(UserError) as caught:
            split_data(source, destination, "80/10/10", 0, quiet)
        return str(caught.value)

    assert "no such folder" in complaint(tmp_path / "gone", tmp_path / "new")
    assert "exists already" in complaint(photos, photos)
    assert "inside the data set" in complaint(photos, photos / "new")
    assert "Found are: hat" not in complaint(photos / "hat", tmp_path / "new")
    (photos / "few").mkdir()
    assert "few: 0 different images" in complaint(photos, tmp_path / "new")
    (photos / "few/inner").mkdir()
    assert "few/inner: not a file" in complaint(photos, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert execute("prepare", ["--split", "80/10/10", f"{photos}"]) == 2
    assert "two folders" in capsys.readouterr().err
