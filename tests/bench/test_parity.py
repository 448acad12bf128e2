"""The parity ladder: it holds on real images, and a planted defect is named first."""

import json

import numpy as np
import pytest

from bench.parity import RUNGS, compare
from shared.weights import Arrays

NAMES = {
    "pixels": "pixels",
    "normalised input": "normalised input",
    "augmented batch": "augmented batch",
    "backbone features": "backbone features/block 07",
    "logits": "logits",
    "loss": "loss",
    "head gradients": "head gradients/head.inner.bias",
    "whole-network gradients": "whole-network gradients/features.0.0.weight",
    "one optimizer step": "one optimizer step/head.output.bias",
    "weights after training": "epoch 02/head.inner.weight",
    "validation predictions": "validation logits/epoch 01",
    "batch-norm buffers": "buffers/features.0.1.running_mean",
}
START = {"features.0.1.running_mean": np.linspace(1, 2, 5).astype("float32")}


def side(precision: str) -> Arrays:
    """Small arrays under every name that the ladder knows."""
    random = np.random.default_rng(0)
    arrays = {name: random.normal(size=(6, 5)) for name in NAMES.values()}
    arrays["buffers/features.0.1.running_mean"] = np.linspace(1, 2, 5)
    arrays["backbone features/block 08"] = random.normal(size=(6, 5))
    return {name: array.astype(precision) for name, array in arrays.items()}


def sides() -> dict[str, dict[str, Arrays]]:
    return {
        precision: {arm: side(precision) for arm in ("pytorch", "keras")}
        for precision in ("float32", "float64")
    }


def first_failed(record) -> str | None:
    return next((rung.name for rung in record.rungs if not rung.passed), None)


def test_every_rung_has_arrays_in_this_test():
    assert {rung.name for rung in RUNGS} == set(NAMES)


def test_equal_sides_hold_on_every_rung():
    record = compare(sides(), START)
    assert first_failed(record) is None
    assert all(rung.arrays > 0 for rung in record.rungs)


@pytest.mark.parametrize(
    "rung", RUNGS, ids=lambda rung: f"{rung.name}-{rung.precision}"
)
def test_planted_difference_is_named(rung):
    """Ten times the tolerance, or the least possible where none is allowed."""
    arrays = sides()
    planted = arrays[rung.precision]["keras"][NAMES[rung.name]]
    if rung.name == "validation predictions":
        planted[0] = -planted[0]  # another class is the largest
    else:
        planted += (rung.tolerance or 1e-6) * 10 * np.abs(planted).max()
    record = compare(arrays, START)
    failed = [r for r in record.rungs if not r.passed]
    assert [(r.name, r.precision) for r in failed] == [(rung.name, rung.precision)]
    assert NAMES[rung.name].split("/")[-1] in failed[0].first_failed


def test_first_diverging_block_is_named():
    arrays = sides()
    for block in ("07", "08"):
        arrays["float32"]["keras"][f"backbone features/block {block}"] += 1
    (failed,) = [rung for rung in compare(arrays, START).rungs if not rung.passed]
    assert failed.first_failed == "backbone features/block 07"


@pytest.mark.slow
def test_ladder_holds_on_real_images(bench, few_photos, real_weights, tmp_path):
    inputs = ("--data", few_photos, "--weights", real_weights, "--output", tmp_path)
    done = bench("parity", *inputs, "--epochs", 3)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "parity.json").read_text())
    assert len(record["rungs"]) == len(RUNGS)
    assert all(rung["passed"] for rung in record["rungs"])
    exact = [rung for rung in record["rungs"] if rung["precision"] == "float64"]
    assert all(rung["max_scaled_diff"] < 1e-9 for rung in exact)


def test_parity_needs_both_arms(bench, few_photos, tmp_path):
    done = bench(
        "parity", "--data", few_photos, "--arms", "keras", "--output", tmp_path
    )
    assert done.returncode == 2
    assert "both arms" in done.stderr
