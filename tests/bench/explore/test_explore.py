"""The command as a user calls it: its pages, its tables, and what it refuses."""

import base64
import csv
import io
import re
import shutil
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.explore.duplicates import MAX_DISTANCE
from bench.explore.losses import NUM_WORST
from shared.model.weights import read_weights, save_weights

SAMPLES = Path(__file__).parents[3] / "reports/samples"
CLASSES = ("hat", "pants", "shirt")


@pytest.fixture(scope="module")
def planted(few_photos, tmp_path_factory) -> Path:
    """The few photos, with a copy of a training image in the test split of a class."""
    folder = tmp_path_factory.mktemp("planted") / "few"
    shutil.copytree(few_photos, folder)
    hat = min((folder / "train" / "hat").iterdir())
    shutil.copy(hat, folder / "test" / "shirt" / f"copy{hat.suffix}")
    return folder


@pytest.fixture(scope="module")
def run(bench, planted, real_weights, tmp_path_factory) -> Path:
    """The output folder of a short training."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    inputs = ("--data", planted, "--weights", real_weights, "--output", folder)
    done = bench("train", *inputs, "--epochs", 1)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def look(bench, planted, run, real_weights, tmp_path_factory) -> Path:
    """The output folder of `explore --run`."""
    folder = tmp_path_factory.mktemp("look") / "new"
    inputs = ("--data", planted, "--weights", real_weights, "--output", folder)
    done = bench("explore", *inputs, "--run", run)
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(folder / "explore.html") in done.stdout
    return folder


def pictures(page: str) -> list[Image.Image]:
    """Every picture of a page, decoded."""
    found = re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    return [Image.open(io.BytesIO(base64.b64decode(one))) for one in found]


def titles(page: str) -> list[str]:
    return re.findall(r"<h2>(.+)</h2>", page)


def expect_user_error(done, *words: object) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    for word in words:
        assert str(word) in done.stderr


@pytest.mark.slow
def test_page_shows_a_data_set_without_a_run(bench, planted, real_weights, tmp_path):
    weights = read_weights(real_weights)
    save_weights(weights, tmp_path / "without-imagenet.safetensors")
    done = bench(
        *("explore", "--output", tmp_path / "new"),
        BENCH_DATA=str(planted),
        BENCH_WEIGHTS=str(tmp_path / "without-imagenet.safetensors"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {"explore.html", "explore.md", "duplicates.csv"}
    page = unescape((tmp_path / "new" / "explore.html").read_text())
    assert titles(page) == [
        "Classes and splits",
        "Images of each class",
        "Images that look alike",
        "Augmentation",
        "ImageNet guesses",
    ]
    assert "no layer for ImageNet's 1000 classes" in page
    assert "--run" not in page
    assert len(pictures(page)) >= len(CLASSES) + 1 + 5


@pytest.mark.slow
def test_page_shows_what_a_run_learned(look, real_weights):
    page = unescape((look / "explore.html").read_text())
    assert titles(page)[-4:] == [
        "Confusion matrices",
        "Calibration",
        "Highest losses",
        "Grad-CAM",
    ]
    assert all(picture.width > 50 for picture in pictures(page))
    if read_weights(real_weights).classifier:
        assert page.count("Probability</th>") == 2 * 3  # three photos, two frameworks
    markdown = unescape((look / "explore.md").read_text())
    assert "Plots and pictures:** in explore.html" in markdown


@pytest.mark.slow
def test_both_frameworks_show_the_same(look):
    """The page states how far augmented pixels and Grad-CAM maps differ."""
    page = unescape((look / "explore.html").read_text())
    levels = re.findall(r"between the two is ([\d.]+) of 255 grey levels", page)
    assert len(levels) == 4
    assert max(map(float, levels)) < 0.1
    (share,) = re.findall(r"the maps of the two is (\S+) of the largest value", page)
    assert float(share) < 1e-3


@pytest.mark.slow
def test_copied_image_is_found_across_splits(look):
    rows = list(csv.DictReader((look / "duplicates.csv").open()))
    found = [row for row in rows if "copy" in row["second"]]
    assert len(found) == 1
    assert found[0]["first"].startswith("train/hat/")
    assert (found[0]["bits_that_differ"], found[0]["same_pixels"]) == ("0", "True")
    assert all(int(row["bits_that_differ"]) <= MAX_DISTANCE for row in rows)
    page = unescape((look / "explore.html").read_text())
    assert "two splits, two labels, the same pixels" in page


@pytest.mark.slow
def test_decisions_are_carried_out_on_a_copy(bench, look, planted, tmp_path):
    lines = (look / "relabel.csv").read_text().splitlines()
    rows = list(csv.DictReader(lines))
    assert len(rows) == len(CLASSES) * (NUM_WORST + 5)  # five validation images
    assert all((row["action"], row["new_class"]) == ("keep", "") for row in rows)
    first, second = rows[0], rows[-1]
    lines[1] = lines[1].removesuffix("keep,") + "delete,"
    lines[-1] = lines[-1].removesuffix("keep,") + "move,hat"
    table, copy = tmp_path / "edited.csv", tmp_path / "copy"
    table.write_text("\n".join(lines))
    options = ("--apply", table, "--data", planted, "--destination", copy)
    done = bench("explore", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Deleted: 1. Moved to another class: 1." in done.stdout
    assert not (copy / first["split"] / first["file"]).exists()
    assert (planted / first["split"] / first["file"]).exists()
    name = Path(second["file"]).name
    assert (copy / second["split"] / "hat" / name).exists()
    expect_user_error(bench("explore", *options), "this exists already", copy)
    lines[1] += "socks"
    table.write_text("\n".join(lines))
    options = (*options[:-1], tmp_path / "another")
    expect_user_error(bench("explore", *options), "line 2", "nothing was changed")
    assert not (tmp_path / "another").exists()


@pytest.mark.slow
def test_run_on_other_images_is_refused(bench, run, few_photos, tmp_path):
    options = ("--run", run, "--data", few_photos, "--output", tmp_path / "new")
    done = bench("explore", *options)
    expect_user_error(done, "does not have the images", run)
    assert list(tmp_path.iterdir()) == []


def test_run_without_a_classifier_is_refused(bench, few_photos, tmp_path):
    options = ("--data", few_photos, "--output", tmp_path / "new")
    run = SAMPLES / "speedups-keras-2-cores"
    done = bench("explore", *options, "--run", run)
    expect_user_error(done, "no trained classifier", "bench train")
    done = bench("explore", *options, "--run", tmp_path)
    expect_user_error(done, "no such file", "Give the folder of a finished run")
    assert list(tmp_path.iterdir()) == []


def test_output_with_files_is_refused(bench, tmp_path):
    (tmp_path / "relabel.csv").write_text("edited by hand")
    done = bench("explore", "--output", tmp_path)
    expect_user_error(done, "not an empty folder", "Nothing was changed")
    assert (tmp_path / "relabel.csv").read_text() == "edited by hand"


@pytest.mark.parametrize("options", [("--apply", "a.csv"), ("--destination", "new")])
def test_apply_and_destination_need_each_other(bench, options):
    expect_user_error(bench("explore", *options), "give both")


def test_apply_refuses_options_that_it_would_ignore(bench):
    options = ("--apply", "a.csv", "--destination", "new", "--run", "run")
    expect_user_error(bench("explore", *options), "leave out --run")


@pytest.mark.parametrize(("classes", "images", "reason"), [
    (("hat",), 3, "2 are the least"),
    (("hat", "shirt"), 1, "fewer than 2 images"),
])  # fmt: skip
def test_data_set_that_is_too_small_is_refused(
    bench, tmp_path, classes, images, reason
):
    random = np.random.default_rng(0)
    for split in ("train", "validation", "test"):
        for label in classes:
            folder = tmp_path / "data" / split / label
            folder.mkdir(parents=True)
            for number in range(images):
                pixels = random.integers(0, 256, (30, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    options = ("--data", tmp_path / "data", "--output", tmp_path / "above" / "new")
    expect_user_error(bench("explore", *options), reason)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
