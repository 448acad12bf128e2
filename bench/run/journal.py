"""Keep every finished part of a long run, so that a killed run can go on.

A journal is a file of JSON lines in the output folder. The first line has the inputs
of the run. Each further line has one finished part, and is written as soon as the part
is finished.
"""

import json
import os
import threading
from pathlib import Path
from typing import Any

from shared.errors import UserError
from shared.files import write_atomically

JOURNAL = "journal.jsonl"
Inputs = dict[str, Any]  # by a name that a user understands, such as "data"


class Journal:
    """The finished parts of a run by their names. Threads may share it."""

    def __init__(self, path: Path, inputs: Inputs, parts: dict[str, Any]) -> None:
        """Write the file anew, with the parts of an earlier run."""
        self.parts = dict(parts)
        self._path = path
        self._lock = threading.Lock()
        lines = [inputs, *parts.items()]
        write_atomically(path, "".join(json.dumps(line) + "\n" for line in lines))

    def keep(self, name: str, part: Any) -> None:
        """Keep a finished part, on the disk too."""
        with self._lock, self._path.open("a") as file:
            self.parts[name] = part
            file.write(json.dumps([name, part]) + "\n")
            file.flush()
            os.fsync(file.fileno())


def read_parts(path: Path, inputs: Inputs) -> dict[str, Any]:
    """Return the finished parts of an earlier run on the same inputs.

    A last line that a killed run left unfinished does not count.

    Raises:
        UserError: there is no journal, or the inputs have changed; each changed input
            is named.
    """
    if not path.is_file():
        raise UserError(
            f"--resume: {path.parent} has no {path.name} of an earlier run. Leave "
            "--resume out to begin a run there."
        )
    # A killed run may have been cut short in its last line.
    first, *lines = path.read_text().split("\n")[:-1] or ["{}"]
    found = json.loads(first)
    expected = json.loads(json.dumps(inputs))
    changed = [
        f"  {name}: was {found.get(name)}, is {expected.get(name)}"
        for name in {**found, **expected}
        if found.get(name) != expected.get(name)
    ]
    if changed:
        raise UserError(
            f"--resume: the inputs of the run in {path.parent} have changed:\n"
            + "\n".join(changed)
            + "\nGo on with the same inputs, or begin a new run in another folder."
        )
    return dict(json.loads(line) for line in lines)
