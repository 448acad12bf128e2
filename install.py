"""Make a virtual environment, and give its arms the libraries that they need for a GPU.

`make setup` and `make test-oldest` run this file.

uv installs the packages of a lock file, since it is much faster than pip. It does
not read pip's settings, so this file passes them on. Where pip's settings say what uv
cannot do, where uv fails, or where pip is asked for, pip does the work.

This file needs nothing but Python's standard library.
"""

import argparse
import ast
import ctypes
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

DISK_GB = 9
PLAN = (
    f"Set-up: about 3 GB to download and {DISK_GB} GB of disk for {{folder}}; two to "
    "five minutes on a fast network. `make clean` takes it away again."
)
HASHED = ("install", "--require-hashes", "-r")


class Addition(NamedTuple):
    """What an arm needs for a GPU and `requirements.lock` does not have.

    Attributes:
        folder: where it goes within the environment; None for among the packages.
    """

    what: str
    lock: str
    folder: str | None
    download_gb: float
    disk_gb: float


# PyTorch's wheels bring CUDA 13, which JAX can share. TensorFlow needs CUDA 12, whose
# packages would overwrite files of PyTorch's, such as nvidia/cudnn/lib/libcudnn.so.9.
# They go into a folder that only TensorFlow's process sees (bench/processes/cuda.py).
CUDA_NEEDED = 13_000  # 1000 times the major version and 10 times the minor one
ADDITIONS = {
    "keras": Addition(
        "TensorFlow's CUDA 12 libraries",
        "tensorflow-cuda.lock",
        folder="tensorflow-cuda",
        download_gb=2.9,
        disk_gb=4.5,
    ),
    "keras-jax": Addition(
        "JAX's CUDA 13 plugin",
        "jax-cuda.lock",
        folder=None,
        download_gb=0.3,
        disk_gb=0.8,
    ),
}

# pip's options, and the variables that tell uv the same.
UV_VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}
# pip's options that change nothing about what is installed.
HARMLESS = {
    "break-system-packages",
    "cache-dir",
    "config-file",
    "disable-pip-version-check",
    "no-cache-dir",
    "no-color",
    "no-index",  # passed on as an option
    "no-input",
    "no-python-version-warning",
    "no-warn-script-location",
    "prefer-binary",
    "progress-bar",
    "quiet",
    "require-virtualenv",
    "retries",
    "root-user-action",
    "verbose",
}


def read_pip_settings(python: Path) -> dict[str, str]:
    """pip's settings by option, from its files and from variables, which go first."""
    command = [python, "-m", "pip", "config", "list"]
    loud = os.environ | {"PIP_QUIET": "0"}  # a quiet pip would list nothing
    done = subprocess.run(
        command, env=loud, stdout=subprocess.PIPE, text=True, check=False
    )
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in done.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.partition(".")
        if section in sections and ast.literal_eval(value):
            sections[section][option] = ast.literal_eval(value)
    return sections["global"] | sections["install"] | sections[":env:"]


def translate_settings(settings: dict[str, str]) -> dict[str, str]:
    """Variables that tell uv where pip looks for packages, and how it gets there."""
    variables = {}
    for option, value in settings.items():
        if option in UV_VARIABLES:
            separator = "," if option == "find-links" else " "
            variables[UV_VARIABLES[option]] = separator.join(value.split())
    if "extra-index-url" in settings:
        # As pip does: the pinned version from whichever index has it.
        variables["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return variables


def run(*command: str | Path, **variables: str) -> bool:
    """Run a command whose output the user sees; returns whether it worked."""
    environment = os.environ | variables
    return subprocess.run(command, env=environment, check=False).returncode == 0


def install_with_uv(folder: Path, lock: str, *options: str | Path) -> bool:
    """Install uv, and with it the packages; returns whether both worked."""
    python, cache = folder / "bin/python", folder / "uv-cache"
    settings = read_pip_settings(python)
    if foreign := sorted(settings.keys() - UV_VARIABLES.keys() - HARMLESS):
        print(f"pip's settings say {', '.join(foreign)}, which uv would not follow.")
        return False
    if not run(python, "-m", "pip", *HASHED, "setup.lock", "--retries", "1"):
        return False
    # In its usual place uv's cache would outlive `make clean`, with all the packages.
    variables = translate_settings(settings) | {"UV_CACHE_DIR": str(cache)}
    variables = {n: v for n, v in variables.items() if n not in os.environ}
    command = [python, "-m", "uv", "pip", *HASHED, lock, *options]
    command += ["--python", python]
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):  # as in many containers
        # Otherwise every process would compile the frameworks anew.
        command += ["--compile-bytecode"]
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        command += ["--no-index"]
    if not run(*command, **variables):
        return False
    shutil.rmtree(cache, ignore_errors=True)
    return True


def install_packages(
    folder: Path, installer: str, lock: str, *options: str | Path
) -> None:
    """Install the packages of a lock into an environment; exits where that fails."""
    if installer == "uv":
        if install_with_uv(folder, lock, *options):
            return
        print("pip installs instead, which takes longer.", flush=True)
    if not run(folder / "bin/python", "-m", "pip", *HASHED, lock, *options):
        sys.exit(
            "The packages could not be installed, see above. `pip config list` shows "
            "which package index was asked. Run the same command again to go on."
        )


def require_space(folder: Path, gigabytes: float) -> None:
    """Exit if the disk of a folder, which need not exist yet, is nearly full."""
    free = shutil.disk_usage(folder.absolute().parent).free
    if free < gigabytes * 1e9:
        sys.exit(f"{folder}: only {free / 1e9:.1f} GB are free there.")


def make_environment(folder: Path, installer: str, lock: str) -> None:
    """Make the environment, or bring it up to date; exits where that fails."""
    print(PLAN.format(folder=folder), flush=True)
    if not folder.exists():
        require_space(folder, DISK_GB)
    if not run(sys.executable, "-m", "venv", folder):
        sys.exit(f"{folder}: Python could not make a virtual environment, see above.")
    install_packages(folder, installer, lock)


def find_cuda() -> int:
    """Return the newest CUDA version that the driver serves, 0 without a GPU.

    The driver itself is asked, as the frameworks do, so the answer is theirs in a
    container, and where CUDA_VISIBLE_DEVICES hides every GPU.
    """
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    num_gpus, version = ctypes.c_int(), ctypes.c_int()
    failed = (
        driver.cuInit(0)
        or driver.cuDeviceGetCount(ctypes.byref(num_gpus))
        or driver.cuDriverGetVersion(ctypes.byref(version))
    )
    return 0 if failed or not num_gpus.value else version.value


def prepare_gpu(folder: Path, installer: str, arms: list[str]) -> None:
    """Give each of the arms what it needs to compute on the GPU, if there is one."""
    cuda = find_cuda()
    if not cuda or platform.machine() != "x86_64":  # TensorFlow has no other CUDA code
        return
    if cuda < CUDA_NEEDED:
        print(
            f"The NVIDIA driver serves CUDA {cuda // 1000}.{cuda % 1000 // 10}, and "
            "PyTorch's packages need 13.0. Nothing is installed for the GPU: update "
            "the driver to 580 or newer."
        )
        return
    for arm in arms:
        if arm in ADDITIONS:
            add(folder, installer, arm)


def add(folder: Path, installer: str, arm: str) -> None:
    """Install what an arm needs for a GPU, unless it is there already."""
    addition = ADDITIONS[arm]
    lock = Path(addition.lock)
    installed = folder / lock.name  # copied at the end, so a half is not taken for all
    if installed.is_file() and installed.read_bytes() == lock.read_bytes():
        return
    print(
        f"NVIDIA GPU found. For the arm {arm}: {addition.what}, "
        f"{addition.download_gb} GB to download and {addition.disk_gb} GB of disk. "
        'Without them: make bench ARGS="--device cpu"',
        flush=True,
    )
    installed.unlink(missing_ok=True)
    options: list[str | Path] = ["--no-deps"]
    if addition.folder:
        target = folder / addition.folder
        shutil.rmtree(target, ignore_errors=True)
        options += ["--target", target]
    require_space(folder, addition.disk_gb)
    install_packages(folder, installer, addition.lock, *options)
    shutil.copy(lock, installed)


def main() -> None:
    """Parse the arguments, and make the environment or prepare it for a GPU."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--installer", choices=("uv", "pip"), default="uv")
    parser.add_argument("--lock", default="requirements.lock")
    parser.add_argument(
        "--gpu",
        action="store_true",
        help="prepare the environment for a GPU; options of `bench all` may follow",
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--arms", default="pytorch,keras")
    arguments, _ = parser.parse_known_args()
    folder, installer = arguments.folder, arguments.installer
    try:
        if not arguments.gpu:
            make_environment(folder, installer, arguments.lock)
        elif arguments.device != "cpu":
            prepare_gpu(folder, installer, arguments.arms.split(","))
    except KeyboardInterrupt:
        sys.exit("Interrupted. Run the same command again to go on.")


if __name__ == "__main__":
    main()
