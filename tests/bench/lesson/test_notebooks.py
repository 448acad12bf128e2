"""The notebooks have the programs' own code, and run from top to bottom."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bench.lesson import notebooks
from bench.lesson.source import ROOT, SIDES
from bench.lesson.topics import TOPICS

SHORT = {"LIMIT = 200": "LIMIT = 20", "EPOCHS = 4": "EPOCHS = 2"}


def read_notebook(side: str) -> str:
    return (notebooks.FOLDER / f"{side}.ipynb").read_text()


def read_cells(side: str) -> list[tuple[str, str]]:
    """The kind and the text of every cell of a notebook."""
    cells = json.loads(read_notebook(side))["cells"]
    return [(cell["cell_type"], "".join(cell["source"])) for cell in cells]


def read_headings(side: str) -> list[str]:
    cells = [text for kind, text in read_cells(side) if kind == "markdown"]
    return re.findall(r"(?m)^## (.+)$", "\n".join(cells))


def test_notebooks_are_what_the_command_writes(tmp_path):
    notebooks.write_notebooks(tmp_path)
    for side in SIDES:
        assert (tmp_path / f"{side}.ipynb").read_text() == read_notebook(side)


@pytest.mark.parametrize("side", SIDES)
def test_outputs_are_not_kept(side):
    cells = json.loads(read_notebook(side))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 20
    for cell in code:
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


def test_both_notebooks_have_the_same_sections():
    pytorch, keras = map(read_headings, SIDES)
    assert pytorch == keras
    assert len({*pytorch} & {topic.title for topic in TOPICS}) > 15
    first, second = ([kind for kind, _ in read_cells(side)] for side in SIDES)
    assert first == second


@pytest.mark.parametrize("side", SIDES)
def test_links_lead_somewhere(side):
    text = "\n".join(text for kind, text in read_cells(side) if kind == "markdown")
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text)}
    assert len(links) == 2  # the other notebook, and the ledger
    for link in links:
        assert (notebooks.FOLDER / link).exists()


@pytest.mark.parametrize("side", SIDES)
def test_code_is_that_of_the_program(side):
    compared, lines = 0, set()
    for kind, text in read_cells(side):
        if kind == "code" and text.startswith("# From "):
            for line in text.splitlines():
                if line.startswith("# From "):
                    file = ROOT / line.removeprefix("# From ")
                    lines = {"", *file.read_text().splitlines()}
                elif not line.startswith(("from ", "import ")):
                    assert line in lines
                    compared += 1
    assert compared > 200


@pytest.mark.parametrize(
    ("line", "changed", "message"),
    [
        ("dataset import make_loader", "dataset import no_loader", "has no no_loader"),
        ("from pytorch_impl.augmentation import make_augmentation", "", "no cell"),
        ("ENDINGS\n\n# %%\n", "ENDINGS\n", "and does more"),
    ],
)
def test_cells_that_do_not_fit_the_program_are_refused(
    tmp_path, monkeypatch, line, changed, message
):
    text = (notebooks.FOLDER / "pytorch_cells.py").read_text()
    assert text.count(line) == 1
    (tmp_path / "pytorch_cells.py").write_text(text.replace(line, changed))
    monkeypatch.setattr(notebooks, "FOLDER", tmp_path)
    with pytest.raises(LookupError, match=message):
        notebooks.make_notebook("pytorch")


# Stands in for git and pip, so that nothing is fetched or installed.
FAKE_RUN = f"""
import os, subprocess
def run(command, check):
    print(*command)
    if command[0] == "git":
        os.symlink({str(ROOT)!r}, command[-1])
subprocess.run = run
"""


def set_up(side: str, folder: Path, address: str) -> subprocess.CompletedProcess:
    """Run the cell that sets a notebook up, and then import from the project."""
    cell = next(text for kind, text in read_cells(side) if kind == "code")
    assert 'PROJECT_URL = ""' in cell
    cell = cell.replace('PROJECT_URL = ""', f'PROJECT_URL = "{address}"')
    return subprocess.run(
        [sys.executable, "-c", f"{FAKE_RUN}{cell}\nimport shared.errors"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("side", SIDES)
def test_hosted_notebook_fetches_the_project_and_its_packages(side, tmp_path):
    done = set_up(side, tmp_path, "https://host/project.git")
    assert done.returncode == 0, done.stderr
    assert "clone --depth=1 https://host/project.git" in done.stdout
    groups = re.findall(r"--group=\S+/pyproject.toml:(\S+)", done.stdout)
    assert groups == [side, "notebook"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert {*groups} <= {*project["dependency-groups"]}


def test_notebook_without_the_project_says_what_is_missing(tmp_path):
    done = set_up("pytorch", tmp_path, "")
    assert done.returncode == 1
    assert "Set PROJECT_URL in this cell" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("side", SIDES)
def test_notebook_runs_from_top_to_bottom(
    side, tmp_path, real_weights, cache, monkeypatch
):
    """In a kernel of its own, on drawn images, and in a folder that may be written."""
    import nbformat
    from nbclient import NotebookClient

    for name in ("pytorch_impl", "keras_impl", "shared"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.setenv("BENCH_DATA", "synthetic")
    monkeypatch.setenv("BENCH_WEIGHTS", str(real_weights))
    monkeypatch.setenv("BENCH_CACHE", str(cache))
    text = read_notebook(side)
    for setting, shorter in SHORT.items():
        assert setting in text
        text = text.replace(setting, shorter)
    notebook = nbformat.reads(text, as_version=4)
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, resources=place).execute()

    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    pictures = [out for found in outputs for out in found if "image/png" in str(out)]
    assert len(pictures) == 8
    printed = ["".join(out.get("text", "") for out in found) for found in outputs]
    assert "Batch norm has changed: False" in "".join(printed)
    low, high, difference = map(float, re.findall(r"-?\d\S*\d", printed[-1]))
    assert high - low > 0.5
    assert difference < 1e-3
