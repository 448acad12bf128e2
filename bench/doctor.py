"""Look at everything a run needs, one line each, and say what to do where it fails."""

import shutil
import tempfile
from pathlib import Path

from rich.console import Console

from bench.environment import describe_environment
from bench.processes import ArmFailed, run_worker
from bench.request import PAIR, Request
from shared.config import Config
from shared.errors import UserError
from shared.files import cache_folder, require_writable

PROBE_LIMIT_S = 300
LOW_DISK_BYTES = 2 * 2**30


def examine(console: Console) -> bool:
    """Print what is there; returns whether a run can work."""
    environment = describe_environment({})
    console.print(f"Python {environment.python} on {environment.platform}")
    console.print(
        f"{environment.cpu}, {environment.cpu_count} cores, "
        f"{environment.memory_bytes / 2**30:.1f} GiB, GPU: {environment.gpu or 'none'}"
    )
    findings = [_examine_arm(arm) for arm in PAIR] + [_examine_cache()]
    for good, text in findings:
        mark = "[green]ok[/green]" if good else "[red]FAILED[/red]"
        console.print(f"{mark}  {text}")
    return all(good for good, _ in findings)


def _examine_arm(arm: str) -> tuple[bool, str]:
    with tempfile.TemporaryDirectory() as scratch:
        request = Request(job="probe", arm=arm, config=Config(), scratch=scratch)
        try:
            done = run_worker(request, lambda event: None, PROBE_LIMIT_S)  # noqa: ARG005
        except (ArmFailed, UserError) as reason:
            return False, f"{arm}: {reason}. Run `make setup` again."
    return True, f"{arm}: runs on {done['device']}, {done['threads']} threads"


def _examine_cache() -> tuple[bool, str]:
    folder: Path = cache_folder()
    try:
        require_writable(folder)
    except UserError as error:
        return False, str(error)
    free = shutil.disk_usage(folder).free
    text = f"cache in {folder}, {free / 2**30:.1f} GiB free"
    return free > LOW_DISK_BYTES, text
