"""The two plain programs: each runs alone, and a mistake gets one clear message."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from shared.errors import UserError
from shared.model.weights import Weights, read_weights
from shared.program import Epoch, find_images, read_options, start_history

SIDES = ("pytorch", "keras")
ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# Modules under another name than their package.
MODULES = {"pillow": "PIL"}


def names(requirements: list) -> set[str]:
    """Packages that a list of requirements names."""
    return {re.match(r"[\w-]+", one)[0] for one in requirements if isinstance(one, str)}


def find_foreign(side: str) -> list[str]:
    """Modules that a program may not import: what its group of packages leaves out."""
    groups = PROJECT["dependency-groups"]
    own = names(groups[side]) | names(groups["shared"])
    others = names(PROJECT["project"]["dependencies"]) - own
    other_side = {"pytorch": "keras_impl", "keras": "pytorch_impl"}[side]
    return [*(MODULES.get(name, name) for name in others), "jax", "bench", other_side]


def test_groups_ask_for_what_the_project_asks_for():
    project = PROJECT["project"]
    known = {*project["dependencies"], *project["optional-dependencies"]["dev"]}
    for group in PROJECT["dependency-groups"].values():
        versions = {one for one in group if isinstance(one, str)}
        assert versions <= known


ENDINGS = (".jpg", ".png")
LINE = re.compile(
    r"Epoch (\d+)/\d+: train loss \d+\.\d{4}, accuracy [01]\.\d{4}; "
    r"validation loss \d+\.\d{4}, accuracy ([01]\.\d{4}); \d+\.\d s"
)


def start(side: str, *arguments: object) -> subprocess.Popen:
    """Start a program where nothing foreign to it can be imported."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({find_foreign(side)!r}));"
        f"from shared.program import run; from {side}_impl.__main__ import main;"
        "run(main)"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell lets what it starts in the background ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def call(side: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run a program to its end."""
    process = start(side, *arguments)
    said, errors = process.communicate()
    return subprocess.CompletedProcess([], process.returncode, said, errors)


def interrupt(side: str, *arguments: object) -> str:
    """Run a program to the end of its first epoch, and press Ctrl-C."""
    process, said = start(side, *arguments), ""
    for line in process.stdout:
        said += line
        if line.startswith("Epoch 1/"):
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130, said + errors
    assert "--resume goes on" in errors
    return said


def epochs_in(folder: Path) -> list[dict]:
    with (folder / "history.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module", params=SIDES)
def trained(request, few_photos, real_weights, tmp_path_factory) -> tuple:
    """The default run, for two epochs."""
    folder = tmp_path_factory.mktemp(request.param)
    inputs = ("--data", few_photos, "--weights", real_weights, "--output", folder)
    done = call(request.param, *inputs, "--epochs", 2)
    assert done.returncode == 0, done.stdout + done.stderr
    return request.param, folder, inputs, done.stdout


@pytest.mark.slow
def test_a_run_goes_from_images_to_an_onnx_file(trained, few_photos):
    side, folder, inputs, said = trained
    assert "Images: 42 train, 15 validation, 15 test" in said
    assert [number for number, _ in LINE.findall(said)] == ["1", "2"]
    accuracies = [float(accuracy) for _, accuracy in LINE.findall(said)]
    found = [float(row["validation_accuracy"]) for row in epochs_in(folder)]
    assert np.round(found, 4).tolist() == accuracies
    test_accuracy = float(re.search(r"Test loss .* accuracy ([\d.]+)", said)[1])
    assert test_accuracy > 0.5
    weights = read_weights(inputs[3])
    accuracy = accuracy_of_graph(side, folder, few_photos, weights)
    assert accuracy == pytest.approx(test_accuracy, abs=0.07)  # one image of 15


def accuracy_of_graph(side: str, folder: Path, photos: Path, weights: Weights) -> float:
    """Share of the test images that onnxruntime classifies rightly."""
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    (output,) = session.get_outputs()
    assert output.name == {"pytorch": "logits", "keras": "Identity:0"}[side]
    files = sorted((photos / "test").glob("*/*"))
    classes = sorted({file.parent.name for file in files})
    arrays = []
    for file in files:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB").resize((224, 224), 2))
        arrays.append((pixels / 255 - weights.mean) / weights.std)
    batch = np.array(arrays, np.float32)
    if side == "pytorch":
        batch = batch.transpose(0, 3, 1, 2)
    (logits,) = session.run(None, {"input": batch})
    labels = [classes.index(file.parent.name) for file in files]
    return float(np.mean(logits.argmax(axis=1) == labels))


@pytest.mark.slow
@pytest.mark.parametrize("side", SIDES)
def test_every_step_can_be_switched_on_and_a_run_goes_on(
    side, few_photos, real_weights, tmp_path
):
    switches = ("--augment", "--cosine", "--own-dataset", "--limit", 20)
    inputs = ("--data", few_photos, "--weights", real_weights, "--output", tmp_path)
    epochs = 20
    said = interrupt(side, *inputs, *switches, "--epochs", epochs)
    assert "Images: 20 train, 15 validation, 15 test" in said
    before = epochs_in(tmp_path)
    assert 1 <= len(before) < epochs
    more = ("--epochs", epochs, "--resume", "--fine-tune", 1)
    done = call(side, *inputs, *switches, *more)
    assert done.returncode == 0, done.stdout + done.stderr
    numbers = [int(number) for number, _ in LINE.findall(done.stdout)]
    assert numbers == [*range(len(before) + 1, epochs + 1), 1]
    assert epochs_in(tmp_path)[: len(before)] == before
    assert len(epochs_in(tmp_path / "fine-tuned")) == 1


@pytest.mark.parametrize("side", SIDES)
def test_a_mistake_ends_with_one_message(side, few_photos, tmp_path):
    inputs = ("--data", few_photos, "--output", tmp_path)
    done = call(side, *inputs, "--epochs", 0)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("Error: --epochs 0: it must")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: shutil.rmtree(data), "no such folder"),
        (lambda data: shutil.rmtree(data / "test"), "no folder test"),
        (lambda data: empty(data / "train/hat"), "train/hat is empty"),
        (lambda data: cut_short(data / "train/hat"), "broken image"),
        (lambda data: rename(data / "test/hat", ".webp"), "does not end in"),
    ],
)
def test_images_that_cannot_be_used(few_photos, tmp_path, change, message):
    data = shutil.copytree(few_photos, tmp_path / "data")
    change(data)
    with pytest.raises(UserError, match=message):
        find_images(data, ENDINGS)


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def cut_short(folder: Path) -> None:
    file = next(folder.iterdir())
    file.write_bytes(file.read_bytes()[:2000])


def rename(folder: Path, ending: str) -> None:
    file = next(folder.iterdir())
    file.rename(file.with_suffix(ending))


def test_a_limit_keeps_the_share_of_every_class(few_photos):
    count = {"hat": 14, "pants": 14, "shirt": 14}
    for limit, expected in ((3, 1), (12, 4), (42, 14), (99, 14)):
        images = find_images(few_photos, ENDINGS, limit)
        found = {name: len(list((images.train / name).iterdir())) for name in count}
        assert found == dict.fromkeys(count, expected)
    first, again, other = (
        {
            path.name
            for path in find_images(few_photos, ENDINGS, 9, seed).train.glob("*/*")
        }
        for seed in (0, 0, 1)
    )
    assert first == again != other
    with pytest.raises(UserError, match="--limit 2: there are 3 classes"):
        find_images(few_photos, ENDINGS, 2)


def test_hidden_files_are_left_out(few_photos, tmp_path):
    data = shutil.copytree(few_photos, tmp_path / "data")
    (data / "train/.ipynb_checkpoints").mkdir()
    (data / "train/hat/.DS_Store").write_text("")
    (data / "validation").rename(data / "val")
    images = find_images(data, ENDINGS)
    assert images.classes == ["hat", "pants", "shirt"]
    assert len(list(images.train.glob("*/*"))) == 42
    assert len(list(images.validation.glob("*/*"))) == 15


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "0"], "--epochs 0: it must be 1 or more"),
        (["--fine-tune", "-1"], "--fine-tune -1: it must be 0 or more"),
        (["--output", f"{__file__}/run"], "a part of this path is a file"),
    ],
)
def test_options_out_of_range(tmp_path, arguments, message):
    with pytest.raises(UserError, match=message):
        read_options("program", tmp_path, ["--data", "images", *arguments])


def test_devices_are_an_option_of_keras(tmp_path):
    given = ["--data", "images", "--devices"]
    assert read_options("keras_impl", tmp_path, [*given, "2"]).devices == 2
    with pytest.raises(UserError, match="--devices 0: it must be 1 or more"):
        read_options("keras_impl", tmp_path, [*given, "0"])
    with pytest.raises(SystemExit):
        read_options("pytorch_impl", tmp_path, [*given, "2"])  # torchrun knows it


def test_resuming_another_training(tmp_path):
    read_options("program", tmp_path, ["--data", "images", "--limit", "20"])
    start_history(tmp_path, resume=False)
    with pytest.raises(UserError, match="began with limit = 20, now it is None"):
        read_options("program", tmp_path, ["--data", "images", "--resume"])


def test_a_cosine_goes_on_to_the_same_last_epoch(tmp_path):
    given = ["--data", "images", "--epochs", "4"]
    read_options("program", tmp_path, [*given, "--cosine"])
    start_history(tmp_path, resume=False)
    read_options("program", tmp_path, [*given, "--cosine", "--resume"])
    longer = ["--data", "images", "--epochs", "8", "--cosine", "--resume"]
    with pytest.raises(UserError, match="began with epochs = 4, now it is 8"):
        read_options("program", tmp_path, longer)


def test_a_mistyped_run_leaves_the_options_of_the_last_training(tmp_path):
    read_options("program", tmp_path, ["--data", "images"])
    start_history(tmp_path, resume=False)
    read_options("program", tmp_path, ["--data", "imagse"])  # and then it fails
    read_options("program", tmp_path, ["--data", "images", "--resume"])


def test_nothing_to_resume(tmp_path):
    with pytest.raises(UserError, match=r"no history\.csv"):
        start_history(tmp_path, resume=True)
    (tmp_path / "history.csv").write_text(",".join(Epoch._fields) + "\n")
    with pytest.raises(UserError, match="no last epoch"):
        start_history(tmp_path, resume=True)
