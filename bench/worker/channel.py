"""Communicate with the runner: receive requests and turns, and send events."""

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

_events = sys.stdout
_requests: SimpleQueue[Path] = SimpleQueue()
_turns = threading.Semaphore(0)  # turns that were granted and not yet used
_idle = threading.Event()


def emit(event: str, **values: object) -> None:
    """Send an event to the runner as one line of JSON."""
    print(json.dumps({"event": event, **values}), file=_events, flush=True)


def on_batch(done: int, total: int) -> None:
    """Tell the runner how many batches of a stage are done."""
    emit("progress", done=done, total=total)


def open_channel() -> None:
    """Reserve standard output for events, and start listening to the runner."""
    global _events
    _events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # text that libraries print goes to standard error
    _idle.set()
    threading.Thread(target=_listen_to_runner, daemon=True).start()


def follow_requests() -> Iterator[Path]:
    """Yield the files of the requests. Asking for the next request ends a job."""
    while True:
        path = _requests.get()
        _idle.clear()
        yield path
        _idle.set()
        emit("done")


def wait_for_turn() -> None:
    """Let other workers go first, and return when the runner grants a turn."""
    emit("turn")
    _turns.acquire()


def _listen_to_runner() -> None:
    """Receive requests and turns. End of input means that the runner has died: exit."""
    line = b""
    # Reading sys.stdin would lock it, and a forked loader process could not close it.
    while byte := os.read(0, 1):
        if byte != b"\n":
            line += byte
        elif line:
            _requests.put(Path(line.decode()))
            line = b""
        else:
            _turns.release()
    os._exit(0 if _idle.is_set() else 1)
