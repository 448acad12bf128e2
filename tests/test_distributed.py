"""More than one device: the same losses as with one, and one message when it fails."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from shared.program import read_history

ROOT = Path(__file__).parents[1]
SIDE = "tests.distributed_side"
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node")


def call(*command: object, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def start_processes(count: int) -> tuple:
    """The beginning of a command line, for one process without torchrun too."""
    return (*TORCHRUN, count) if count else (sys.executable,)


@pytest.fixture(scope="module")
def pytorch(tmp_path_factory) -> dict[int, Path]:
    """Folders of trainings, by the number of processes; 0 is one without torchrun."""
    folders = {count: tmp_path_factory.mktemp(f"pytorch-{count}") for count in range(3)}
    for count, folder in folders.items():
        done = call(*start_processes(count), "-m", SIDE, "pytorch", count, folder)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("Epoch 1/3") == 2  # of two trainings
    return folders


@pytest.fixture(scope="module", params=["tensorflow", "jax"])
def keras(request, tmp_path_factory) -> dict[int, Path]:
    """Folders of trainings on a backend, by the number of devices."""
    folders = {count: tmp_path_factory.mktemp(f"keras-{count}") for count in (1, 2)}
    for count, folder in folders.items():
        command = (sys.executable, "-m", SIDE, "keras", count, folder)
        done = call(*command, KERAS_BACKEND=request.param)
        assert done.returncode == 0, done.stdout + done.stderr
    return folders


def results(folder: Path) -> np.ndarray:
    """Losses and accuracies of all epochs."""
    found = np.array([epoch[1:-1] for epoch in read_history(folder)])
    assert found.shape == (3, 4)
    assert np.ptp(found[:, 0]) > 0.1  # something is learned
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("one", "name"), [(0, "ordered"), (1, "shuffled")])
def test_two_processes_train_as_one(pytorch, one, name):
    """Half of each batch each; the validation's last batches are not equally large."""
    expected, found = (results(pytorch[count] / name) for count in (one, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.slow
def test_two_devices_of_keras_train_as_one(keras):
    expected, found = (results(keras[count] / "ordered") for count in (1, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    for count in (1, 2):
        used = (keras[count] / "used").read_text()
        assert used == f"{count} in the training, 1 afterwards"


@pytest.mark.slow
def test_each_process_has_its_share_of_the_images(pytorch):
    first, second = (
        json.loads((pytorch[2] / f"shares-{rank}.json").read_text()) for rank in (0, 1)
    )
    assert sorted(first["validation"] + second["validation"]) == [*range(45)]
    for epoch in ("epoch 1", "epoch 2"):
        assert sorted(first[epoch] + second[epoch]) == [*range(64)]
    assert first["epoch 1"] != first["epoch 2"]
    padded = first["padded"] + second["padded"]
    assert len(first["padded"]) == len(second["padded"]) == 27
    assert {*padded} == {*range(53)}
    assert first["random"] != second["random"]
    # Without torchrun, nothing is shared.
    alone = json.loads((pytorch[0] / "shares-0.json").read_text())
    assert len(alone["validation"]) == 45


@pytest.mark.slow
def test_only_the_first_process_goes_on_after_the_training(pytorch):
    finished = sorted(path.name for path in pytorch[2].glob("finished-*"))
    assert finished == ["finished-0"]


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_lost_process_ends_the_run_with_one_message(
    few_photos, real_weights, tmp_path, rank
):
    inputs = ("--data", few_photos, "--weights", real_weights, "--output", tmp_path)
    command = [*TORCHRUN, 2, "-m", "pytorch_impl", *inputs, "--epochs", 50]
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.startswith("Epoch 1/"):
            break
    for child in psutil.Process(process.pid).children():
        if child.environ().get("RANK") == str(rank):
            child.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode not in (0, None), errors
    assert errors.count("Error: torchrun has ended all processes") == 1, errors
    assert "[rank" not in errors  # a traceback of ours


ONE_GPU = """
import torch
torch.cuda.device_count = lambda: 1
from pytorch_impl.distributed import join_processes, report_once
from shared.program import run
run(report_once(lambda: join_processes("cuda")))
"""


@pytest.mark.slow
def test_more_processes_than_gpus(tmp_path):
    program = tmp_path / "one_gpu.py"
    program.write_text(ONE_GPU)
    done = call(*TORCHRUN, 2, program, PYTHONPATH=str(ROOT))
    assert done.returncode not in (0, None)
    message = "Error: torchrun starts 2 processes on this machine, and PyTorch finds"
    assert done.stderr.count(message) == 1, done.stderr


@pytest.mark.slow
def test_processes_that_cannot_share_a_batch(few_photos, real_weights, tmp_path):
    inputs = ("--data", few_photos, "--weights", real_weights, "--output", tmp_path)
    done = call(*TORCHRUN, 3, "-m", "pytorch_impl", *inputs)
    assert done.returncode not in (0, None)
    assert done.stderr.count("which cannot share a batch of 32") == 1, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "backend", "message"),
    [
        (("--devices", 3), "tensorflow", "cannot share a batch of 32"),
        (("--devices", 16), "tensorflow", "train/ has 42 images"),
        (("--devices", 2, "--limit", 35), "tensorflow", "validation/ has 15 images"),
        (("--devices", 2, "--limit", 35), "jax", "train/ has 35 images"),
    ],
)
def test_devices_that_cannot_share_the_images(
    few_photos, tmp_path, options, backend, message
):
    inputs = ("--data", few_photos, "--output", tmp_path, "--device", "cpu", *options)
    command = (sys.executable, "-m", "keras_impl", *inputs)
    done = call(*command, KERAS_BACKEND=backend)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_more_devices_than_gpus():
    code = (
        "from keras_impl.distributed import prepare_devices; from shared.program import"
        " run; run(lambda: prepare_devices('cuda', 2))"
    )
    done = call(sys.executable, "-c", code)
    assert done.returncode == 2
    assert "--devices 2: tensorflow finds only" in done.stderr.splitlines()[-1]
