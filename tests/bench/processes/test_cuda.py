"""TensorFlow's worker alone sees its CUDA libraries, and sees them before PyTorch's."""

import _ctypes
import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from bench.processes import cuda
from bench.processes.arms import ARMS
from bench.processes.request import Load
from bench.processes.worker_process import WorkerProcess
from shared.config import make_config

# Lets TensorFlow's own function open cuDNN, as it does once it has found a GPU, and
# prints the file that was opened.
OPEN_CUDNN = """
import ctypes, sys
status = (ctypes.c_char * 64)()
library = ctypes.CDLL(sys.argv[1])
library._ZN3tsl8internal9DsoLoader17GetCudnnDsoHandleEv(status)
paths = {line.split()[-1] for line in open("/proc/self/maps") if "libcudnn.so" in line}
print(*paths)
"""
CUDNN = "nvidia/cudnn/lib/libcudnn.so.9"


@pytest.fixture
def nvidia(tmp_path, monkeypatch) -> Path:
    """A folder such as `install.py` makes, with a library that does nothing."""
    for package in ("cudnn", "cublas", "nccl"):
        (tmp_path / "tensorflow-cuda/nvidia" / package / "lib").mkdir(parents=True)
    (tmp_path / "tensorflow-cuda.lock").touch()
    monkeypatch.setattr(cuda, "FOLDER", tmp_path / "tensorflow-cuda")
    monkeypatch.setattr(cuda, "INSTALLED", tmp_path / "tensorflow-cuda.lock")
    return tmp_path / "tensorflow-cuda/nvidia"


@pytest.mark.parametrize("present", [None, "", "/usr/local/cuda/lib64"])
def test_own_folders_come_first(nvidia, monkeypatch, present):
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    if present is not None:
        monkeypatch.setenv("LD_LIBRARY_PATH", present)
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_autotune_level=0")
    found = cuda.find_cuda_variables("keras")
    own = [f"{nvidia}/{package}/lib" for package in ("cublas", "cudnn", "nccl")]
    others = [present] if present else []  # an empty part would be the working folder
    assert found["LD_LIBRARY_PATH"].split(":") == own + others
    assert found["PATH"] == f"{nvidia}/cuda_nvcc/bin:{os.environ['PATH']}"
    assert found["XLA_FLAGS"] == (
        f'--xla_gpu_cuda_data_dir="{nvidia}/cuda_nvcc" --xla_gpu_autotune_level=0'
    )


@pytest.mark.parametrize("arm", ARMS)
def test_only_tensorflows_worker_sees_them(nvidia, monkeypatch, tmp_path, arm):
    started = []

    def start(*_: object, env: dict[str, str], **__: object) -> None:
        started.append(env)
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "Popen", start)
    request = Load(arm=arm, config=make_config(), scratch=tmp_path)
    with WorkerProcess() as worker, pytest.raises(FileNotFoundError):
        worker.do(request, print, time_limit_s=60)
    (environment,) = started
    assert any(str(nvidia) in v for v in environment.values()) == (arm == "keras")


@pytest.mark.usefixtures("nvidia")
def test_half_an_installation_is_not_used():
    assert cuda.find_cuda_variables("keras")
    cuda.INSTALLED.unlink()
    assert cuda.find_cuda_variables("keras") == {}


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="TensorFlow has CUDA code for x86-64 Linux alone",
)
def test_tensorflow_opens_its_own_cudnn(nvidia, monkeypatch):
    library = distribution("tensorflow").locate_file(
        "tensorflow/libtensorflow_framework.so.2"
    )
    own = nvidia.parent / CUDNN
    shutil.copy(_ctypes.__file__, own)  # any library that can be loaded
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    found = []
    for variables in ({}, cuda.find_cuda_variables("keras")):
        command = [sys.executable, "-c", OPEN_CUDNN, str(library)]
        environment = os.environ | variables
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        )
        found.append(Path(done.stdout.strip()))
    pytorchs = Path(str(distribution("torch").locate_file(CUDNN)))
    assert found == [pytorchs.resolve(), own.resolve()]
