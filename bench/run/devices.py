"""Choose one device for all arms of a run: an NVIDIA GPU that each of them can use."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.processes.request import DescribeGpu
from bench.processes.worker_process import (
    ENVIRONMENT,
    ArmFailed,
    Environment,
    run_worker,
    together_by_name,
)
from bench.records import GpuRecord
from bench.run.gpus import (
    NoGpuError,
    find_gpus,
    pick_gpu,
    require_support,
    require_usable,
)
from shared.config import Config
from shared.errors import UserError
from shared.gpu import GpuSupport

# TensorFlow has no finished code for new GPUs. The driver compiles it when a program
# first runs, which takes many minutes, and keeps it if this cache has room. The cache
# can have 4 GiB at most.
ASK_LIMIT_S = 3600
PTX_CACHE_BYTES = str(4 * 2**30)


@dataclass(frozen=True)
class Device:
    """The device that all arms compute on.

    Attributes:
        gpu: None for the CPU.
        support: what each arm says about the GPU.
        why: one sentence for the person who reads the run.
    """

    gpu: GpuRecord | None = None
    support: dict[str, GpuSupport] = field(default_factory=dict)
    why: str = ""

    @property
    def kind(self) -> str:
        """Return "cpu" or "cuda", as `Config.device` has it."""
        return "cuda" if self.gpu else "cpu"

    @property
    def variables(self) -> Environment:
        """Return the environment variables of workers, which see this GPU alone."""
        if not self.gpu:
            return {}  # a worker sees no GPU unless it is told of one
        return {
            "CUDA_VISIBLE_DEVICES": self.gpu.uuid,
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # as nvidia-smi counts
            "CUDA_CACHE_MAXSIZE": os.environ.get("CUDA_CACHE_MAXSIZE", PTX_CACHE_BYTES),
            "KERAS_TORCH_DEVICE": "cuda",
        }


CPU = Device()


def choose_device(
    config: Config,
    number: int | None,
    arms: Sequence[str],
    say: Callable[[str], object],
) -> Device:
    """Choose the device for all arms, and say which one it is, and what each arm says.

    Without an NVIDIA driver, no arm is asked and no process is started.

    Args:
        number: the GPU to take, as nvidia-smi counts; None takes the first.
        say: prints a line.

    Raises:
        UserError: a GPU was asked for, and an arm cannot use it.
    """
    device = _choose(config.device, number, arms)
    say(f"device: {device.why}")
    for arm, answer in device.support.items():
        said = answer.problem or f"CUDA {answer.cuda}, cuDNN {answer.cudnn}"
        say(f"{arm}: {said}")
    return device


def _choose(wanted: str, number: int | None, arms: Sequence[str]) -> Device:
    if wanted == "cpu":
        if number is not None:
            raise UserError(f"--gpu {number} --device cpu: leave out one of them.")
        return Device(why="all arms use the CPU, as --device cpu asks")
    support: dict[str, GpuSupport] = {}
    try:
        gpu = pick_gpu(find_gpus(), number, os.environ.get("CUDA_VISIBLE_DEVICES"))
        require_usable(gpu)
        found = Device(gpu)
        support |= together_by_name({arm: partial(ask, arm, found) for arm in arms})
        for arm, answer in support.items():
            require_support(arm, answer, gpu)
    except NoGpuError as error:
        if wanted == "cuda" or number is not None:
            option = "--device cuda" if number is None else f"--gpu {number}"
            raise UserError(f"{option}: {error} --device cpu needs no GPU.") from error
        why = f"{error.reason}, so all arms use the CPU"
        why += f". {error.remedy}" if error.remedy else ""
        return Device(support=support, why=why)
    name = f"{gpu.name} (GPU {gpu.index}, {gpu.uuid})"
    return Device(gpu, support, f"all arms use the {name}")


def ask(arm: str, device: Device) -> GpuSupport:
    """Let an arm try the GPU in a process of its own, and return what came of it."""
    with tempfile.TemporaryDirectory() as scratch:
        request = DescribeGpu(arm=arm, config=Config(), scratch=Path(scratch))
        variables = ENVIRONMENT | device.variables
        try:
            done = run_worker(request, lambda _event: None, ASK_LIMIT_S, variables)
        except ArmFailed as reason:
            remedy = "`python -m bench doctor` checks the packages."
            return GpuSupport(problem=str(reason), remedy=remedy)
    return GpuSupport.model_validate(done["gpu"])
