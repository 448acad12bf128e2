"""Check an answer to an exercise, in a process of its own that loads the framework."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import IO

from bench.lesson.check.program import read_program
from bench.processes.worker_process import ON_CPU, PROJECT
from exercises.catalogue import Exercise
from shared.errors import UserError

MAX_BYTES = 2000  # what is kept of the output, its end


def check_answer(
    exercise: Exercise, file: Path, time_limit_s: float
) -> tuple[str | None, str]:
    """Run a copy of an answer in a folder of its own, and check what it computes.

    The folder, and all processes that the answer leaves behind, are removed.

    Returns:
        What is off, in words, or None for a solved exercise; and the end of what the
        answer printed.

    Raises:
        UserError: the file cannot be read.
    """
    if not file.is_file() or file.suffix != ".py":
        raise UserError(f"--check {file}: there is no such .py file.")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch,
        tempfile.TemporaryDirectory() as ours,  # which the answer does not know
    ):
        try:
            shutil.copyfile(file, Path(scratch, "answer.py"))
            read_program(file)
        except OSError as error:
            raise UserError(f"--check {file}: {error.strerror}.") from error
        except UserError as error:  # it is no Python
            return f"{error}", ""
        verdict = Path(ours, "verdict.json")
        status, printed = _run_judge(exercise, scratch, verdict, time_limit_s)
        text = verdict.read_text() if verdict.is_file() else ""
    found = json.loads(text) if text else _explain(status, time_limit_s)
    return found, printed


def _explain(status: int | None, time_limit_s: float) -> str:
    """Say why there is no verdict."""
    if status is None:
        return (
            f"the file was still running after {time_limit_s:g} seconds. Is there a "
            "loop without an end? --time-limit-seconds gives it more time."
        )
    return (
        f"the process ended with status {status} before the check was done. Does the "
        "file call os._exit(), or take all of the memory?"
    )


def _run_judge(
    exercise: Exercise, scratch: str, verdict: Path, time_limit_s: float
) -> tuple[int | None, str]:
    """Return the exit status, None if time ran out, and the end of the output."""
    # -P: no module is taken from the folder of the answer.
    command = [sys.executable, "-P", "-m", "exercises.judge", exercise.name]
    variables = os.environ | ON_CPU
    variables |= {
        "PYTHONPATH": str(PROJECT),
        "PYTHONUNBUFFERED": "1",  # else os._exit() would lose what was printed
        "KERAS_BACKEND": "tensorflow",
        "TMPDIR": scratch,
    }
    kept = bytearray()
    with subprocess.Popen(
        [*command, str(Path(scratch, "answer.py")), str(verdict)],
        bufsize=0,
        cwd=scratch,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # TensorFlow fills it with notices
        start_new_session=True,  # so that all its processes can be ended together
    ) as process:
        reader = Thread(target=_keep_end, args=(process.stdout, kept), daemon=True)
        reader.start()
        try:
            status = process.wait(time_limit_s)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            with suppress(ProcessLookupError, PermissionError):  # none is left
                os.killpg(process.pid, signal.SIGKILL)
        reader.join(timeout=1)  # a process that left the group may hold the pipe open
    return status, _make_readable(bytes(kept))


def _make_readable(output: bytes) -> str:
    """Decode what a process printed; no byte of it can command the terminal."""
    text = output.decode(errors="replace")
    text = re.sub(r"\x1b\[[\d;]*m|[\b\r]", "", text)  # Keras's progress bar has these
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)


def _keep_end(pipe: IO[bytes], kept: bytearray) -> None:
    """Read a pipe to its end, and keep the last `MAX_BYTES` of it."""
    while piece := pipe.read(1 << 16):
        kept.extend(piece)
        del kept[:-MAX_BYTES]
