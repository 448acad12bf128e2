"""Explore a data set, and a finished run if one is given, and write the pages."""

import os
import shlex
import tempfile
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.explore import decisions, duplicates
from bench.explore.counts import require_enough
from bench.explore.examine import Exploration, look_at_data, look_at_run
from bench.explore.page import write_pages
from bench.explore.trained import read_run, require_same_data
from bench.processes.arms import PAIR
from bench.processes.request import Inputs
from bench.run.devices import choose_device
from bench.run.display import Display
from bench.run.inputs import check_weights_choice, prepare_data, prepare_weights
from shared.config import make_config
from shared.errors import UserError
from shared.files import new_folder, write_atomically
from shared.model.weights import Weights, save_weights

DUPLICATES, RELABEL = "duplicates.csv", "relabel.csv"


@dataclass(frozen=True)
class Options:
    """Options of an exploration; `run` is the output folder of a finished run."""

    output: Path
    data: str | None = None
    weights: str | None = None
    run: Path | None = None
    skip_bad_images: bool = False


def explore(options: Options, display: Display) -> Path:
    """Write the pages and tables into the output folder, and return the HTML page.

    Raises:
        UserError: an input cannot be used; nothing is written.
        ArmFailed: a framework could not do its part; nothing is written.
    """
    with (
        _claim(options.output) as folder,
        tempfile.TemporaryDirectory(prefix="bench-") as scratch,
    ):
        check_weights_choice(options.weights)
        run = read_run(options.run) if options.run else None
        config = run.config if run else make_config()
        arms = {*PAIR, *(run.checkpoints if run else ())}
        device = choose_device(config, None, sorted(arms), display.say)
        config = config.model_copy(update={"device": device.kind})
        data = prepare_data(options.data, config, options.skip_bad_images, display)
        require_enough(data)
        if run:
            require_same_data(run, data)
        weights = prepare_weights(options.weights, config, data, display)
        inputs = Inputs(
            data=data.folder.resolve(), weights=_store(weights, Path(scratch))
        )
        study = Exploration(config, device, display, Path(scratch), data, inputs)
        found = look_at_data(study, weights)
        pairs = found.duplicates.alike
        write_atomically(folder / DUPLICATES, duplicates.to_csv(pairs))
        if run:
            found.run = look_at_run(study, run, _apply_command(options))
            table = decisions.to_csv(found.run.candidates)
            write_atomically(folder / RELABEL, table)
        display.show("writing the pages")
        write_pages(found, folder)
    return options.output / "explore.html"


def _claim(output: Path) -> AbstractContextManager[Path]:
    """Return a context for the files of this exploration; see `new_folder`.

    Raises:
        UserError: the folder holds files, perhaps a table that the user has edited.
    """
    if output.exists() and not (output.is_dir() and not os.listdir(output)):
        raise UserError(
            f"--output {output}: this exists and is not an empty folder. Nothing was "
            "changed. Give the name of a new folder."
        )
    return new_folder(output)


def _store(weights: Weights, folder: Path) -> Path:
    """Write the weights into a file for the workers, with the ImageNet classes."""
    path = folder / "pretrained.safetensors"
    save_weights(replace(weights, arrays=weights.arrays | weights.classifier), path)
    return path


def _apply_command(options: Options) -> str:
    """Return the command that carries out the edited table."""
    data = ["--data", options.data] if options.data else []
    table = ["--apply", str(options.output / RELABEL)]
    copy = ["--destination", "new-images"]
    return shlex.join(["python", "-m", "bench", "explore", *table, *data, *copy])
