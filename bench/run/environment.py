"""Describe the machine and the versions with which a run measured its numbers."""

import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import psutil

from bench.processes.worker_process import ENVIRONMENT
from bench.records import EnvironmentRecord, MachineState
from bench.run.devices import CPU, Device
from shared.machine import num_cores

PACKAGES = (
    "torch", "torchvision", "tensorflow", "keras", "jax", "onnx", "onnxruntime",
    "onnxscript", "tf2onnx", "numpy", "pillow", "safetensors", "h5py", "scipy",
)  # fmt: skip


def describe_environment(
    threads: dict[str, int | None],
    variables: dict[str, str] = ENVIRONMENT,
    device: Device = CPU,
) -> EnvironmentRecord:
    """Describe this machine.

    Args:
        threads: number of threads of each arm.
        variables: environment variables that are set for every arm.
        device: the device of all arms.
    """
    return EnvironmentRecord(
        python=platform.python_version(),
        platform=platform.platform(),
        cpu=_cpu_name(),
        cpu_count=num_cores(),
        memory_bytes=psutil.virtual_memory().total,
        gpu=device.gpu.name if device.gpu else None,
        gpu_details=device.gpu,
        gpu_support=device.support if device.gpu else {},
        packages={name: version for name in PACKAGES if (version := _version(name))},
        threads=threads,
        variables=variables | device.variables,
        commit=_commit(),
    )


def describe_state(device: Device) -> MachineState:
    """Read load, clocks and temperatures now; of the GPU, if the arms use one."""
    clock = psutil.cpu_freq()
    gpu = device.gpu and _output(
        *("nvidia-smi", "-i", device.gpu.uuid),
        "--query-gpu=clocks.sm,temperature.gpu",
        "--format=csv,noheader,nounits",
    )
    gpu_mhz, gpu_celsius = map(_number, gpu.split(",")) if gpu else (None, None)
    return MachineState(
        load_average=psutil.getloadavg()[0],
        cpu_mhz=clock.current if clock else None,
        cpu_celsius=_cpu_celsius(),
        gpu_mhz=gpu_mhz,
        gpu_celsius=gpu_celsius,
    )


def _number(text: str) -> float | None:
    """Return a number that nvidia-smi printed, or None for "[N/A]"."""
    try:
        return float(text)
    except ValueError:
        return None


def _cpu_celsius() -> float | None:
    """Return the highest temperature of the processor, °C, or None without a sensor."""
    if not hasattr(psutil, "sensors_temperatures"):  # macOS
        return None
    sensors = psutil.sensors_temperatures()
    names = ("coretemp", "k10temp", "zenpower", "cpu_thermal")
    found = [sensor.current for name in names for sensor in sensors.get(name, [])]
    return max(found, default=None)


def _cpu_name() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of this checkout, with a mark if files differ from it."""
    here = str(Path(__file__).parent.parent)
    commit = _output("git", "-C", here, "rev-parse", "HEAD")
    changed = _output("git", "-C", here, "status", "--porcelain", "-uno")
    return f"{commit} with changes" if commit and changed else commit


def _output(*command: str) -> str | None:
    """Return the first line that a program prints, or None if it fails."""
    if not shutil.which(command[0]):
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip().split("\n")[0] or None if done.returncode == 0 else None
