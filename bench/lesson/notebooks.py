"""Write the notebooks from the plain programs: `python -m bench.lesson.notebooks`.

Their cells stand in notebooks/pytorch_cells.py and keras_cells.py, in a format that
editors know: `# %%` begins a cell of code, `# %% [markdown]` a cell of text. In place
of an import from the plain program, a notebook has the program's own code.
"""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from bench.ledger import make_link, read_note
from bench.lesson.extract import Program
from bench.lesson.source import ROOT, SIDES
from bench.lesson.topics import TOPICS
from shared.files import write_atomically

FOLDER = ROOT / "notebooks"
LEDGER = "../docs/differences.md"
CELL = re.compile(r"(?m)^# %%( \[markdown\])?\n")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
EMPTY_CODE = {"cell_type": "code", "execution_count": None, "outputs": []}
FORMAT = {"nbformat": 4, "nbformat_minor": 5}


def write_notebooks(folder: Path = FOLDER) -> None:
    """Write the notebooks of both sides into a folder."""
    for side in SIDES:
        write_atomically(folder / f"{side}.ipynb", make_notebook(side))


def make_notebook(side: str) -> str:
    """Return the text of a notebook, without outputs.

    Raises:
        LookupError: a cell imports what the plain program does not have, or mixes such
            imports with other code, or a function needs what no cell imports.
    """
    _, *parts = CELL.split((FOLDER / f"{side}_cells.py").read_text())
    program = Program(side)
    cells = []
    for number, (mark, text) in enumerate(zip(parts[::2], parts[1::2], strict=True), 1):
        source = _explain(text) if mark else program.show(text.strip())
        kind = {"cell_type": "markdown"} if mark else EMPTY_CODE
        lines = source.splitlines(keepends=True)
        cells.append({"id": f"cell-{number}", "metadata": {}, "source": lines} | kind)
    if missing := program.needed - program.known:
        raise LookupError(f"{side}: no cell imports {', '.join(sorted(missing))}")
    notebook = {"cells": cells, "metadata": METADATA} | FORMAT
    # As Jupyter itself writes it.
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _explain(text: str) -> str:
    """Return a cell of text; below a topic's heading, what the lesson says of it."""
    written = re.sub(r"(?m)^# ?", "", text).strip()
    heading, _, body = written.partition("\n")
    topic = next((one for one in TOPICS if heading == f"## {one.title}"), None)
    if topic is None:
        return written
    parts = [heading, topic.says, body.strip(), _tabulate(topic.entries)]
    return "\n\n".join(filter(None, parts))


def _tabulate(entries: Iterable[str]) -> str:
    """Return a table of differences, with what each framework does."""
    rows = ["| Difference | PyTorch | Keras |", "|---|---|---|"]
    for entry in entries:
        note = read_note(entry)
        link = make_link(entry, LEDGER)
        rows.append(f"| {link} | {note.pytorch} | {note.keras} |")
    return "\n".join(rows)


if __name__ == "__main__":
    write_notebooks()
    print(f"Written: the notebooks of both sides in {FOLDER}.")
