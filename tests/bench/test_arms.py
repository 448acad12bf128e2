"""Keras on other backends, and the commands that time the arms, as a user runs them."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import pytest

from bench.onnx_runtime import OnnxClassifier, profile
from bench.processes.arms import BACKENDS, FLOAT64_ARMS, KERAS_OF_FURTHER_ARMS

ARMS = ("pytorch", "keras-jax", "keras-torch")
needs_keras = pytest.mark.skipif(
    tuple(map(int, version("keras").split(".")[:2])) < KERAS_OF_FURTHER_ARMS,
    reason="this Keras exports from TensorFlow alone",
)
QUICK = ("--timing-steps", 2, "--timing-warmup-steps", 1, "--timing-rounds", 1)


@pytest.fixture(scope="module")
def train(bench, few_photos, real_weights, tmp_path_factory) -> Callable[..., dict]:
    """The same program on three backends, dropout included."""

    def call(*options: object) -> dict:
        folder = tmp_path_factory.mktemp("arms") / "run"
        done = bench(
            *("train", "--data", few_photos, "--weights", real_weights),
            *("--arms", ",".join(ARMS), "--output", folder, *options),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads((folder / "results.json").read_text()) | {"folder": folder}

    return call


@pytest.fixture(scope="module")
def run(train) -> dict:
    """Trained on features."""
    return train("--epochs", 3)


def count_convolutions(operations: dict[str, dict]) -> int:
    """With what was joined to them: "Conv" or "FusedConv", by the processor."""
    return sum(o["count"] for kind, o in operations.items() if kind.endswith("Conv"))


def require_equal_histories(run: dict) -> None:
    """Every arm's epochs are those of the first."""
    histories = {
        name: [
            (epoch["validation_accuracy"], pytest.approx(epoch["train_loss"], rel=1e-4))
            for epoch in arm["history"]
        ]
        for name, arm in run["arms"].items()
    }
    assert set(histories) == set(ARMS)
    assert histories["keras-jax"] == histories["pytorch"]
    assert histories["keras-torch"] == histories["pytorch"]


@needs_keras
@pytest.mark.slow
def test_every_backend_trains_the_same_classifier(run):
    require_equal_histories(run)


@needs_keras
@pytest.mark.slow
def test_every_backend_trains_the_same_classifier_on_augmented_images(train):
    require_equal_histories(train("--epochs", 2, "--augment"))


@needs_keras
@pytest.mark.slow
def test_every_backend_exports_what_it_trained(run):
    for arm in run["arms"].values():
        assert arm["onnx"]["parity"]["max_scaled_diff"] <= 1e-4
        assert arm["onnx"]["parity"]["batch_sizes"] == [1, 7, 32]


@needs_keras
@pytest.mark.slow
def test_what_onnxruntime_can_join_goes_by_the_backend(run):
    """[D35] Batch norm and ReLU6 become part of the convolutions, or do not."""
    images = np.zeros((32, 224, 224, 3), np.uint8)
    counts = {}
    for name, arm in run["arms"].items():
        path = run["folder"] / arm["onnx"]["path"]
        operations = profile(path, OnnxClassifier(path).prepare(images))
        found = {kind: one.model_dump() for kind, one in operations.items()}
        assert count_convolutions(found) == 52
        counts[name] = {kind: one["count"] for kind, one in found.items()}
    assert not {"Sub", "Min", "Clip"} & set(counts["pytorch"])
    assert counts["keras-jax"]["Min"] == counts["keras-jax"]["Max"] == 35
    assert counts["keras-torch"]["Sub"] == counts["keras-torch"]["Mul"] == 52


@needs_keras
@pytest.mark.slow
def test_every_arm_is_compared_with_the_first(run):
    compared = [run["comparison"], *run["further"]]
    assert [one["arms"] for one in compared] == [["pytorch", arm] for arm in ARMS[1:]]
    assert all(one["features_max_scaled_diff"] <= 1e-5 for one in compared)
    assert all(check["passed"] for check in run["checks"])


@needs_keras
@pytest.mark.slow
def test_ladder_is_judged_in_float32(bench, few_photos, real_weights, tmp_path):
    inputs = ("--data", few_photos, "--weights", real_weights, "--output", tmp_path)
    done = bench("parity", *inputs, "--epochs", 2, "--arms", "pytorch,keras-torch")
    assert done.returncode == 0, done.stdout + done.stderr
    rungs = json.loads((tmp_path / "parity.json").read_text())["rungs"]
    verdicts = {(rung["precision"], rung["passed"]) for rung in rungs}
    assert verdicts == {("float32", True), ("float64", None)}


@pytest.mark.parametrize("backend", BACKENDS.values())
def test_backends_without_float64_are_those_that_keras_says(backend):
    """Where this fails, Keras has mended it: the ladder can be judged there too."""
    code = "import keras; print(keras.backend.result_type('float64', 'float32'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"KERAS_BACKEND": backend},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    exact = {BACKENDS[arm] for arm in FLOAT64_ARMS if arm in BACKENDS}
    assert (done.stdout.strip() == "float64") == (backend in exact)


@pytest.mark.slow
def test_timing_measures_every_phase(bench, few_photos, real_weights, tmp_path):
    done = bench(
        *("timing", "--data", few_photos, "--weights", real_weights, *QUICK),
        *("--output", tmp_path / "run"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "run/results.json").read_text())
    for arm in found["arms"].values():
        assert set(arm["timing"]) == {
            *("start", "import", "weights", "build"),
            *("first_step", "train_step", "image_step", "forward"),
            *("evaluation", "input_pipeline", "epoch", "checkpoint", "export"),
            *("onnx_session", "onnx_batch_1", "onnx_batch_32"),
        }
        samples = [s for one in arm["timing"].values() for s in one["samples_ms"]]
        assert min(samples) > 0
    assert sorted(found["timing"]["order"][0]) == ["keras", "pytorch"]
    assert len(found["checks"]) == 2
    assert all(check["passed"] for check in found["checks"])
    operations = found["timing"]["operations"]
    assert set(operations) == {"pytorch", "keras"}
    assert all(count_convolutions(of_arm) == 52 for of_arm in operations.values())
    page = (tmp_path / "run/report.md").read_text()
    assert "they need 5 timing rounds" in page
    assert "input" in page
