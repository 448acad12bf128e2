"""The numbers of the difference ledger: each probe finds what its entry says."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.processes.arms import ARMS, PAIR
from bench.processes.request import Inputs, ProbeDifferences
from bench.processes.worker_process import run_worker
from bench.studies.difference_sizes import PROBES, measure
from shared.config import make_config
from shared.data.folders import link_images
from shared.model.weights import Arrays

PACKAGES = [ARMS[arm] for arm in PAIR]
ROOT = Path(__file__).parents[3]
LIMIT_S = 1800

# What holds on any machine; the measured values lie well inside.
RANGES = {
    "D01": (156, 156),
    "D02": (1, 50),
    "D03": (5, 100),
    "D04": (10, 120),
    "D05": (5, 200),
    "D06": (20, 200),
    "D07": (2.2, 2.5),
    "D08": (0.3, 30),
    "D09": (30, 1000),
    "D10": (0.5, 50),
    "D11": (3, 60),
    "D12": (8, 10),
    "D13": (1, 20),
    "D14": (15, 30),
    "D15": (1, 49),
    "D16": (1e-6, 0.1),
    "D17": (28, 36),
    "D18": (0.5, 2),
    "D19": (1, 1),
    "D20": (20, 1000),
    "D21": (1e4, 1e8),
    "D22": (1e-3, 1),
    "D23": (0.2, 0.3),
    "D24": (1, 6),
    "D25": (38, 48),
    "D26": (30, 70),
    "D27": (104, 104),
    "D28": (0.1, 0.3),
    "D29": (99.9, 100),
    "D32": (5, 6),
    "D33": (8, 8),
    "D34": (0.05, 60),
    "D36": (0.01, 20),
    "D37": (0.5, 50),
    "D38": (10, 40),
    "D39": (0.05, 20),
    "D40": (10, 1000),
    "D41": (1, 1),
    "D42": (2, 2),
    "D43": (1.999, 2.001),
    "D44": (40, 60),
    "D45": (1, 200),
    "D46": (1.999, 2.001),
    "D47": (50, 100),
}
TIMED = "D35"  # any ratio of times is possible somewhere
NOT_PROBED = {"D30", "D31"}  # they change time alone


def probes_in(package: str) -> dict[str, str]:
    """Ids and names of the functions in a side's PROBES."""
    tree = ast.parse((ROOT / package / "differences/probes.py").read_text())
    (table,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and node.target.id == "PROBES"
    )
    return {
        key.value: value.id for key, value in zip(table.keys, table.values, strict=True)
    }


def test_every_entry_of_the_document_has_a_probe():
    document = (ROOT / "docs" / "differences.md").read_text()
    documented = re.findall(r"^## (D\d\d) ", document, re.MULTILINE)
    pytorch, keras = (probes_in(package) for package in PACKAGES)
    assert pytorch == keras
    assert list(PROBES) == documented
    probed = [difference for difference in documented if difference not in NOT_PROBED]
    assert list(pytorch) == sorted([*RANGES, TIMED]) == probed


@pytest.mark.parametrize("package", PACKAGES)
def test_first_word_of_a_probe_is_its_id(package):
    tree = ast.parse((ROOT / package / "differences/probes.py").read_text())
    functions = {f.name: f for f in tree.body if isinstance(f, ast.FunctionDef)}
    for difference, name in probes_in(package).items():
        assert ast.get_docstring(functions[name]).startswith(f"[{difference}] ")


def test_what_this_machine_lacks_is_the_reason():
    found = measure({"pytorch": {"D19/on_gpu": np.array(False)}, "keras": {}}, ("D19",))
    assert found["D19"].value is None
    assert found["D19"].reason == "needs a GPU"


def test_a_ratio_of_times_is_keras_over_pytorch():
    seconds = {"pytorch": 2.0, "keras": 6.0}
    arrays = {a: {f"{TIMED}/seconds": np.array(s)} for a, s in seconds.items()}
    assert measure(arrays, (TIMED,))[TIMED].value == 3


def test_a_probe_that_needs_nothing_may_not_come_back_empty():
    with pytest.raises(ValueError, match="D02"):
        measure({"pytorch": {}, "keras": {}}, ("D02",))


@pytest.fixture(scope="module")
def probed(real_images, real_weights, tmp_path_factory) -> dict[str, Arrays]:
    """What both workers store for all probes."""
    found = {}
    for arm in PAIR:
        request = ProbeDifferences(
            arm=arm,
            config=make_config(),
            scratch=tmp_path_factory.mktemp(arm),
            inputs=Inputs(
                data=real_images.folder,
                weights=real_weights,
                folders=link_images(real_images, tmp_path_factory.mktemp("images")),
            ),
        )
        done = run_worker(request, lambda event: None, LIMIT_S)  # noqa: ARG005
        found[arm] = dict(np.load(done["path"]))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("difference", RANGES)
def test_probe_finds_the_difference(probed, difference):
    record = measure(probed, (difference,))[difference]
    low, high = RANGES[difference]
    if record.value is None:
        assert PROBES[difference].needs
        assert record.reason == PROBES[difference].needs
        lacking = ("D19", "D21", "D22", "D34")  # the photos are there
        assert difference in lacking
    else:
        assert low <= record.value <= high


@pytest.mark.slow
@pytest.mark.parametrize("difference", RANGES)
def test_equal_sides_are_out_of_range(probed, difference):
    """Planted: Keras does what PyTorch does."""
    pytorch = dict(probed["pytorch"])
    pytorch["D16/compiled"] = pytorch["D16/features"]
    record = measure({"pytorch": pytorch, "keras": pytorch}, (difference,))[difference]
    low, high = RANGES[difference]
    assert record.value is None or not low <= record.value <= high


@pytest.mark.slow
def test_both_sides_time_a_convolution(probed):
    assert all(probed[arm][f"{TIMED}/seconds"] > 0 for arm in PAIR)


@pytest.mark.slow
def test_which_side_moves_its_buffers(probed):
    moved = {
        (arm, difference): probed[arm][f"{difference}/moved"]
        for arm in PAIR
        for difference in ("D01", "D27")
    }
    assert moved["pytorch", "D01"].all()
    assert not moved["keras", "D01"].any()
    assert not moved["pytorch", "D27"].any()
    assert moved["keras", "D27"].all()


@pytest.mark.slow
def test_accurate_decoding_gives_the_same_pixels(probed):
    """[D18]"""
    photos = [name for name in probed["pytorch"] if name.startswith("D18/")]
    assert len(photos) > 5
    for name in photos:
        accurate = probed["keras"][name.replace("D18/", "D18/accurate/")]
        np.testing.assert_array_equal(accurate, probed["pytorch"][name])


EXPORT = """
import sys, onnxruntime, torch
from torch import nn

images = 3 * torch.randn(8, 3) + 1
norm, dropout = nn.BatchNorm1d(3), nn.Dropout(0.5)
for network in (norm, dropout):
    torch.onnx.export(network.train(), (images,), sys.argv[1], verbose=False)
    session = onnxruntime.InferenceSession(sys.argv[1])
    (exported,) = session.run(None, {"input": images.numpy()})
    print(torch.allclose(torch.from_numpy(exported), network.eval()(images)))
"""


@pytest.mark.slow
def test_an_export_from_training_mode_drops_units(tmp_path):
    """[D20] Its batch norm is in inference mode, its dropout is not."""
    command = [sys.executable, "-c", EXPORT, f"{tmp_path / 'network.onnx'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-2:] == ["True", "False"]


@pytest.mark.slow
def test_brightness_of_bytes_wraps_around(probed):
    """[D38]"""
    right, wrapped = (probed["keras"][f"D38/{name}"] for name in ("images", "wrapped"))
    assert wrapped.dtype == np.uint8
    assert right.max() == 255
    np.testing.assert_array_equal(wrapped[right < 255], right[right < 255])
    assert wrapped[right == 255].mean() < 100


@pytest.mark.slow
@pytest.mark.parametrize("arm", PAIR)
def test_freed_memory_changes_no_number(probed, arm):
    """[D21]"""
    found = probed[arm]
    np.testing.assert_array_equal(found["D21/glibc/features"], found["D21/features"])
