"""The parity ladder: it holds on real images, and a planted defect is named first."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.onnx_runtime import OnnxClassifier
from bench.processes.agreed import NUM_IMAGES
from bench.processes.arms import PAIR
from bench.processes.worker_process import ENVIRONMENT
from bench.records import ParityRecord
from bench.report.parity import rung_cells
from bench.studies.parity import RUNGS, Sides, compare, ladder_config, write_parity
from shared.config import make_config
from shared.data.dataset import ImageData, prepare
from shared.data.subsets import spread
from shared.model.weights import Arrays, read_weights
from tests.planted import DEFECTS, SETTINGS

RATE = 1e-3  # of learning: the size of an update
ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "reports/samples/clothing-2-cores/results.json"
NAMES = {
    "pixels": "pixels",
    "normalised input": "normalised input",
    "order of the images": "order of the images",
    "augmented batch": "augmented batch",
    "dropout plan": "dropout plan",
    "backbone features": "backbone features/block 07",
    "logits": "logits",
    "loss": "loss",
    "head gradients": "head gradients/head.inner.bias",
    "whole-network gradients": "whole-network gradients/features.0.0.weight",
    "one optimizer step": "one optimizer step/head.output.bias",
    "one fine-tuning step": "one fine-tuning step/features.1.conv.1.running_var",
    "AdamW, cosine schedule": "AdamW, cosine schedule/head.inner.weight",
    "one epoch": "one epoch/head at epoch 1, step 2/head.inner.weight",
    "half the epochs": "half the epochs/head at epoch 2, step 4/head.inner.weight",
    "all epochs": "all epochs/head at epoch 3, step 6/head.inner.weight",
    "epoch losses": "epoch losses/epoch 2, step 4",
    "validation predictions": "validation logits/epoch 1, step 2",
    "SGD, class weights": "SGD, class weights/head.inner.weight",
    "batch-norm buffers": "buffers/features.0.1.running_mean",
    "checkpoint": "crossed logits",
    "ONNX": "ONNX logits",
}
START = {"buffers/features.0.1.running_mean": np.linspace(1, 2, 5).astype("float32")}


def side(precision: str) -> Arrays:
    """Small arrays under every name that the ladder knows."""
    random = np.random.default_rng(0)
    arrays = {name: random.normal(size=(6, 5)) for name in NAMES.values()}
    arrays["buffers/features.0.1.running_mean"] = np.linspace(1, 2, 5)
    arrays["backbone features/block 08"] = random.normal(size=(6, 5))
    arrays["trained logits"] = arrays["ONNX logits"]
    arrays["saved"] = arrays["crossed logits"].copy()
    return {name: array.astype(precision) for name, array in arrays.items()}


def sides() -> dict[str, Sides]:
    return {
        precision: {"start": START} | {arm: side(precision) for arm in PAIR}
        for precision in ("float32", "float64")
    }


def first_failed(record: ParityRecord) -> str | None:
    return record.first_failed.name if record.first_failed else None


def test_every_rung_has_arrays_in_this_test():
    assert {rung.name for rung in RUNGS} == set(NAMES)


def test_equal_sides_hold_on_every_rung():
    record = compare(sides(), RATE)
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
    failed = [rung for rung in compare(arrays, RATE).rungs if not rung.passed]
    assert [(r.name, r.precision) for r in failed] == [(rung.name, rung.precision)]
    if rung.name not in ("checkpoint", "ONNX"):
        assert NAMES[rung.name].split("/")[-1] in failed[0].first_failed


ROUNDED = [rung for rung in RUNGS if rung.rounds]


def planted_in_float32(rung, arms, times_tolerance: float) -> dict[str, Sides]:
    """Arrays of some arms moved in float32 alone, by multiples of the tolerance."""
    arrays = sides()
    for arm in arms:
        found = arrays["float32"][arm]
        noise = np.random.default_rng(len(arm)).choice([-1, 1], size=(6, 5))
        moved = times_tolerance * rung.tolerance * noise
        found[NAMES[rung.name]] = found[NAMES[rung.name]] * (1 + moved)
    return arrays


@pytest.mark.parametrize("rung", ROUNDED, ids=lambda rung: rung.name)
def test_where_float32_moves_both_sides_more_is_allowed(rung):
    """As on a backbone that amplifies rounding; float64 shows that it is rounding."""
    found = compare(planted_in_float32(rung, PAIR, 3), RATE)
    assert first_failed(found) is None
    (judged,) = [r for r in found.rungs if r.name == rung.name and r.allows_rounding]
    assert judged.tolerance > 10 * rung.tolerance


@pytest.mark.parametrize("arm", PAIR)
@pytest.mark.parametrize("rung", ROUNDED, ids=lambda rung: rung.name)
def test_a_side_that_rounds_too_much_is_not_its_own_excuse(rung, arm):
    found = compare(planted_in_float32(rung, [arm], 3), RATE)
    assert first_failed(found) == rung.name


@pytest.mark.parametrize("arm", PAIR)
@pytest.mark.parametrize("rung", ROUNDED, ids=lambda rung: rung.name)
def test_a_defect_in_both_precisions_gains_nothing_from_rounding(rung, arm):
    """What one side computes wrongly in float64 too is no rounding."""
    arrays = planted_in_float32(rung, PAIR, 3)
    for precision in ("float32", "float64"):
        found = arrays[precision][arm]
        found[NAMES[rung.name]] = found[NAMES[rung.name]] * 1.01
    failed = [r.name for r in compare(arrays, RATE).rungs if not r.passed]
    assert rung.name in failed


def test_what_an_update_leaves_at_nothing_is_compared_with_its_size():
    """Gradients that are all rounding: 1e-12 against another 1e-12 says nothing."""
    arrays = sides()
    name = NAMES["one fine-tuning step"]
    for arm, scale in zip(PAIR, (1e-12, -3e-12), strict=True):
        arrays["float64"][arm][name] = scale * arrays["float64"][arm][name]
    assert first_failed(compare(arrays, RATE)) is None
    arrays["float64"]["keras"][name] = np.full((6, 5), 1e-5 * RATE)
    assert first_failed(compare(arrays, RATE)) == "one fine-tuning step"


def test_a_tie_may_turn_around_and_a_clear_prediction_may_not():
    arrays = sides()
    name = NAMES["validation predictions"]
    for arm, margin in zip(PAIR, (1e-5, -1e-5), strict=True):
        logits = np.zeros((6, 5))
        logits[:, 0], logits[:, 1] = 3, 3 - margin
        logits[1:, 0] = 5
        arrays["float64"][arm][name] = logits
    assert first_failed(compare(arrays, RATE)) is None
    arrays["float64"]["keras"][name][0, 1] += 0.01
    assert first_failed(compare(arrays, RATE)) is None  # a tie on one side is a tie
    arrays["float64"]["pytorch"][name][0, 1] -= 0.01
    assert first_failed(compare(arrays, RATE)) == "validation predictions"


def test_without_float64_its_rungs_are_not_judged():
    arrays = sides()
    del arrays["float64"]["keras"]
    arrays["float32"]["keras"][NAMES["whole-network gradients"]] += 1
    record = compare(arrays, RATE)
    unjudged = [rung for rung in record.rungs if rung.passed is None]
    assert [rung.name for rung in unjudged] == [r.name for r in RUNGS if r.exact]
    assert {rung.precision for rung in record.judged} == {"float32"}
    assert record.first_failed is None
    arrays["float32"]["keras"][NAMES["logits"]] += 1
    assert first_failed(compare(arrays, RATE)) == "logits"
    for rung in unjudged:
        assert rung_cells(rung)[-1] == "not judged"
        if rung.name != "validation predictions":  # classes have no size
            assert "in float32" in rung_cells(rung)[3]


@pytest.mark.parametrize("arm", PAIR)
@pytest.mark.parametrize("defect", ["missing", "another shape", "NaN", "all zero"])
def test_arrays_that_cannot_be_compared_fail_their_rung(arm, defect, tmp_path):
    name, arrays = NAMES["head gradients"], sides()
    found = arrays["float32"][arm]
    if defect == "missing":
        del found[name]
    elif defect == "another shape":
        found[name] = found[name][:3]
    else:
        found[name] = found[name] * (np.nan if defect == "NaN" else 0)
    record = compare(arrays, RATE)
    failed = [rung for rung in record.rungs if not rung.passed]
    assert [rung.first_failed for rung in failed] == [name]
    if (arm, defect) == ("keras", "all zero"):
        assert failed[0].max_scaled_diff == 1
    else:
        assert failed[0].max_scaled_diff is None
        assert "cannot be compared" in rung_cells(failed[0])
    path = write_parity(record, tmp_path)
    assert ParityRecord.model_validate_json(path.read_text()) == record


@pytest.mark.parametrize("arm", PAIR)
@pytest.mark.parametrize(
    "rung", RUNGS, ids=lambda rung: f"{rung.name}-{rung.precision}"
)
def test_a_missing_array_fails_every_kind_of_rung(rung, arm):
    arrays = sides()
    del arrays[rung.precision][arm][NAMES[rung.name]]
    failed = [
        (one.name, one.precision)
        for one in compare(arrays, RATE).rungs
        if not one.passed
    ]
    assert failed == [(rung.name, rung.precision)]


def test_a_rung_without_arrays_on_either_side_fails():
    arrays = sides()
    for arm in PAIR:
        del arrays["float64"][arm][NAMES["SGD, class weights"]]
    assert first_failed(compare(arrays, RATE)) == "SGD, class weights"


def test_first_diverging_block_is_named():
    arrays = sides()
    for block in ("07", "08"):
        arrays["float32"]["keras"][f"backbone features/block {block}"] += 1
    (failed,) = [rung for rung in compare(arrays, RATE).rungs if not rung.passed]
    assert failed.first_failed == "backbone features/block 07"


@pytest.fixture(scope="module")
def small_images(few_photos: Path, cache: Path) -> ImageData:
    return prepare(str(few_photos), make_config(**SETTINGS), cache=cache)


@pytest.fixture(scope="module")
def planted(small_images, real_weights, tmp_path_factory) -> Path:
    """What each side computes with each defect in its code; see tests/planted.py."""
    folder = tmp_path_factory.mktemp("planted")
    running = []
    for arm in PAIR:
        (folder / arm).mkdir()
        paths = [small_images.folder, real_weights, folder / arm]
        command = [sys.executable, "-m", "tests.planted", arm, *map(str, paths)]
        running.append(
            subprocess.Popen(command, cwd=ROOT, env=os.environ | ENVIRONMENT)
        )
    assert [process.wait() for process in running] == [0, 0]
    return folder


@pytest.fixture(scope="module")
def ladder(planted, small_images, real_weights) -> Callable[..., ParityRecord]:
    """Compare both sides, one of them with a defect as far as that climbed."""
    arrays = read_weights(real_weights).arrays
    start = {f"buffers/{name}": array for name, array in arrays.items()}
    sample = spread(small_images.splits["test"], NUM_IMAGES).images

    def climb(faulty: str | None = None, defect: str | None = None) -> ParityRecord:
        sides = {}
        for precision in ("float32", "float64"):
            sides[precision] = {"start": start}
            for arm in PAIR:
                found = dict(np.load(planted / arm / f"none-{precision}.npz"))
                if precision == "float32":
                    graph = OnnxClassifier(planted / arm / "model.onnx")
                    found["ONNX logits"] = graph.all_logits(sample, 32)
                    # Conversion has its own defects, in test_convert.py.
                    found["crossed logits"] = found["saved"] = found["trained logits"]
                if arm == faulty:
                    found |= dict(np.load(planted / arm / f"{defect}-{precision}.npz"))
                sides[precision][arm] = found
        return compare(sides, RATE)

    return climb


@pytest.mark.slow
def test_without_defect_the_ladder_holds(ladder):
    assert first_failed(ladder()) is None


@pytest.mark.slow
@pytest.mark.parametrize(("defect", "rung"), DEFECTS.items())
def test_defect_in_the_code_is_named_first(ladder, defect, rung):
    assert first_failed(ladder(*defect)) == rung


@pytest.mark.slow
def test_drifting_batch_norm_is_seen_in_its_buffers(ladder):
    """[D01] Though a rung below names it first."""
    failed = [rung.name for rung in ladder("pytorch", "D01").rungs if not rung.passed]
    assert "batch-norm buffers" in failed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("defect", "block"), [("D03", "block 00"), ("D05", "block 01")]
)
def test_block_with_the_defect_is_named(ladder, defect, block):
    """[D03] The first convolution pads; [D05] the first depthwise one is in block 1."""
    found = ladder("keras", defect).first_failed
    assert found.first_failed == f"backbone features/{block}"


@pytest.mark.parametrize("arm", PAIR)
def test_every_switch_of_a_side_is_planted(arm):
    source = (ROOT / f"{arm}_impl" / "differences" / "switches.py").read_text()
    switches = re.findall(r'^    "(D\d\d)": _', source, re.MULTILINE)
    assert switches
    planted = {switch for side, switch in DEFECTS if side == arm}
    assert planted >= set(switches)


def test_parity_needs_both_arms(bench, few_photos, tmp_path):
    done = bench(
        "parity", "--data", few_photos, "--arms", "keras", "--output", tmp_path
    )
    assert done.returncode == 2
    assert "parity needs pytorch and one Keras arm" in done.stderr


@pytest.mark.parametrize("switch", ["D02", "keras:epsilon", "jax:D02"])
def test_unknown_switch_is_refused(bench, switch, tmp_path):
    done = bench("parity", "--switch", switch, "--output", tmp_path / "run")
    assert done.returncode == 2
    assert "keras:D02" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_switch_that_its_side_lacks_costs_nothing(bench, few_photos, tmp_path):
    """[D01] is PyTorch's; what an earlier run left stays."""
    shutil.copy(SAMPLE, tmp_path)
    inputs = ("--data", few_photos, "--weights", "random", "--output", tmp_path)
    done = bench("parity", *inputs, "--switch", "keras:D01")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "D01" in done.stderr
    assert "D02" in done.stderr
    assert (tmp_path / "results.json").read_bytes() == SAMPLE.read_bytes()


@pytest.mark.slow
def test_command_names_the_rung_of_a_switch(bench, few_photos, real_weights, tmp_path):
    inputs = ("--data", few_photos, "--weights", real_weights, "--output", tmp_path)
    small = ("--epochs", 1, "--image-size-px", 96)
    done = bench("parity", *inputs, *small, "--switch", "keras:D02")
    assert done.returncode == 1, done.stdout + done.stderr
    stored = ParityRecord.model_validate_json((tmp_path / "parity.json").read_text())
    assert first_failed(stored) == "backbone features"
    assert "FAILS" in (tmp_path / "report.md").read_text()
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["parity"] == stored.model_dump(mode="json")


def test_the_ladder_is_climbed_in_float32():
    config = make_config(tf32=True, precision="bfloat16", device="cuda")
    assert not ladder_config(config).is_rounded
