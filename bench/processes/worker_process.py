"""Start workers, pass on their progress, and return what comes of their jobs."""

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
from typing import Any, Self

import psutil

from bench.processes.request import Request
from shared.config import Config
from shared.errors import UserError
from shared.machine import num_cores

PROJECT = Path(__file__).parent.parent.parent
WORKER_BYTES = 2 * 2**30  # what a worker may come to take in the parity ladder
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


def environment_of(config: Config) -> Environment:
    """Return a worker's variables; the plain division gets an untouched environment."""
    return ENVIRONMENT if config.division == "matched" else {}


ON_CPU = ENVIRONMENT | {"CUDA_VISIBLE_DEVICES": ""}  # whatever a checkpoint says


class ArmFailed(Exception):
    """A worker did not finish. The message says why."""


_running: set[subprocess.Popen] = set()
stopping = threading.Event()  # nothing more is to start


def together(*calls: Callable[[], Any], at_once: int | None = None) -> list[Any]:
    """Run calls side by side and return their results; if one fails, stop all workers.

    Args:
        at_once: how many may work at the same time; None for all of them.
    """
    with ThreadPoolExecutor(max(1, at_once or len(calls))) as pool:
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


def together_by_name(calls: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    """Do the same as `together`, by name, and one call at a time if memory is short.

    Each needs memory, and two cores: on fewer, two frameworks wait for each other's
    threads at every barrier, and take longer than one after the other.
    """
    room = psutil.virtual_memory().available // WORKER_BYTES, num_cores() // 2
    found = together(*calls.values(), at_once=max(1, min(len(calls), *room)))
    return dict(zip(calls, found, strict=True))


def share_cores(workers: int) -> dict[str, str]:
    """Return the variables of a worker that shares the machine with other workers.

    Two frameworks with a thread for every core wait for each other's at each barrier,
    and together they take longer than one after the other.
    """
    threads = str(max(1, num_cores() // workers))
    names = "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "PJRT_NPROC"  # the last: JAX
    return dict.fromkeys(names, threads)


class WorkerProcess:
    """A process that does jobs of one arm, one after the other.

    What a job has loaded or compiled is there for the next one.
    """

    def __init__(self, environment: Environment = ENVIRONMENT) -> None:
        """Prepare a process; it starts with its first job.

        Args:
            environment: variables that the process gets besides ours, or instead.
        """
        self._environment = environment
        self._process: subprocess.Popen | None = None
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed by __exit__

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        self._errors.close()
        if self._process is None:
            return
        if error is not None:  # nothing is left behind on Ctrl-C
            self._process.kill()
        with self._process as process, suppress(BrokenPipeError):
            process.stdin.close()  # an idle worker ends when nobody can ask it any more

    def do(
        self,
        request: Request,
        on_event: Callable[[dict], None],
        time_limit_s: float,
        on_turn: Callable[[], None] = lambda: None,
    ) -> dict:
        """Run one job to its end and return its result.

        Args:
            time_limit_s: from the start, or a pause, to the next pause or the end.
            on_turn: called where the job may pause; it goes on when this comes back.

        Raises:
            UserError: the job found the user's input at fault.
            ArmFailed: it crashed, was killed, or ran out of time.
        """
        request.scratch.mkdir(parents=True, exist_ok=True)
        result = request.scratch / "result.json"
        result.unlink(missing_ok=True)
        already_said = self._errors.tell()
        late = self._supervise(request, on_event, on_turn, time_limit_s)
        self._errors.seek(already_said)
        said = self._errors.read()
        if said.strip():
            on_event({"event": "stderr", "text": said[-20_000:]})
        if not result.is_file():
            raise ArmFailed(_reason(self._process.wait(), late, time_limit_s, said))
        outcome = json.loads(result.read_text())
        if "user_error" in outcome:
            raise UserError(outcome["user_error"])
        if "failed" in outcome:
            raise ArmFailed(outcome["failed"])
        return outcome

    def _supervise(
        self,
        request: Request,
        on_event: Callable[[dict], None],
        on_turn: Callable[[], None],
        time_limit_s: float,
    ) -> bool:
        """Ask for the job and follow its events; returns whether its time ran out."""
        late = threading.Event()
        started_at = time.time()
        process = self._process = self._process or self._start()

        def stop() -> None:
            late.set()
            process.kill()

        def limit() -> threading.Timer:
            timer = threading.Timer(time_limit_s, stop)
            timer.start()
            return timer

        timer = limit()
        _running.add(process)
        try:
            self._ask(request.model_copy(update={"started_at": started_at}))
            for line in process.stdout:
                event = json.loads(line)
                if event["event"] == "done":
                    break
                if event["event"] != "turn":
                    on_event(event)
                    continue
                timer.cancel()
                on_turn()
                timer = limit()
                self._write("\n")
        except BaseException:
            process.kill()
            raise
        finally:
            timer.cancel()
            _running.discard(process)
        return late.is_set()

    def _start(self) -> subprocess.Popen:
        variables = os.environ | self._environment
        return subprocess.Popen(
            [sys.executable, "-m", "bench.worker"],
            stdin=subprocess.PIPE,  # closes when we die, and the worker with it
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            cwd=PROJECT,
            env={name: v for name, v in variables.items() if v is not None},
        )

    def _ask(self, request: Request) -> None:
        file = request.scratch.resolve() / "request.json"
        file.write_text(request.model_dump_json())
        self._write(f"{file}\n")

    def _write(self, text: str) -> None:
        with suppress(BrokenPipeError):  # the exit status of the process will tell
            os.write(self._process.stdin.fileno(), text.encode())


def run_worker(
    request: Request,
    on_event: Callable[[dict], None],
    time_limit_s: float,
    environment: Environment = ENVIRONMENT,
    on_turn: Callable[[], None] = lambda: None,
) -> dict:
    """Run one job in a process of its own; see `WorkerProcess` and its `do`."""
    with WorkerProcess(environment) as process:
        return process.do(request, on_event, time_limit_s, on_turn)


def _reason(code: int, late: bool, time_limit_s: float, said: str) -> str:
    if late:
        return f"out of time, the limit is {time_limit_s / 60:g} minutes"
    if code == -9:
        return "killed by signal 9, which usually means out of memory"
    last = said.strip().splitlines()[-1:] or ["it said nothing"]
    what = f"crashed with signal {-code}" if code < 0 else f"exited with status {code}"
    return f"{what}: {last[0]}"
