"""Start workers, forward their progress, and return the results of their jobs."""

import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import psutil

from bench.processes.cuda import find_cuda_variables
from bench.processes.request import Request
from shared.config import Config
from shared.errors import UserError
from shared.machine import num_cores

PROJECT = Path(__file__).parent.parent.parent
WORKER_BYTES = 2 * 2**30  # memory that a worker may need in the parity ladder
Environment = dict[str, str | None]  # None removes a variable

# [D21] glibc returns large freed blocks to the kernel, and the next operation has to
# get fresh pages. These settings keep the blocks for reuse, which saves time and
# changes no result. With huge pages the speed varies less between processes than with
# small pages. Both arms get the same settings. Variables that the user has set take
# precedence.
_MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
}
_HAS_GLIBC = platform.libc_ver()[0] == "glibc"
ENVIRONMENT = {n: os.environ.get(n, v) for n, v in _MALLOC.items() if _HAS_GLIBC}
# glibc's defaults. Its thresholds adapt to the program unless a threshold is set.
GLIBC: Environment = dict.fromkeys(ENVIRONMENT)


def environment_of(config: Config) -> Environment:
    """Return a worker's environment variables; the plain division gets none."""
    return ENVIRONMENT if config.division == "matched" else {}


# A worker sees no GPU unless its environment names one. Keras asks which GPUs exist
# and not which ones it may use, before it compiles; on PyTorch it takes the first GPU,
# or a Mac's.
HIDDEN: Environment = {"CUDA_VISIBLE_DEVICES": "", "KERAS_TORCH_DEVICE": "cpu"}
ON_CPU = ENVIRONMENT | HIDDEN


class ArmFailed(Exception):
    """Failure of a worker. The message gives the reason."""


_running: set[subprocess.Popen] = set()
stopping = threading.Event()  # set while no further work may start


def together(*calls: Callable[[], Any], at_once: int | None = None) -> list[Any]:
    """Run calls at the same time and return their results.

    If a call fails, all workers are stopped and its exception is raised.

    Args:
        at_once: how many calls may run at the same time; None for all of them.
    """
    with ThreadPoolExecutor(max(1, at_once or len(calls))) as pool:
        futures = [pool.submit(call) for call in calls]
        try:
            for future in as_completed(futures):
                future.result()  # raises the first failure
            return [future.result() for future in futures]
        except BaseException:
            stopping.set()
            # Repeat this, since a worker may be starting just now.
            while wait(futures, timeout=0.1).not_done:
                for process in list(_running):
                    process.kill()
            stopping.clear()
            raise


@contextmanager
def stoppable(process: subprocess.Popen) -> Iterator[None]:
    """Let `together` kill a process if another one of its calls fails."""
    _running.add(process)
    try:
        yield
    finally:
        _running.discard(process)


def together_by_name(calls: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    """Run calls as `together` does, as many at a time as memory and cores allow.

    Each call needs memory and two cores. With fewer cores, two frameworks wait for each
    other's threads at every barrier, and take longer than one after the other.
    """
    room = psutil.virtual_memory().available // WORKER_BYTES, num_cores() // 2
    found = together(*calls.values(), at_once=max(1, min(len(calls), *room)))
    return dict(zip(calls, found, strict=True))


def share_cores(workers: int) -> dict[str, str]:
    """Return the environment variables of a worker that shares the machine.

    If two frameworks both start a thread for every core, they wait for each other's
    threads at each barrier, and take longer than one after the other.
    """
    threads = str(max(1, num_cores() // workers))
    names = "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "PJRT_NPROC"  # PJRT is JAX
    return dict.fromkeys(names, threads)


def environment_for_experiments(arms: int) -> Environment:
    """Return the environment variables of so many workers that train at once.

    They compare settings and not the times of the arms. PyTorch computes with oneDNN
    everywhere, TensorFlow by default only on some processors. On others, oneDNN makes a
    step on images take about half of the time.
    """
    onednn = {"TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "1")}
    return ENVIRONMENT | onednn | share_cores(arms)


class WorkerProcess:
    """Process that does jobs of one arm, one after the other.

    A later job can use everything that an earlier job has loaded or compiled.
    """

    def __init__(self, environment: Environment = ENVIRONMENT) -> None:
        """Prepare a process. It starts with its first job.

        Args:
            environment: variables that are added to this process's variables or replace
                them. Unless they name a GPU, the process sees none.
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
        if error is not None:  # e.g. Ctrl-C: leave no process behind
            self._process.kill()
        with self._process as process, suppress(BrokenPipeError):
            process.stdin.close()  # an idle worker exits at the end of its input

    def do(
        self,
        request: Request,
        on_event: Callable[[dict], None],
        time_limit_s: float,
        on_turn: Callable[[], None] = lambda: None,
    ) -> dict:
        """Run one job to its end and return its result.

        Args:
            time_limit_s: limit from the start or a pause to the next pause or the end.
            on_turn: called when the job pauses; the job continues when it returns.

        Raises:
            UserError: the job found that the user's input is invalid.
            ArmFailed: the job crashed, was killed, or ran out of time.
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
        """Request the job, follow its events, and return whether its time ran out."""
        late = threading.Event()
        started_at = time.time()
        process = self._process = self._process or self._start(request.arm)

        def stop() -> None:
            late.set()
            process.kill()

        def limit() -> threading.Timer:
            timer = threading.Timer(time_limit_s, stop)
            timer.start()
            return timer

        timer = limit()
        try:
            with stoppable(process):
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
        return late.is_set()

    def _start(self, arm: str) -> subprocess.Popen:
        own = find_cuda_variables(arm)
        variables = os.environ | HIDDEN | self._environment | own
        return subprocess.Popen(
            [sys.executable, "-m", "bench.worker"],
            stdin=subprocess.PIPE,  # closes if the runner dies; the worker then exits
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
        with suppress(BrokenPipeError):  # the exit status will show the failure
            os.write(self._process.stdin.fileno(), text.encode())


def run_worker(
    request: Request,
    on_event: Callable[[dict], None],
    time_limit_s: float,
    environment: Environment = ENVIRONMENT,
    on_turn: Callable[[], None] = lambda: None,
) -> dict:
    """Run one job in its own process; see `WorkerProcess.do`."""
    with WorkerProcess(environment) as process:
        return process.do(request, on_event, time_limit_s, on_turn)


def _reason(code: int, late: bool, time_limit_s: float, said: str) -> str:
    if late:
        return f"out of time: the limit is {time_limit_s / 60:g} minutes"
    if code == -9:
        return "killed by signal 9, which usually means out of memory"
    last = said.strip().splitlines()[-1:] or ["it printed no message"]
    what = f"crashed with signal {-code}" if code < 0 else f"exited with status {code}"
    return f"{what}: {last[0]}"
