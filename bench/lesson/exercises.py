"""List the exercises, write the starting file of one, and say how an answer does."""

from pathlib import Path

from rich.console import Console
from rich.text import Text

from bench.ledger import read_document, read_titles
from bench.lesson.answers import check_answer
from bench.lesson.source import SIDES
from exercises.catalogue import EXERCISES, Exercise
from shared.errors import UserError
from shared.files import explained


def print_exercises(console: Console) -> None:
    """List the exercises by direction, from easy to hard."""
    directions = {"pytorch": "From Keras to PyTorch", "keras": "From PyTorch to Keras"}
    for framework, direction in directions.items():
        console.print(Text(direction, "bold"))
        for exercise in EXERCISES:
            if exercise.framework == framework:
                line = f"  {exercise.name:13}{exercise.title}"
                console.print(line, markup=False, soft_wrap=True)
    console.print(
        "`python -m bench exercise NAME` writes the starting file, and says how to go "
        "on.",
        markup=False,
    )


def write_start(exercise: Exercise, path: Path, console: Console) -> None:
    """Write the starting file.

    Raises:
        UserError: there is a file already, or it cannot be written.
    """
    try:
        with path.open("x") as file:
            file.write(exercise.start.read_text())
    except FileExistsError as error:
        raise UserError(
            f"{path} exists and is left as it is. Choose another file with --output, "
            f"or check it: python -m bench exercise {exercise.name} --check {path}"
        ) from error
    except FileNotFoundError as error:
        raise UserError(
            f"--output {path}: there is no folder {path.parent}."
        ) from error
    except OSError as error:
        raise explained(error, path) from error
    command = f"python -m bench exercise {exercise.name}"
    for line in (
        f"{path}: {exercise.title}",
        f"Your answer is in {SIDES[exercise.framework]}. The file says what to do.",
        f"Check it:   {command} --check {path}",
        f"Get a hint: {command} --hint 1",
    ):
        console.print(line, markup=False, soft_wrap=True)


def judge_answer(
    exercise: Exercise, file: Path, time_limit_s: float, console: Console
) -> bool:
    """Check an answer, print the verdict, and return whether it is solved."""
    with console.status("Running the file ..."):
        finding, printed = check_answer(exercise, file, time_limit_s)
    if printed.strip():
        console.print(f"The end of the output:\n{printed.strip()}\n", markup=False)
    if finding is None:
        titles = read_titles(read_document())
        lines = ["Solved. The ledger, docs/differences.md, says more:"]
        lines += [f"  {entry} {titles.get(entry, '')}" for entry in exercise.entries]
    else:
        lines = [f"Not yet: {finding}"]
    console.print("\n".join(lines), markup=False, soft_wrap=True)
    return finding is None
