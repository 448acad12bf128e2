"""How a worker and the runner talk: requests and turns come in, events go out."""

import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

_events = sys.stdout
_requests: SimpleQueue[Path] = SimpleQueue()
_turns = threading.Semaphore(0)  # that the runner has given and nobody has taken
_idle = threading.Event()


def emit(event: str, **values: object) -> None:
    """Tell the runner something, as one line."""
    print(json.dumps({"event": event, **values}), file=_events, flush=True)


def on_batch(done: int, total: int) -> None:
    """Tell the runner how many batches of a stage are done."""
    emit("progress", done=done, total=total)


def open_channel() -> None:
    """Keep standard output for events, and listen to the runner."""
    global _events
    _events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no event
    _idle.set()
    threading.Thread(target=_listen_to_runner, daemon=True).start()


def follow_requests() -> Iterator[Path]:
    """Return the files of the requests; asking for the next one ends a job."""
    while True:
        path = _requests.get()
        _idle.clear()
        yield path
        _idle.set()
        emit("done")


def wait_for_turn() -> None:
    """Let other workers go first, and come back when the runner says so."""
    emit("turn")
    _turns.acquire()


def _listen_to_runner() -> None:
    """Pass on requests and turns; exit at the end of input: the runner is gone."""
    line = b""
    # sys.stdin would be locked while it reads, and a forked loader could not close it.
    while byte := os.read(0, 1):
        if byte != b"\n":
            line += byte
        elif line:
            _requests.put(Path(line.decode()))
            line = b""
        else:
            _turns.release()
    os._exit(0 if _idle.is_set() else 1)
