"""README and docs: every command line in them is run, every kept figure compared."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.ledger import anchor
from bench.records import read_results
from bench.run.environment import describe_environment

ROOT = Path(__file__).parents[1]
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
)
SAMPLES = sorted((ROOT / "reports" / "samples").iterdir())

# Run here, one after the other in one folder, with options that keep them short.
QUICK = ("--epochs", "1")
UNTIMED = (*QUICK, "--timing-rounds", "0")
RUN = {
    "python -m pytorch_impl --data my-images": (*QUICK, "--limit", "9"),
    "python -m keras_impl --data my-images": (*QUICK, "--limit", "9"),
    "torchrun --nproc-per-node 2 -m pytorch_impl --data my-images": (
        *QUICK,
        "--limit",
        "9",
    ),
    "python -m keras_impl --data my-images --devices 2": (*QUICK, "--limit", "8"),
    "python -m bench all --help": (),
    "python -m bench all --data my-images --output reports/mine": UNTIMED,
    "python -m bench predict photo.jpg --model reports/mine/models/pytorch.onnx": (),
    "python -m bench explore --data my-images --run reports/mine "
    "--output reports/look": (),
    "python -m bench explore --apply reports/look/relabel.csv --data my-images "
    "--destination new-images": (),
    "python -m bench convert reports/mine/models/pytorch/best.safetensors "
    "moved.weights.h5": (),
    "python -m bench all": (*UNTIMED, "--no-parity"),
    # On a backbone that amplifies rounding, where the ladder has to hold as well.
    "python -m bench parity": (*QUICK, "--weights", "random"),
    "python -m bench differences D01 D07": (*QUICK, "--image-size-px", "96"),
    "python -m bench scaling": (*QUICK, "--arms", "pytorch"),
    "python -m bench experiments": (),
    "python -m bench check my-code": (),
    "python -m bench exercise": (),
    "python -m bench exercise padding": (),
    "python -m bench exercise padding --hint 1": (),
    "python -m bench case": (),
    "python -m bench case broadcast-loss": ("--seeds", "2"),
    "python -m bench pairs": (),
    "python -m bench pairs freezing": (),
    "python -m bench pairs BatchNormalization": (),
    "python -m bench pairs loss --matched": (),
    "python -m bench experiments dropout --values 0.1,0.3": ("--quick",),
}
# Run by other tests, since a whole one takes longer than all of the above.
EXPERIMENTS = "bench/studies/test_experiments.py"
RUN_ELSEWHERE = {
    "python -m bench case all --update-document": "cases/test_cases.py::"
    "test_all_cases_start_equal_and_show_their_causes",
    "python -m bench site": "bench/lesson/test_site.py::"
    "test_every_link_leads_somewhere",
    "python -m bench exercise padding --check padding.py": "bench/lesson/"
    "test_exercises.py::test_learner_solves_an_exercise",
    "python -m bench experiments learning-rate dropout": f"{EXPERIMENTS}::"
    "test_quick_run_of_every_experiment",
    "python -m bench experiments all --quick": f"{EXPERIMENTS}::"
    "test_quick_run_of_every_experiment",
    "python -m bench experiments all --output reports/experiments": f"{EXPERIMENTS}::"
    "test_quick_run_of_every_experiment",
    "python -m bench experiments all --output reports/experiments --resume": ""
    f"{EXPERIMENTS}::test_a_killed_run_goes_on",
    "python -m bench differences": "bench/studies/test_differences.py::"
    "test_command_measures_some",
    "python -m bench explore": "bench/explore/test_explore.py::"
    "test_page_shows_a_data_set_without_a_run",
    "python -m bench timing": "bench/test_arms.py::test_timing_measures_every_phase",
    "python -m bench timing --arms pytorch,keras,keras-jax,keras-torch": "bench/"
    "test_arms.py::test_what_onnxruntime_can_join_goes_by_the_backend",
    "python -m bench control": "bench/studies/test_control.py::"
    "test_an_arm_is_measured_twice_in_each_round",
    "python -m bench.report.kept": "bench/report/test_kept.py::"
    "test_page_is_what_the_command_writes",
    "python -m bench.lesson.notebooks": "bench/lesson/test_notebooks.py::"
    "test_notebooks_are_what_the_command_writes",
    "python -m bench speedups": "bench/studies/test_speedups.py::"
    "test_every_version_is_trained_once_and_timed_in_five_rounds",
}
NOT_RUN = {
    "make bench": "the set-up, and then `python -m bench all`",
    "make test": "this very run",
    "make setup INSTALLER=pip": "tests/test_install.py has its parts",
    "make test-oldest": "tests/test_install.py has its set-up; then as `make test`",
    "make clean": "tests/test_install.py runs it on a copy",
    "python -m bench all --device cuda --output reports/gpu": "needs a GPU",
    "python -m bench speedups --device cuda --output reports/gpu-speedups": "needs a "
    "GPU",
}


def command_lines(document: Path) -> set[str]:
    """Every command of ours in code, of a block or of a line."""
    text = document.read_text()
    blocks = re.findall(r"(?ms)^```\w*\n(.*?)^```", text)
    lines = [line.split("#")[0] for block in blocks for line in block.splitlines()]
    spans = re.findall(r"`([^`]+)`", re.sub(r"(?ms)^```.*?^```", "", text))
    code = [" ".join(piece.split()) for piece in (*lines, *spans)]
    return {
        piece
        for piece in code
        if re.match(r"(python -m (bench|\w+_impl)|torchrun -|make) ?", piece)
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_line_is_run_somewhere(document):
    known = {*RUN, *RUN_ELSEWHERE, *NOT_RUN}
    assert command_lines(document) <= known


def test_every_command_that_is_run_stands_in_a_document():
    shown = set().union(*map(command_lines, DOCUMENTS))
    assert {*RUN, *RUN_ELSEWHERE, *NOT_RUN} <= shown


@pytest.mark.parametrize("test", RUN_ELSEWHERE.values())
def test_tests_named_here_exist(test):
    file, name = test.split("::")
    assert f"def {name}(" in (ROOT / "tests" / file).read_text()


@pytest.fixture(scope="module")
def user(few_photos, real_weights, cache, tmp_path_factory) -> Callable:
    """Someone who follows the documents in a folder of their own."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "my-images").symlink_to(few_photos)
    shutil.copy(next((few_photos / "test" / "hat").iterdir()), folder / "photo.jpg")
    (folder / "my-code").symlink_to(ROOT / "keras_impl" / "matched")
    own = {
        "PYTHONPATH": str(ROOT),
        "BENCH_CACHE": str(cache),
        "BENCH_DATA": str(few_photos),
        "BENCH_WEIGHTS": str(real_weights),
    }

    def call(command: str, *options: str) -> subprocess.CompletedProcess:
        program, *arguments = shlex.split(command)
        module = ["-m", "torch.distributed.run"] if program == "torchrun" else []
        arguments = [sys.executable, *module, *arguments, *options]
        return subprocess.run(
            arguments,
            cwd=folder,
            env=os.environ | own,
            capture_output=True,
            text=True,
            check=False,
        )

    return call


@pytest.mark.slow
@pytest.mark.parametrize("command", RUN)
def test_command_of_a_document_works(user, command):
    done = user(command, *RUN[command])
    assert done.returncode == 0, done.stdout + done.stderr


def test_places_that_contributing_names_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    places = re.findall(r"`([\w/]+/[\w.]*)`", text)
    assert len(places) > 10
    for place in places:
        sides = (ROOT, ROOT / "pytorch_impl", ROOT / "keras_impl")
        assert any((side / place).exists() for side in sides), place


def test_python_in_the_readme_is_that_of_the_programs():
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"(?ms)^```python\n(.*?)^```", text)
    assert len(blocks) == 2
    for side, block in zip(("pytorch", "keras"), blocks, strict=True):
        code = (ROOT / f"{side}_impl/training.py").read_text()
        lines = [line.split(" #")[0].strip() for line in code.splitlines()]
        lines = filter(None, lines)  # without comments, and without what they leave
        first, *rest = block.split("\n")[:-1]
        assert first in lines
        assert [next(lines) for _ in rest] == [line.strip() for line in rest]


def numbers(text: str) -> set[str]:
    return set(re.findall(r"\d[\d,]*(?:\.\d+)?(?:e-?\d+)?", text))


def quoted() -> str:
    """What README says that the kept reports say."""
    text = (ROOT / "README.md").read_text()
    return text[text.index("## What the results say") : text.index("## Developing")]


def unknown(text: str) -> set[str]:
    """Numbers in a text that are not in the documents that a command writes."""
    written = [
        (ROOT / "docs" / f"{name}.md").read_text()
        for name in ("results", "differences", "experiments")
    ]
    return numbers(text) - numbers("".join(written))


def test_figures_in_the_readme_are_those_of_the_kept_reports():
    assert len(numbers(quoted())) > 10
    assert unknown(quoted()) == set()


def test_figure_that_no_kept_report_has_is_found():
    assert unknown(quoted().replace("88.2%", "88.3%")) == {"88.3"}


def places(document: Path) -> set[str]:
    """Where a link to a document can lead: its headings, and the whole of it."""
    headings = re.findall(r"(?m)^#+ (.+)$", document.read_text())
    return {"", *map(anchor, headings)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_of_a_document_lead_somewhere(document):
    links = re.findall(r"\]\(([^)\s]+)\)", document.read_text())
    for link in links:
        if not link.startswith("https://"):
            file, _, place = link.partition("#")
            target = document.parent / file if file else document
            assert target.exists(), link
            assert not place or place in places(target), link


@pytest.mark.parametrize("folder", SAMPLES, ids=lambda path: path.name)
def test_kept_reports_are_of_this_schema_and_history(folder):
    """Reading fails for another schema; the commit must be one of this branch."""
    commit = read_results(folder / "results.json").environment.commit.split()[0]
    if describe_environment({}).commit is None:
        pytest.skip("no git history here")
    assert re.fullmatch(r"[0-9a-f]{40}", commit)
    command = ["git", "merge-base", "--is-ancestor", commit, "HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, f"{commit} is no ancestor of this commit"


def test_every_difference_stands_in_the_contents():
    text = (ROOT / "docs" / "differences.md").read_text()
    contents = text[: text.index("<!-- measured -->")]
    table = "".join(line for line in contents.splitlines(True) if line[0] == "|")
    titles = re.findall(r"(?m)^## (D\d\d .+)$", text)
    linked = re.findall(r"\[(D\d\d [^]]+)\]\(#([^)]+)\)", table)
    assert sorted(title for title, _ in linked) == titles
    assert all(anchor(title) == target for title, target in linked)
