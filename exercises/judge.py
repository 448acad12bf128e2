"""Check an answer: `python -m exercises.judge NAME FILE VERDICT`.

This process loads the framework and runs the answer. The finding is written to the
file VERDICT as JSON: a sentence that says what is off, or null for a solved exercise.
"""

import ast
import json
import sys
import traceback
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from exercises.catalogue import find_exercise
from exercises.expectations import NotYet

MAX_CHARACTERS = 800  # of an error message; Keras's can fill a screen


def judge(name: str, file: Path) -> str | None:
    """Run an answer and check it.

    Returns:
        What is off, in words; None if the answer solves the exercise.
    """
    exercise = find_exercise(name)
    try:
        answer = _load(file)
        _require_functions(answer, exercise.start.read_text())
        import_module(f"exercises.{exercise.name}.check").check(answer)
    except NotYet as finding:
        return f"{finding}"
    except BaseException as error:  # SystemExit too: whoever leaves early has no answer
        return _describe(error, file)
    return None


def _load(file: Path) -> ModuleType:
    spec = spec_from_file_location("answer", file)
    answer = module_from_spec(spec)
    spec.loader.exec_module(answer)
    return answer


def _require_functions(answer: ModuleType, start: str) -> None:
    """Raise NotYet if a function of the starting file is gone."""
    for node in ast.parse(start).body:
        if isinstance(node, ast.FunctionDef) and not hasattr(answer, node.name):
            raise NotYet(f"the file has no function {node.name}, which is checked.")


def _describe(error: BaseException, file: Path) -> str:
    """Say in which line of the answer an error came up, and which one."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    place = f"line {lines[-1]}" if lines else "the check"
    if isinstance(error, SystemExit):
        return f"{place} ends the program. Take the call of exit() out."
    reason = traceback.format_exception_only(error)[-1].strip()
    return f"{place} stops with {reason}"[:MAX_CHARACTERS]


def main() -> None:
    """Judge the answer that the command line names."""
    name, file, verdict = sys.argv[1:]
    sys.argv = [file]  # an answer that reads its arguments finds none
    Path(verdict).write_text(json.dumps(judge(name, Path(file))))


if __name__ == "__main__":
    main()
