"""The GPUs of this machine, and the reasons why arms cannot use one of them."""

import platform
import shutil
import subprocess
from collections.abc import Sequence

from bench.records import GpuRecord
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


class NoGpuError(Exception):
    """Reason why the arms cannot all use one GPU, and what to do about it."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(f"{reason}. {remedy}".strip())
        self.reason = reason
        self.remedy = remedy


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


def pick_gpu(
    gpus: list[GpuRecord], number: int | None, visible: str | None
) -> GpuRecord:
    """Return GPU `number`, or the first of those that CUDA_VISIBLE_DEVICES leaves.

    Raises:
        NoGpuError: `visible`, the value of this variable, leaves none.
        UserError: there is no GPU of this number.
    """
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


def require_usable(gpu: GpuRecord) -> None:
    """Check what nvidia-smi says of a GPU, before a framework is asked.

    Raises:
        NoGpuError: it is too old, divided, or taken by another process.
    """
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


def require_support(arm: str, answer: GpuSupport, gpu: GpuRecord) -> None:
    """Check that an arm has used a GPU.

    Raises:
        NoGpuError: it could not; the message names the cause that can be mended.
    """
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
