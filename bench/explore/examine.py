"""Let the workers of both frameworks look at a data set, and at a finished run."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from bench.explore.duplicates import find_duplicates
from bench.explore.findings import VARIANTS, Findings, RunFindings
from bench.explore.losses import find_candidates, mean_probabilities
from bench.explore.trained import TrainedRun
from bench.processes.arms import PAIR
from bench.processes.request import (
    AugmentImage,
    ExamineCheckpoint,
    GuessImagenet,
    Inputs,
    Request,
)
from bench.processes.worker_process import WorkerProcess, environment_of
from bench.run.devices import Device
from bench.run.display import Display
from shared.config import Config
from shared.data.dataset import ImageData, scan_folder
from shared.model.weights import Weights

TIME_LIMIT_S = 7200
NUM_DRAWS = 6  # images that each variant of augmentation shows
NUM_GUESSED = 3  # photos whose ImageNet classes are guessed


@dataclass
class Exploration:
    """An exploration with its inputs."""

    config: Config
    device: Device
    display: Display
    scratch: Path
    data: ImageData
    inputs: Inputs

    def start_worker(self, config: Config) -> WorkerProcess:
        """Start a process for jobs with a configuration."""
        return WorkerProcess(environment_of(config) | self.device.variables)

    def ask(self, process: WorkerProcess, request: Request) -> dict:
        """Let a process do a job, and return its result."""
        listen = partial(self.display.on_event, request.arm)
        return process.do(request, listen, TIME_LIMIT_S)


def look_at_data(study: Exploration, weights: Weights) -> Findings:
    """Return what can be said without a run: duplicates, augmentation and guesses."""
    data = study.data
    found = Findings(
        data=data,
        weights=weights,
        duplicates=find_duplicates(data, study.display.show),
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
        with study.start_worker(matched) as process:
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


def look_at_run(study: Exploration, run: TrainedRun, command: str) -> RunFindings:
    """Let each trained arm predict all images, and explain some of its predictions.

    Args:
        command: for the page; see `RunFindings`.
    """
    files, classes = study.data.splits["test"].files, study.data.classes
    shown = [photo for photo in run.results.photos if photo.file in files]
    images = [files.index(photo.file) for photo in shown]
    first = next(iter(run.checkpoints))
    predicted = [classes.index(p.answers[first].predicted) for p in shown]
    logits, maps = {}, {}
    for name, checkpoint in run.checkpoints.items():
        request = ExamineCheckpoint(
            arm=name,
            config=study.config,
            scratch=study.scratch / name / "examine",
            inputs=study.inputs,
            checkpoint=checkpoint,
            images=tuple(images),
            classes=tuple(predicted),
        )
        with study.start_worker(study.config) as process:
            found = dict(np.load(study.ask(process, request)["arrays"]))
        if "maps" in found:
            maps[name] = found.pop("maps")
        logits[name] = found
    candidates = find_candidates(study.data, mean_probabilities(logits))
    return RunFindings(
        results=run.results,
        logits=logits,
        candidates=candidates,
        explained=images,
        classes=predicted,
        maps=maps,
        command=command,
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
