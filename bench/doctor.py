"""Check the requirements of a run, one line each, and name a remedy for failures."""

import shutil
import tempfile
from functools import partial
from importlib import import_module

from rich.console import Console
from rich.text import Text

from bench.processes.arms import PAIR
from bench.processes.request import Load
from bench.processes.worker_process import (
    ENVIRONMENT,
    ArmFailed,
    run_worker,
    together,
)
from bench.run.devices import Device, choose_device
from bench.run.environment import PACKAGES, describe_environment
from shared.clock import now
from shared.config import Config
from shared.errors import UserError
from shared.files import cache_folder, require_free_space, require_writable

LOAD_LIMIT_S = 300
CACHE_BYTES = 2 * 2**30  # decoded images and downloads
OPTIONAL = {"jax"}
REMEDY = "Install the packages again with `make setup`."


def examine(console: Console) -> bool:
    """Print the result of each check, and return whether both arms can run.

    Raises:
        UserError: the cache folder cannot be written, or its disk is nearly full.
    """
    environment = describe_environment({})
    console.print(f"Python {environment.python} on {environment.platform}")
    console.print(
        f"{environment.cpu}, {environment.cpu_count} cores, "
        f"{environment.memory_bytes / 2**30:.1f} GiB"
    )
    say = partial(console.print, markup=False, soft_wrap=True)
    device = choose_device(Config(), None, PAIR, say)
    findings = [
        _check_packages(environment.packages),
        _check_onnxruntime(),
        *together(*[partial(_check_arm, arm, device) for arm in PAIR]),
    ]
    for finding in findings:
        _show(console, *finding)
    folder = cache_folder()
    require_writable(folder)
    require_free_space(folder, CACHE_BYTES)
    free = shutil.disk_usage(folder).free / 2**30
    _show(console, True, f"cache: {folder}, {free:.1f} GiB free")
    console.print(
        "Run `python -m bench prepare` to find and check the images and weights."
    )
    return all(good for good, _ in findings)


def _show(console: Console, good: bool, text: str) -> None:
    mark = Text("ok      ", "green") if good else Text("FAILED  ", "red")
    console.print(mark + Text(text), soft_wrap=True)


def _check_packages(found: dict[str, str]) -> tuple[bool, str]:
    missing = set(PACKAGES) - set(found) - OPTIONAL
    if missing:
        return False, f"not installed: {', '.join(sorted(missing))}. {REMEDY}"
    return True, f"packages: {', '.join(map(' '.join, found.items()))}"


def _check_onnxruntime() -> tuple[bool, str]:
    try:
        import_module("onnxruntime")
    except ImportError as error:
        return False, f"onnxruntime: {error}. {REMEDY}"
    return True, "onnxruntime: loads"


def _check_arm(arm: str, device: Device) -> tuple[bool, str]:
    start = now()
    with tempfile.TemporaryDirectory() as scratch:
        request = Load(arm=arm, config=Config(device=device.kind), scratch=scratch)
        variables = ENVIRONMENT | device.variables
        try:
            done = run_worker(request, lambda _event: None, LOAD_LIMIT_S, variables)
        except (ArmFailed, UserError) as reason:
            return False, f"{arm}: {reason}. {REMEDY}"
    return True, (
        f"{arm}: its framework loads in {now() - start:.1f} s and runs on "
        f"{done['device']}, {done['threads']} threads"
    )
