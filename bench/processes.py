"""Start a worker, pass on its progress, and come back with a result or a reason."""

import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.request import Request
from shared.errors import UserError
from shared.machine import num_cores

PROJECT = Path(__file__).parent.parent
Environment = dict[str, str | None]  # None takes a variable away

# [D21] glibc gives large blocks back to the kernel when they are freed, and the next
# operation pays for fresh pages. Kept, they are used again: the same numbers, sooner.
# Huge pages make processes alike: of small ones, how fast they are is a matter of luck.
# Both arms get the same settings; the user's own come first.
_MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
_HAS_GLIBC = platform.libc_ver()[0] == "glibc"
ENVIRONMENT = {n: os.environ.get(n, v) for n, v in _MALLOC.items() if _HAS_GLIBC}
# glibc left alone. Its thresholds follow what a program frees, unless one is set.
GLIBC: Environment = dict.fromkeys(ENVIRONMENT)

ON_CPU = ENVIRONMENT | {"CUDA_VISIBLE_DEVICES": ""}  # whatever a checkpoint says


class ArmFailed(Exception):
    """A worker did not finish; the message is the reason."""


_running: set[subprocess.Popen] = set()
stopping = threading.Event()  # nothing more is to start


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Results of calls that run workers side by side; if one fails, all are stopped."""
    with ThreadPoolExecutor(max(1, len(calls))) as pool:
        futures = [pool.submit(call) for call in calls]
        try:
            for future in as_completed(futures):
                future.result()  # raises the first failure
            return [future.result() for future in futures]
        except BaseException:
            stopping.set()
            # Again and again, since one may just be starting.
            while wait(futures, timeout=0.1).not_done:
                for process in list(_running):
                    process.kill()
            stopping.clear()
            raise


def share_cores(workers: int) -> dict[str, str]:
    """Variables of a worker that shares the machine with others at work beside it.

    Two frameworks with a thread for every core wait for each other's at each barrier,
    and together they take longer than one after the other.
    """
    threads = str(max(1, num_cores() // workers))
    names = "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "PJRT_NPROC"  # the last: JAX
    return dict.fromkeys(names, threads)


def run_worker(
    request: Request,
    on_event: Callable[[dict], None],
    time_limit_s: float,
    environment: Environment = ENVIRONMENT,
    on_turn: Callable[[], None] = lambda: None,
) -> dict:
    """Run one job to its end in a process of its own and return its result.

    Args:
        time_limit_s: from the start, or a pause, to the next pause or the end.
        environment: variables that the process gets besides ours, or instead.
        on_turn: called where the job may pause; it goes on when this comes back.

    Raises:
        UserError: the job found the user's input at fault.
        ArmFailed: it crashed, was killed, or ran out of time.
    """
    request.scratch.mkdir(parents=True, exist_ok=True)
    file = request.scratch / "request.json"
    request = request.model_copy(update={"started_at": time.time()})
    file.write_text(request.model_dump_json())
    result = request.scratch / "result.json"
    result.unlink(missing_ok=True)
    with tempfile.TemporaryFile("w+") as errors:
        calls = on_event, on_turn
        code, late = _supervise(file, errors, *calls, time_limit_s, environment)
        errors.seek(0)
        said = errors.read()
    if said.strip():
        on_event({"event": "stderr", "text": said[-20_000:]})
    if not result.is_file():
        raise ArmFailed(_reason(code, late, time_limit_s, said))
    outcome = json.loads(result.read_text())
    if "user_error" in outcome:
        raise UserError(outcome["user_error"])
    if "failed" in outcome:
        raise ArmFailed(outcome["failed"])
    return outcome


def _supervise(
    file: Path,
    errors,
    on_event: Callable[[dict], None],
    on_turn: Callable[[], None],
    time_limit_s: float,
    environment: Environment,
) -> tuple[int, bool]:
    """Exit code of the worker, and whether its time ran out."""
    late = threading.Event()
    with subprocess.Popen(
        [sys.executable, "-m", "bench.worker", str(file)],
        stdin=subprocess.PIPE,  # closes when we die, and the worker with it
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        cwd=PROJECT,
        env={n: v for n, v in (os.environ | environment).items() if v is not None},
    ) as process:

        def limit() -> threading.Timer:
            timer = threading.Timer(time_limit_s, lambda: (late.set(), process.kill()))
            timer.start()
            return timer

        timer = limit()
        _running.add(process)
        try:
            for line in process.stdout:
                event = json.loads(line)
                if event["event"] != "turn":
                    on_event(event)
                    continue
                timer.cancel()
                on_turn()
                timer = limit()
                with suppress(BrokenPipeError):  # its exit status will tell
                    os.write(process.stdin.fileno(), b"\n")
            code = process.wait()
        finally:
            timer.cancel()
            _running.discard(process)
            process.kill()  # nothing is left behind on Ctrl-C
    return code, late.is_set()


def _reason(code: int, late: bool, time_limit_s: float, said: str) -> str:
    if late:
        return f"out of time, the limit is {time_limit_s / 60:g} minutes"
    if code == -9:
        return "killed by signal 9, which usually means out of memory"
    last = said.strip().splitlines()[-1:] or ["it said nothing"]
    what = f"crashed with signal {-code}" if code < 0 else f"exited with status {code}"
    return f"{what}: {last[0]}"
