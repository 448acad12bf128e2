"""docs/results.md and its pictures are what the kept reports say, and nothing else."""

import re

import numpy as np
import pytest

from bench.records import read_results
from bench.report import kept
from bench.report.kept_experiments import FOLDERS

PLACE = r"-?\d+\.\d+"  # ids, which are hashes, have no decimal point
MOVED = 3  # points; other versions of matplotlib place things a little apart


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """What the command `python -m bench.report.kept` writes, in another folder."""
    folder = tmp_path_factory.mktemp("docs")
    kept.write_page(folder)
    kept.write_experiments(kept.SAMPLES, folder)
    return folder


def test_page_is_what_the_command_writes(written):
    page = (written / "results.md").read_text()
    assert page == (kept.DOCS / "results.md").read_text()
    assert page.count("the whole report") == len(kept.CHAPTERS) == 8


def kept_names() -> list[str]:
    """The experiments that a kept report has."""
    folders = [kept.SAMPLES / name for name in FOLDERS]
    records = [read_results(folder / "results.json") for folder in folders]
    return [name for one in records for name in one.experiments.experiments]


def test_page_of_the_experiments_is_what_the_command_writes(written):
    page = (written / "experiments.md").read_text()
    assert page == (kept.DOCS / "experiments.md").read_text()
    assert page.count("every training") == len(kept_names())


def same_picture(one: str, other: str) -> bool:
    """Whether two pictures have the same words and parts in the same places."""
    words = [re.findall(r">([^<>]+)</text>", svg) for svg in (one, other)]
    parts = [re.findall(r"<(\w+)", svg) for svg in (one, other)]
    if words[0] != words[1] or parts[0] != parts[1]:
        return False
    places = [np.array(re.findall(PLACE, svg), float) for svg in (one, other)]
    if places[0].shape != places[1].shape:
        return False
    return np.abs(places[0] - places[1]).max() < MOVED


def test_pictures_are_what_the_command_draws(written):
    pictures = sorted((kept.DOCS / "pictures").iterdir())
    drawn = sorted((written / "pictures").iterdir())
    assert [path.name for path in pictures] == [path.name for path in drawn]
    assert len(pictures) == 4 + len(kept_names())
    for picture, new in zip(pictures, drawn, strict=True):
        assert same_picture(picture.read_text(), new.read_text())


def test_picture_with_another_bar_is_found(written):
    svg = (written / "pictures" / "speedups-keras-2-cores.svg").read_text()
    results = read_results(kept.SAMPLES / "speedups-keras-2-cores" / "results.json")
    results.speedups.arms["keras"][1].stages["epochs"] *= 1.1
    (changed,) = kept._plots(kept.speedups.speedups(results))
    assert not same_picture(svg, str(changed.svg))


def test_every_note_belongs_to_a_kept_report():
    commits = {
        read_results(path).environment.commit[:10]
        for path in kept.SAMPLES.glob("*/results.json")
    }
    assert set(kept.NOTES) <= commits
