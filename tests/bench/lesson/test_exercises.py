"""The command `exercise`: what a learner sees, and files that do anything at all."""

from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from bench.cli import execute
from bench.lesson.answers import MAX_BYTES, check_answer
from exercises.catalogue import EXERCISES, find_exercise

EXERCISE = find_exercise("padding")

# What a file contains, and words of the finding. None of them loads a framework.
BAD = {
    "no Python": ("def f(:", "answer.py:1: this is no Python: invalid syntax"),
    "no function": ("x = 1", "the file has no function convolve"),
    "error": ("\nx = 1 / 0", "line 2 stops with ZeroDivisionError"),
    "exit": ("import sys\nsys.exit(0)", "line 2 ends the program"),
    "hard exit": ("import os\nos._exit(0)", "ended with status 0 before the check"),
    "exit in the function": (
        "import os\ndef convolve(*_): os._exit(0)\nconvolve()",
        "ended with status 0 before the check",
    ),
    "killed": ("import os\nos.kill(os.getpid(), 9)", "ended with status -9"),
    "input": ("input()", "line 1 stops with EOFError"),
    "no memory": ("x = [0] * 10**15", "line 1 stops with MemoryError"),
}


@pytest.fixture
def check(tmp_path):
    """Check a file of some text; returns the finding and what was printed."""

    def call(text: str, time_limit_s: float = 60) -> tuple[str | None, str]:
        file = tmp_path / "answer.py"
        file.write_text(text)
        result = check_answer(EXERCISE, file, time_limit_s)
        assert file.read_text() == text
        return result

    return call


@pytest.mark.parametrize(("text", "words"), BAD.values(), ids=BAD)
def test_bad_file_gets_a_clear_finding(check, text, words):
    finding, _ = check(text)
    assert words in finding


def test_file_that_runs_for_ever_is_ended_with_all_that_it_started(check):
    finding, printed = check(
        "import subprocess\nchild = subprocess.Popen(['sleep', '600'])\n"
        "print(child.pid)\nwhile True: pass\n",
        time_limit_s=3,
    )
    assert "still running after 3 seconds" in finding
    with suppress(psutil.NoSuchProcess):  # else it is dead, and nobody has noticed yet
        assert psutil.Process(int(printed)).status() == psutil.STATUS_ZOMBIE


def test_output_is_cut_and_its_bytes_are_made_readable(check):
    finding, printed = check(
        "import os\nfor _ in range(1000): os.write(1, bytes(range(256)) * 100)\n"
        "print('last words')\n"
    )
    assert "no function" in finding
    assert len(printed) <= MAX_BYTES
    assert printed.endswith("last words\n")
    assert "\x1b" not in printed
    assert "�" in printed


def test_file_that_deletes_its_folder_harms_nothing_else(check, tmp_path):
    (tmp_path / "precious").touch()
    finding, printed = check(
        "import os, shutil\nfrom pathlib import Path\nprint(os.getcwd())\n"
        "shutil.rmtree('.', ignore_errors=True)\n"
        "shutil.rmtree(Path(__file__).parent, ignore_errors=True)\n"
    )
    assert "no function" in finding
    assert not Path(printed.strip()).exists()
    assert (tmp_path / "precious").exists()


@pytest.fixture
def run(capsys):
    """Run the command in this process; returns its status and what it printed."""

    def call(*arguments: str) -> tuple[int, str]:
        status = execute("exercise", [*arguments])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return call


def test_list_has_one_line_for_each_exercise(run):
    status, printed = run()
    assert status == 0
    for exercise in EXERCISES:
        lines = [line for line in printed.splitlines() if exercise.title in line]
        assert len(lines) == 1
        assert lines[0].split()[0] == exercise.name


@pytest.mark.slow
def test_learner_solves_an_exercise(run, tmp_path):
    file = tmp_path / "padding.py"
    status, printed = run("padding", "--output", str(file))
    assert status == 0
    assert f"exercise padding --check {file}" in printed
    status, printed = run("padding", "--output", str(file))
    assert status == 2
    assert "exists and is left as it is" in printed
    status, printed = run("padding", "--check", str(file))
    assert status == 1
    assert "the largest difference, 1.6, appears first at block 2" in printed
    _, printed = run("padding", "--hint", "2")
    assert "Keras puts both at the end" in " ".join(printed.split())
    file.write_text(run("padding", "--solution")[1])
    status, printed = run("padding", "--check", str(file))
    assert status == 0, printed
    assert "Solved." in printed
    assert "D03 Padding of stride-2 convolutions" in printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("paddin", "There are loss, loop, padding,"),
        ("--hint 1", "give the name of an exercise"),
        ("padding --hint 1 --solution", "at most one of"),
        ("padding --check missing.py", "there is no such .py file"),
        ("padding --check README.md", "there is no such .py file"),
        ("padding --output missing/padding.py", "there is no folder missing"),
        (
            "padding --check x.py --time-limit-seconds 0",
            "--time-limit-seconds 0: the limit must be more than 0",
        ),
    ],
)
def test_mistake_is_named(run, arguments, words):
    status, printed = run(*arguments.split())
    assert status == 2
    assert words in printed
