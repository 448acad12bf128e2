"""Explore a data set, and a finished run if one is given, and write the pages."""

import os
import shlex
import tempfile
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from bench.explore import duplicates, relabel
from bench.explore.counts import require_enough
from bench.explore.findings import VARIANTS, Findings, RunFindings
from bench.explore.losses import find_candidates, mean_probabilities
from bench.explore.page import write_pages
from bench.processes.arms import PAIR
from bench.processes.request import (
    AugmentImage,
    ExamineCheckpoint,
    GuessImagenet,
    Inputs,
    Request,
)
from bench.processes.worker_process import WorkerProcess, environment_of
from bench.records import Results, read_results
from bench.run.display import Display
from bench.run.inputs import check_weights_choice, prepare_data, prepare_weights
from shared.config import Config, make_config
from shared.data.dataset import ImageData, scan_folder
from shared.errors import UserError
from shared.files import new_folder, write_atomically
from shared.model.checkpoints import read_description
from shared.model.weights import Weights, save_weights

TIME_LIMIT_S = 7200
NUM_DRAWS = 6  # images that each variant of augmentation shows
NUM_GUESSED = 3  # photos whose ImageNet classes are guessed
DUPLICATES, RELABEL = "duplicates.csv", "relabel.csv"


@dataclass(frozen=True)
class Options:
    """Options of an exploration; `run` is the output folder of a finished run."""

    output: Path
    data: str | None = None
    weights: str | None = None
    run: Path | None = None
    skip_bad_images: bool = False


@dataclass
class Exploration:
    """An exploration with its inputs."""

    config: Config
    display: Display
    scratch: Path
    data: ImageData
    inputs: Inputs

    def ask(self, process: WorkerProcess, request: Request) -> dict:
        """Let a process do a job, and return its result."""
        listen = partial(self.display.on_event, request.arm)
        return process.do(request, listen, TIME_LIMIT_S)


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
        results = _read_run(options.run) if options.run else None
        config = _config_of(options.run, results)
        data = prepare_data(options.data, config, options.skip_bad_images, display)
        require_enough(data)
        if results:
            _require_same_data(options.run, results, data)
        weights = prepare_weights(options.weights, config, data, display)
        inputs = Inputs(
            data=data.folder.resolve(), weights=_store(weights, Path(scratch))
        )
        study = Exploration(config, display, Path(scratch), data, inputs)
        findings = _look_at_data(study, weights)
        if results:
            findings.run = _look_at_run(study, options, results)
        pairs = findings.duplicates.alike
        write_atomically(folder / DUPLICATES, duplicates.to_csv(pairs))
        if findings.run:
            table = relabel.to_csv(findings.run.candidates)
            write_atomically(folder / RELABEL, table)
        display.show("writing the pages")
        write_pages(findings, folder)
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


def _read_run(folder: Path) -> Results:
    """Read the record of a run that trained an arm, and check the checkpoints.

    Raises:
        UserError: there is no such run, or a checkpoint cannot be used.
    """
    results = read_results(folder / "results.json")
    trained = [arm for arm in results.arms.values() if arm.test and arm.checkpoint]
    if not trained:
        raise UserError(
            f"--run {folder}: this run has no trained classifier. Give the output "
            "folder of `python -m bench train` or `python -m bench all`."
        )
    for arm in trained:
        read_description(folder / arm.checkpoint)
    return results


def _config_of(folder: Path | None, results: Results | None) -> Config:
    """Return the configuration of the run's checkpoints, on the device that is here."""
    if results is None:
        return make_config()
    arm = next(arm for arm in results.arms.values() if arm.test and arm.checkpoint)
    config = read_description(folder / arm.checkpoint).config
    return config.model_copy(update={"device": "auto"})


def _require_same_data(folder: Path, results: Results, data: ImageData) -> None:
    if (results.data.fingerprint, tuple(results.data.classes)) != (
        data.fingerprint,
        data.classes,
    ):
        raise UserError(
            f"--data: {data.name} does not have the images that the run in {folder} "
            f"was trained on ({results.data.name}). Give that data set with --data."
        )


def _store(weights: Weights, folder: Path) -> Path:
    """Write the weights into a file for the workers, with the ImageNet classes."""
    path = folder / "pretrained.safetensors"
    save_weights(replace(weights, arrays=weights.arrays | weights.classifier), path)
    return path


def _look_at_data(study: Exploration, weights: Weights) -> Findings:
    """Return what can be said without a run: duplicates, augmentation and guesses."""
    data = study.data
    found = Findings(
        data=data,
        weights=weights,
        duplicates=duplicates.find_duplicates(data, study.display.show),
        example=_middle_of_class(data, "train", 0),
        guessed=_spread_over_classes(data),
    )
    study.display.say(f"images that look alike: {len(found.duplicates.alike)} pairs")
    image = data.splits["train"].images[found.example]
    copies = _write_copies(image, study.scratch / "copies")
    files, test = scan_folder(data.source_folder)["test"], data.splits["test"].files
    photos = tuple(files[test[i]].resolve() for i in found.guessed)
    matched = study.config.model_copy(update={"division": "matched"})
    for arm in PAIR:
        common = {"arm": arm, "config": matched, "inputs": study.inputs}
        with WorkerProcess() as process:
            augment = AugmentImage(
                **common,
                scratch=study.scratch / arm / "augment",
                image=found.example,
                variants=VARIANTS,
                copies=copies,
            )
            arrays = np.load(study.ask(process, augment)["arrays"])
            found.augmented[arm] = dict(arrays)
            if weights.classifier:
                guess = GuessImagenet(
                    **common, scratch=study.scratch / arm / "guess", photos=photos
                )
                found.guesses[arm] = study.ask(process, guess)["guesses"]
    return found


def _look_at_run(study: Exploration, options: Options, results: Results) -> RunFindings:
    """Let each trained arm predict all images, and explain some of its predictions."""
    test = study.data.splits["test"].files
    shown = [photo for photo in results.photos if photo.file in test]
    first = next(name for name, arm in results.arms.items() if arm.test)
    classes = [study.data.classes.index(p.answers[first].predicted) for p in shown]
    images = [test.index(photo.file) for photo in shown]
    logits, maps = {}, {}
    for name, arm in results.arms.items():
        if not (arm.test and arm.checkpoint):
            continue
        checkpoint = (options.run / arm.checkpoint).resolve()
        request = ExamineCheckpoint(
            arm=name,
            config=study.config,
            scratch=study.scratch / name / "examine",
            inputs=study.inputs,
            checkpoint=checkpoint,
            images=tuple(images),
            classes=tuple(classes),
        )
        with WorkerProcess(environment_of(study.config)) as process:
            found = dict(np.load(study.ask(process, request)["arrays"]))
        if "maps" in found:
            maps[name] = found.pop("maps")
        logits[name] = found
    candidates = find_candidates(study.data, mean_probabilities(logits))
    return RunFindings(
        results=results,
        logits=logits,
        candidates=candidates,
        explained=images,
        classes=classes,
        maps=maps,
        command=_apply_command(options),
    )


def _apply_command(options: Options) -> str:
    """Return the command that carries out the edited table."""
    data = ["--data", options.data] if options.data else []
    table = ["--apply", str(options.output / RELABEL)]
    return shlex.join(
        [
            "python",
            "-m",
            "bench",
            "explore",
            *table,
            *data,
            "--destination",
            "new-images",
        ]
    )


def _middle_of_class(data: ImageData, split: str, label: int) -> int:
    """Return the place of an image of a class, the one in the middle of its files."""
    places = np.flatnonzero(data.splits[split].labels == label)
    return int(places[len(places) // 2])


def _spread_over_classes(data: ImageData) -> list[int]:
    """Return the places of a few test images of different classes."""
    count = min(NUM_GUESSED, len(data.classes))
    labels = np.linspace(0, len(data.classes) - 1, count).round().astype(int)
    return [_middle_of_class(data, "test", label) for label in labels]


def _write_copies(image: np.ndarray, folder: Path) -> Path:
    """Make a folder with one class and the same image in it, once for each draw."""
    (folder / "class").mkdir(parents=True)
    for draw in range(NUM_DRAWS):
        Image.fromarray(image).save(folder / "class" / f"{draw}.png")
    return folder
