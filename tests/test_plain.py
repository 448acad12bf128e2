"""The plain division: what each framework does by itself, and what it must not."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.run.output import files_of_a_run
from shared.config import make_config
from shared.data.dataset import ImageData, prepare
from shared.data.folders import link_images
from shared.model.architecture import conv_layers
from shared.model.weights import read_weights
from tests.plain_side import EPOCHS

ROOT = Path(__file__).parents[1]
ARMS = ("pytorch", "keras")


@pytest.fixture(scope="module")
def image_data(few_photos: Path, tmp_path_factory) -> ImageData:
    return prepare(str(few_photos), make_config(), cache=tmp_path_factory.mktemp("c"))


@pytest.fixture(scope="module")
def sides(few_photos, real_weights, tmp_path_factory) -> dict[str, dict]:
    """What tests/plain_side.py stores, by arm; a process for each."""
    found = {}
    for arm in ARMS:
        folder = tmp_path_factory.mktemp(arm)
        done = subprocess.run(
            [sys.executable, "-m", "tests.plain_side", arm]
            + [str(path) for path in (few_photos, real_weights, folder)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-5000:]
        found[arm] = dict(np.load(folder / "arrays.npz"))
    return found


@pytest.mark.parametrize("arm", ARMS)
def test_loader_has_every_image_in_the_order_of_the_split(sides, image_data, arm):
    labels = image_data.splits["validation"].labels
    np.testing.assert_array_equal(sides[arm]["labels"], labels)
    assert sides[arm]["batch_sizes"].tolist() == [15]
    assert sides[arm]["images"].shape == (15, 224, 224, 3)


def test_pixels_are_pillow_s_on_one_side_alone(sides):
    """[D18] Keras resizes without antialias: no image is far off, none is equal."""
    pytorch, keras = (
        np.abs(sides[arm]["images"] - sides[arm]["decoded"]).mean(axis=(1, 2, 3))
        for arm in ARMS
    )
    assert pytorch.max() < 1e-6
    assert keras.min() > 0.002
    assert keras.max() < 0.5


@pytest.mark.parametrize("arm", ARMS)
def test_training_images_are_shuffled_anew_in_every_epoch(sides, image_data, arm):
    first, second = (sides[arm][f"train_labels_{epoch}"] for epoch in (1, 2))
    labels = image_data.splits["train"].labels
    for found in (first, second):
        np.testing.assert_array_equal(np.sort(found), labels)
        assert (found != labels).any()
    assert (first != second).any()


@pytest.mark.parametrize("arm", ARMS)
def test_augmentation_changes_the_images_and_not_their_size(sides, arm):
    first, second = (sides[arm][f"augmented_{epoch}"] for epoch in (1, 2))
    assert first.shape == (42, 224, 224, 3)
    assert np.abs(first.mean(axis=(1, 2, 3)) - second.mean(axis=(1, 2, 3))).max() > 0.1
    limits = sides[arm]["images"].min() - 1, sides[arm]["images"].max() + 1
    assert limits[0] < first.min() < first.max() < limits[1]


@pytest.mark.parametrize("arm", ARMS)
def test_backbone_is_the_given_one_and_the_head_the_framework_s(
    sides, real_weights, arm
):
    for name, array in read_weights(real_weights).arrays.items():
        found = sides[arm][f"before/{name}"]
        if arm == "keras" and name.endswith("running_var"):
            # [D02] the same function: variance and epsilon have the same sum
            np.testing.assert_allclose(found + 1e-3, array + 1e-5, rtol=1e-5)
            assert (found < array).all()
        else:
            np.testing.assert_array_equal(found, array)
    bias = sides[arm]["before/head.inner.bias"]
    assert (bias == 0).all() == (arm == "keras")  # [D07]


def test_networks_are_as_published(sides):
    """Read from the classifier that load_checkpoint rebuilt."""
    found = {arm: json.loads(str(sides[arm]["architecture"])) for arm in ARMS}
    assert found["pytorch"] == {
        "epsilons": [1e-5],
        "paddings": [[1, 1]],
        "trainable": 4,
    }
    assert found["keras"] == {
        "epsilons": [1e-3],  # [D02]
        "paddings": ["((0, 1), (0, 1))"],  # [D03]
        "trainable": 4,
    }


@pytest.mark.parametrize("arm", ARMS)
def test_fine_tuning_trains_everything_but_batch_norm(sides, arm):
    kernels = {
        f"{conv}.weight" for conv in (layer.torch_conv for layer in conv_layers())
    }
    head = {f"head.{n}.{a}" for n in ("inner", "output") for a in ("weight", "bias")}
    assert set(sides[arm]["unfrozen"]) == kernels | head


@pytest.mark.parametrize("arm", ARMS)
def test_training_moves_the_head_alone(sides, arm):
    """[D01] A good user of either framework freezes batch norm too."""
    names = {name[6:] for name in sides[arm] if name.startswith("after/")}
    moved = {
        name
        for name in names
        if (sides[arm][f"after/{name}"] != sides[arm][f"before/{name}"]).any()
    }
    assert len([name for name in names if "running" in name]) == 104
    assert moved == {name for name in names if name.startswith("head.")}


@pytest.mark.parametrize("arm", ARMS)
def test_reported_figures_are_those_of_the_validation_images(sides, arm):
    """[D10] fit()'s own means are means over samples, last smaller batch included."""
    assert len(sides[arm]["reported"]) == EPOCHS
    np.testing.assert_allclose(
        sides[arm]["reported"], sides[arm]["recomputed"], rtol=1e-4
    )


@pytest.mark.parametrize("arm", ARMS)
def test_best_is_the_first_epoch_with_the_highest_accuracy(sides, arm):
    """[D15] ModelCheckpoint would watch the validation loss."""
    _, accuracies = sides[arm]["reported"].T
    assert sides[arm]["kept_epochs"].tolist() == [accuracies.argmax() + 1, EPOCHS]


@pytest.mark.parametrize("arm", ARMS)
def test_checkpoint_gives_the_same_logits(sides, arm):
    assert sides[arm]["logits"].std() > 0.1
    np.testing.assert_array_equal(sides[arm]["loaded_logits"], sides[arm]["logits"])


@pytest.mark.parametrize("arm", ARMS)
def test_steps_reduce_the_loss(sides, arm):
    losses = sides[arm]["losses"]
    assert losses[-3:].mean() < 0.7 * losses[0]


@pytest.mark.parametrize(("arm", "suffix"), [("pytorch", ".gif"), ("keras", ".webp")])
def test_file_that_a_loader_leaves_out_is_named(sides, arm, suffix):
    """[D32] Neither framework would say a word."""
    message = str(sides[arm]["refusal"])
    assert "leaves out 1 file(s)" in message
    assert suffix in message
    assert "--division matched" in message


def test_links_are_the_images_in_use(few_photos, tmp_path):
    data = tmp_path / "data"
    for split in ("train", "validation", "test"):
        (data / split).parent.mkdir(exist_ok=True)
        (data / split).symlink_to(few_photos / split)
    (data / "validation").rename(data / "val")
    found = prepare(str(data), make_config(), cache=tmp_path / "cache")
    folder = link_images(found, tmp_path / "images")
    for split, images in found.splits.items():
        links = [path for path in folder.glob(f"{split}/*/*") if path.is_file()]
        names = {path.relative_to(folder / split).as_posix() for path in links}
        assert names == set(images.files)


def test_bad_images_that_were_left_out_are_not_linked(few_photos, tmp_path):
    data = link_images(
        prepare(str(few_photos), make_config(), cache=tmp_path), tmp_path / "data"
    )
    (data / "train" / "hat" / "broken.jpg").write_text("no image")
    found = prepare(str(data), make_config(), cache=tmp_path, skip_bad_images=True)
    folder = link_images(found, tmp_path / "images")
    assert not (folder / "train" / "hat" / "broken.jpg").exists()
    assert len(list(folder.glob("train/*/*"))) == 42


@pytest.fixture(scope="module")
def run(bench, few_photos, real_weights, tmp_path_factory) -> dict:
    """Both arms from end to end, with augmentation and timing."""
    folder = tmp_path_factory.mktemp("run") / "out"
    done = bench(
        *("all", "--division", "plain", "--data", few_photos, "--augment"),
        *("--weights", real_weights, "--epochs", EPOCHS, "--output", folder),
        *("--timing-rounds", 2, "--timing-steps", 2, "--timing-warmup-steps", 0),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((folder / "results.json").read_text())
    return results | {"folder": folder, "said": " ".join(done.stdout.split())}


@pytest.mark.slow
def test_run_is_complete_and_says_its_division(run):
    assert (run["status"], run["division"]) == ("complete", "plain")
    for arm in run["arms"].values():
        assert arm["status"] == "ok"
        assert arm["test"]["images"] == 15
        assert set(arm["timing"]) >= {"first_step", "train_step"}
        assert "image_step" not in arm["timing"]  # the run's own step is on images
        assert arm["onnx"]["parity"]["max_scaled_diff"] <= 1e-4
    assert len(run["checks"]) == 8
    assert all(check["passed"] for check in run["checks"])
    assert "plain division" in run["said"]
    assert run["environment"]["variables"] == {}  # nothing is set for either side


@pytest.mark.slow
def test_what_makes_no_sense_is_left_out_in_one_sentence(run):
    assert run["comparison"]["features_max_scaled_diff"] is None
    assert run["comparison"]["onnx_cross"] is None
    reason, ratios = run["not_run"]
    assert "backbone features" in reason
    assert "they need 5 timing rounds" in ratios
    assert reason in (run["folder"] / "report.md").read_text()


@pytest.mark.slow
def test_best_epoch_is_the_checkpoint_s(run):
    for name, arm in run["arms"].items():
        best = json.loads((run["folder"] / "models" / name / "best.json").read_text())
        assert arm["best_epoch"] == best["epoch"]
        assert best["config"]["division"] == "plain"


@pytest.mark.slow
def test_next_run_knows_every_file_of_this_one(run):
    known = files_of_a_run(run["folder"])
    for path in run["folder"].rglob("*"):
        if path.is_file():
            assert path.name in known[path.parent], path


def test_parity_is_the_matched_division_s(bench, few_photos, tmp_path):
    output = tmp_path / "out"
    inputs = ("--data", few_photos, "--division", "plain", "--output", output)
    done = bench("parity", *inputs)
    assert done.returncode == 2
    assert "matched" in done.stderr
    assert not output.exists()


@pytest.mark.slow
def test_unreadable_format_stops_the_run_before_any_training(
    bench, few_photos, real_weights, tmp_path
):
    data = link_images(
        prepare(str(few_photos), make_config(), cache=tmp_path), tmp_path / "data"
    )
    odd = next((data / "test" / "hat").iterdir())
    odd.rename(odd.with_suffix(".webp"))
    done = bench(
        *("train", "--division", "plain", "--data", data),
        *("--weights", real_weights, "--output", tmp_path / "out"),
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"test/hat/{odd.stem}.webp" in done.stderr
    assert "epoch" not in done.stdout
    assert not (tmp_path / "out").exists()
