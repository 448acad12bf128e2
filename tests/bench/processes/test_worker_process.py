"""Workers that fail: the reason comes back, and nothing stays behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench.processes.request import Load, Request
from bench.processes.worker_process import (
    ENVIRONMENT,
    GLIBC,
    ArmFailed,
    run_worker,
    together,
)
from shared.config import make_config

ROOT = Path(__file__).parents[3]


def request(folder: Path, arm: str = "pytorch") -> Request:
    return Load(arm=arm, config=make_config(), scratch=folder)


def test_crash_comes_back_as_a_reason(tmp_path):
    with pytest.raises(ArmFailed, match="nonsense"):
        run_worker(request(tmp_path, arm="nonsense"), lambda _: None, 60)


def test_time_limit_kills_the_worker(tmp_path):
    with pytest.raises(ArmFailed, match="out of time"):
        run_worker(request(tmp_path), lambda _: None, 0.5)


def test_killed_worker_is_named(tmp_path):
    def kill(_event: dict) -> None:
        for child in psutil.Process().children():
            if "bench.worker" in child.cmdline():
                child.kill()

    with pytest.raises(ArmFailed, match="killed by signal 9"):
        run_worker(request(tmp_path), kill, 60)


@pytest.mark.skipif(not ENVIRONMENT, reason="needs glibc's malloc")
@pytest.mark.parametrize("environment", [ENVIRONMENT, GLIBC], ids=["kept", "alone"])
def test_malloc_is_left_alone_where_asked_for(tmp_path, monkeypatch, environment):
    """Our own process may have been started with the settings of a worker."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    variables: set[str] = set()

    def look(_event: dict) -> None:
        for child in psutil.Process().children():
            if "bench.worker" in child.cmdline():
                variables.update(child.environ())
                child.kill()

    with pytest.raises(ArmFailed, match="killed"):
        run_worker(request(tmp_path), look, 60, environment)
    assert "PATH" in variables
    kept = variables & set(ENVIRONMENT)
    assert kept == {n for n, v in environment.items() if v is not None}


@pytest.fixture
def pausing(monkeypatch, tmp_path) -> Request:
    """A worker that pauses once, and is done when it may go on."""
    script = tmp_path / "worker"
    script.write_text(
        "#!/bin/sh\n"
        "read request\n"
        """echo '{"event": "turn"}'\n"""
        'read turn && echo "{}" > "$(dirname "$request")/result.json"\n'
    )
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    return request(tmp_path)


def test_a_pause_does_not_count_for_the_time_limit(pausing, monkeypatch):
    running = set()

    class Timer:
        def __init__(self, *_: object) -> None: ...

        def start(self) -> None:
            running.add(self)

        def cancel(self) -> None:
            running.discard(self)

    monkeypatch.setattr("bench.processes.worker_process.threading.Timer", Timer)
    during_the_pause = []
    on_turn = lambda: during_the_pause.append(len(running))  # noqa: E731
    assert run_worker(pausing, None, 60, on_turn=on_turn) == {}
    assert during_the_pause == [0]


def test_killed_while_it_waits_for_its_turn(pausing):
    def kill() -> None:
        for child in psutil.Process().children():
            child.kill()
            while child.status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.01)

    with pytest.raises(ArmFailed, match="killed by signal 9"):
        run_worker(pausing, None, 60, on_turn=kill)


def test_calls_side_by_side_come_back_in_order():
    assert together(lambda: time.sleep(0.2) or 1, lambda: 2) == [1, 2]


def test_a_failure_stops_what_runs_beside_it(tmp_path):
    reasons = []

    def beside() -> None:
        try:
            run_worker(request(tmp_path), lambda _: None, 60)
        except ArmFailed as reason:
            reasons.append(str(reason))
            raise

    def fail() -> None:
        while not any(
            "bench.worker" in child.cmdline() for child in psutil.Process().children()
        ):
            time.sleep(0.05)
        raise ValueError("the first to fail")

    with pytest.raises(ValueError, match="the first to fail"):
        together(fail, beside)
    assert "signal 9" in reasons[0]


def test_a_stale_result_is_not_taken_for_a_new_one(tmp_path):
    (tmp_path / "result.json").write_text('{"device": "stale"}')
    with pytest.raises(ArmFailed):
        run_worker(request(tmp_path, arm="nonsense"), lambda _: None, 60)


def test_worker_dies_with_its_runner(tmp_path):
    """SIGKILL leaves the runner no time to clean up."""
    code = (
        "import sys; from pathlib import Path;"
        "from tests.bench.processes.test_worker_process import request, run_worker;"
        "run_worker(request(Path(sys.argv[1])), lambda e: print(e, flush=True), 60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    ) as runner:
        runner.stdout.readline()  # the worker's first event
        workers = psutil.Process(runner.pid).children()
        os.kill(runner.pid, signal.SIGKILL)
    assert workers
    deadline = time.monotonic() + 10
    while any(worker.is_running() for worker in workers):
        assert time.monotonic() < deadline, "the worker lives on"
        time.sleep(0.1)
