"""Mixed precision: what is rounded to 16 bits on each side, and what is not."""

import subprocess
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import onnxruntime
import pytest

from shared.metrics import max_scaled_diff
from tests.precision_side import EPOCHS

ROOT = Path(__file__).parents[1]
ARMS = ("pytorch", "keras")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sides(few_photos, real_weights, tmp_path_factory) -> dict[str, tuple[dict, Path]]:
    """What tests/precision_side.py stores, by arm, and where its files lie."""
    found = {}
    for arm in ARMS:
        folder = tmp_path_factory.mktemp(arm)
        done = subprocess.run(
            [sys.executable, "-m", "tests.precision_side", arm]
            + [str(path) for path in (few_photos, real_weights, folder)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-5000:]
        found[arm] = dict(np.load(folder / "arrays.npz")), folder
    return found


@pytest.mark.parametrize("arm", ARMS)
def test_only_what_is_computed_on_the_way_has_16_bits(sides, arm):
    found, _ = sides[arm]
    kinds = {n[5:]: str(a) for n, a in found.items() if n.startswith("kind/")}
    assert kinds.pop("features") == "bfloat16"
    assert len(kinds) == 6
    assert set(kinds.values()) == {"float32"}


@pytest.mark.parametrize("arm", ARMS)
def test_a_plain_program_learns_in_bfloat16(sides, arm):
    found, _ = sides[arm]
    first, *_, last = found["losses"]
    assert len(found["losses"]) == EPOCHS  # the last one in a resumed training
    assert last < 0.7 * first
    probabilities = found["probabilities"]
    assert probabilities.sum() == pytest.approx(1, abs=1e-6)  # summed in float32


@pytest.mark.parametrize("arm", ARMS)
def test_checkpoint_of_bfloat16_serves_float32(sides, arm):
    """The same parameters: only the rounding on the way is gone."""
    found, _ = sides[arm]
    distance = max_scaled_diff(found["rounded"], found["exact"])
    assert 1e-4 < distance < 0.2
    assert (
        found["rounded"].argmax(axis=1) == found["exact"].argmax(axis=1)
    ).mean() > 0.8


@pytest.mark.parametrize("arm", ARMS)
def test_exported_file_computes_in_float32(sides, arm):
    found, folder = sides[arm]
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    (logits,) = session.run(None, {"input": found["images"]})
    assert max_scaled_diff(logits, found["exact"]) < 1e-4


def share_of_rounded(array: np.ndarray) -> float:
    """Share of the numbers that bfloat16 can represent, of those that are not 0."""
    array = array[array != 0]
    return float(np.mean(array.astype(ml_dtypes.bfloat16).astype(np.float32) == array))


@pytest.mark.parametrize("arm", ARMS)
def test_last_layer_of_a_matched_program_computes_in_float32(sides, arm):
    """Forward and backward; the layer before it computes in bfloat16."""
    found, _ = sides[arm]
    hidden, logits = found["matched/hidden"], found["matched/logits"]
    assert share_of_rounded(hidden) == 1
    assert logits.dtype == np.float32
    assert share_of_rounded(logits) < 0.1
    assert share_of_rounded(found["matched/gradient"]) < 0.1
    np.testing.assert_allclose(logits, hidden @ found["output"].T, atol=1e-6)


def test_matched_logits_agree_in_bfloat16(sides):
    """More closely than if one side rounded them."""
    pytorch, keras = (sides[arm][0]["matched/logits"] for arm in ARMS)
    assert max_scaled_diff(keras, pytorch) < 1e-3
    planted = sides["pytorch"][0]["planted/logits"]
    assert max_scaled_diff(keras, planted) > 1e-3


def test_usual_last_layer_would_round(sides):
    """nn.Linear under autocast, as PyTorch's side had it: in this test's eyes wrong."""
    found, _ = sides["pytorch"]
    assert share_of_rounded(found["planted/logits"]) == 1
    assert share_of_rounded(found["planted/gradient"]) == 1


@pytest.mark.parametrize("arm", ARMS)
def test_float16_loses_small_gradients_unless_they_are_scaled(sides, arm):
    found, _ = sides[arm]
    assert not found["faint, unscaled/moved"].any()
    assert np.abs(found["faint/moved"]).min() > 0.1
    assert found["faint/scale"] == {"pytorch": 65_536, "keras": 32_768}[arm]


@pytest.mark.parametrize("arm", ARMS)
def test_bfloat16_keeps_small_gradients_without_scaling(sides, arm):
    found, _ = sides[arm]
    np.testing.assert_allclose(
        found["faint, bfloat16/moved"], found["faint/moved"], rtol=0.02
    )
    assert found["faint, bfloat16/scale"] == 1


@pytest.mark.parametrize("arm", ARMS)
def test_a_step_whose_scaled_gradients_are_infinite_is_left_out(sides, arm):
    """The loss itself is finite, and without scaling it would have been a step."""
    found, _ = sides[arm]
    assert np.isfinite(found["loud/loss"])
    assert found["loud, unscaled/moved"].any()
    assert not found["loud/moved"].any()
    assert found["loud/scale"] == {"pytorch": 32_768, "keras": 16_384}[arm]
