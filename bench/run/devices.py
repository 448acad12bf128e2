"""Choose one device for all arms of a run: an NVIDIA GPU that each of them can use."""

import os
import platform
import shutil
import subprocess
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
from shared.config import Config
from shared.errors import UserError
from shared.gpu import GpuSupport

FIELDS = (
    "index", "uuid", "name", "driver_version", "compute_cap", "memory.total",
    "memory.used", "mig.mode.current",
)  # fmt: skip
HIDING = ("", "-1", "NoDevFiles")  # values of CUDA_VISIBLE_DEVICES
# The oldest GPU that the wheels of PyTorch and of TensorFlow both have code for.
MIN_CAPABILITY = (7, 5)
# Oldest driver for each version of CUDA, from NVIDIA's "CUDA Compatibility".
MIN_DRIVERS = {"12": 525, "13": 580}
# A framework takes about 0.6 GiB to begin with, and a batch through the network more.
MIN_FREE_MIB = 2048
SMI_LIMIT_S = 60
# TensorFlow has no finished code for new GPUs. The driver compiles it when a program
# first runs, which takes many minutes, and keeps it if this cache has room. The cache
# can have 4 GiB at most.
ASK_LIMIT_S = 3600
PTX_CACHE_BYTES = str(4 * 2**30)


class NoGpuError(Exception):
    """Reason why the arms cannot all use one GPU, and what to do about it."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(f"{reason}. {remedy}".strip())
        self.reason = reason
        self.remedy = remedy


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
        gpu = _pick(find_gpus(), number, os.environ.get("CUDA_VISIBLE_DEVICES"))
        _require_usable(gpu)
        found = Device(gpu)
        support |= together_by_name({arm: partial(ask, arm, found) for arm in arms})
        for arm, answer in support.items():
            _require_support(arm, answer, gpu)
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


def find_gpus() -> list[GpuRecord]:
    """Return the GPUs that nvidia-smi lists.

    Raises:
        NoGpuError: there is no driver, or it has no GPU.
    """
    if platform.system() == "Darwin":
        raise NoGpuError("Apple's GPUs (MPS) are not supported")
    if not shutil.which("nvidia-smi"):
        raise NoGpuError("no NVIDIA driver was found")
    query = f"--query-gpu={','.join(FIELDS)}"
    try:
        done = subprocess.run(
            ["nvidia-smi", query, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            check=False,
            timeout=SMI_LIMIT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoGpuError(f"nvidia-smi does not answer ({error})") from error
    lines = (done.stdout + done.stderr).strip().splitlines()
    if done.returncode or not lines:
        said = lines[0].rstrip(".") if lines else f"exit status {done.returncode}"
        remedy = "Install the NVIDIA driver again, or a newer one."
        raise NoGpuError(f"nvidia-smi fails ({said})", remedy)
    try:
        return [_read(line) for line in done.stdout.strip().splitlines()]
    except ValueError as error:  # of a GPU that has failed, for example
        raise NoGpuError(f"nvidia-smi describes no GPU ({lines[0]})") from error


def _read(line: str) -> GpuRecord:
    """Read a line of nvidia-smi, which prints [N/A] for what a GPU does not have."""
    index, uuid, name, driver, capability, total, used, mig = line.split(", ")
    return GpuRecord(
        index=int(index),
        uuid=uuid,
        name=name,
        driver=driver,
        compute_capability=capability,
        memory_mib=int(total) if total.isdigit() else None,
        used_mib=int(used) if used.isdigit() else None,
        is_divided=mig == "Enabled",
    )


def _pick(gpus: list[GpuRecord], number: int | None, visible: str | None) -> GpuRecord:
    """Return GPU `number`, or the first of those that CUDA_VISIBLE_DEVICES leaves."""
    known = ", ".join(f"{gpu.index} ({gpu.name})" for gpu in gpus)
    allowed = gpus
    if visible is not None:
        setting = f'CUDA_VISIBLE_DEVICES="{visible}"'
        if visible in HIDING:
            raise NoGpuError(f"{setting} hides every GPU", "Unset it to use one.")
        allowed = [gpu for name in visible.split(",") for gpu in gpus if gpu.is_(name)]
        if len(allowed) < len(visible.split(",")):
            what = "part of a GPU (MIG)" if "MIG-" in visible else "no GPU that exists"
            raise NoGpuError(f"{setting} names {what}", f"nvidia-smi lists: {known}.")
    if number is None:
        return allowed[0]
    for gpu in allowed:
        if gpu.index == number:
            return gpu
    raise UserError(
        f"--gpu {number}: there is no such GPU. Allowed are "
        f"{', '.join(str(gpu.index) for gpu in allowed)}; nvidia-smi lists: {known}."
    )


def _require_usable(gpu: GpuRecord) -> None:
    """Check what nvidia-smi says of a GPU, before a framework is asked."""
    what, other = f"GPU {gpu.index} ({gpu.name})", "choose another GPU with --gpu"
    if gpu.is_divided:
        raise NoGpuError(
            f"{what} is divided by MIG, which this benchmark cannot choose from",
            f"Turn it off with `nvidia-smi -i {gpu.index} -mig 0`, or {other}.",
        )
    if gpu.capability < MIN_CAPABILITY:
        oldest = ".".join(map(str, MIN_CAPABILITY))
        raise NoGpuError(
            f"{what} has compute capability {gpu.compute_capability}, and PyTorch and "
            f"TensorFlow both have code only for {oldest} and newer",
            f"If there is a newer one, {other}.",
        )
    if gpu.memory_mib is None or gpu.used_mib is None:
        return
    free = gpu.memory_mib - gpu.used_mib
    if free < MIN_FREE_MIB:
        raise NoGpuError(
            f"only {free} of {gpu.memory_mib} MiB of {what} are free, and the arms "
            f"need {MIN_FREE_MIB}: another process holds the rest",
            f"nvidia-smi names the process. Wait until it ends, or {other}.",
        )


def _require_support(arm: str, answer: GpuSupport, gpu: GpuRecord) -> None:
    """Check that an arm has used a GPU, and find the cause if it has not."""
    if not answer.problem:
        return
    oldest = MIN_DRIVERS.get((answer.cuda or "").split(".")[0], 0)
    if int(gpu.driver.split(".")[0]) < oldest:
        raise NoGpuError(
            f"{arm}: the driver {gpu.driver} is too old for CUDA {answer.cuda}",
            f"Update the NVIDIA driver to {oldest} or newer.",
        )
    if not serves(answer.architectures, gpu.capability):
        raise NoGpuError(
            f"{arm}: this version has no code for {gpu.name} (compute capability "
            f"{gpu.compute_capability}), only for {', '.join(answer.architectures)}",
            "Install a version that has, or choose another GPU with --gpu.",
        )
    raise NoGpuError(f"{arm}: {answer.problem.rstrip('.')}", answer.remedy)


def serves(architectures: Sequence[str], capability: tuple[int, int]) -> bool:
    """Return whether a build has code for a compute capability, such as (9, 0).

    Finished code ("sm_86") runs on GPUs of the same generation that are not older; a
    program for the driver's compiler ("compute_90") on all that are not older. The
    source is NVIDIA's "CUDA C++ Programming Guide", chapter "Binary compatibility".
    """
    for name in architectures:
        kind, digits = name.rstrip("af").split("_")
        major, minor = int(digits[:-1]), int(digits[-1])
        newer = capability >= (major, minor)
        if newer and (kind == "compute" or capability[0] == major):
            return True
    return not architectures  # an arm that does not say has to try
