"""Find and prepare what both arms start from: images and backbone weights."""

import os
import tempfile
from dataclasses import replace
from pathlib import Path

from bench.display import Display
from bench.processes import ArmFailed, run_worker
from bench.request import Request
from shared.config import Config
from shared.dataset import ImageData, prepare
from shared.downloads import NoNetwork, download_weights
from shared.errors import UserError
from shared.files import cache_folder
from shared.numpy_backbone import random_weights
from shared.weights import KINDS, Weights, read_weights, save_weights

READ_LIMIT_S = 600


def prepare_data(
    data: str | None, config: Config, skip_bad_images: bool, display: Display
) -> ImageData:
    """Find, check and decode the images; see `shared.dataset.prepare`."""
    found = prepare(
        data, config, skip_bad_images=skip_bad_images, progress=display.show
    )
    counts = ", ".join(f"{len(s.labels)} {name}" for name, s in found.splits.items())
    display.say(f"images: {found.name}, {len(found.classes)} classes, {counts}")
    if found.notice:
        display.say(found.notice, "yellow")
    if found.skipped:
        display.say(f"{len(found.skipped)} bad images left out", "yellow")
    return found


def check_weights_choice(choice: str | None) -> None:
    """Fail before any long work if --weights or $BENCH_WEIGHTS names nothing usable."""
    choice = choice or os.environ.get("BENCH_WEIGHTS")
    if not choice or choice in KINDS:
        return
    if not choice.endswith(".pth") or not Path(choice).is_file():
        read_weights(Path(choice))


def prepare_weights(
    choice: str | None, config: Config, data: ImageData, display: Display
) -> Weights:
    """Find the backbone: --weights, $BENCH_WEIGHTS, torchvision's by download, random.

    Only where nothing is named and there is no network, random weights take the place
    of torchvision's, with a notice.

    Raises:
        UserError: the file or download named cannot be used.
    """
    choice = choice or os.environ.get("BENCH_WEIGHTS")
    try:
        weights = _find(choice or "torchvision", config, data, display)
    except NoNetwork as error:
        if choice:
            raise
        display.show("weights: calibrating a random backbone")
        weights = random_weights(data.splits["train"].images, config.seed)
        notice = f"Random weights, since published ones could not be had: {error}"
        weights = replace(weights, notice=notice)
    display.say(f"weights: {weights.source}, {weights.fingerprint[:12]}")
    if weights.notice:
        display.say(weights.notice, "yellow")
    return weights


def _find(choice: str, config: Config, data: ImageData, display: Display) -> Weights:
    if choice == "random":
        display.show("weights: calibrating a random backbone")
        return random_weights(data.splits["train"].images, config.seed)
    if choice in KINDS:
        path = download_weights(choice, cache_folder(), display.show)
        weights = _read(path, config, display, f"{choice}, {path.name}")
        return replace(weights, notice=None)  # their scaling is known, not assumed
    return _read(Path(choice), config, display)


def _read(
    path: Path, config: Config, display: Display, source: str | None = None
) -> Weights:
    if path.suffix != ".pth" or not path.is_file():
        return read_weights(path, source)
    display.show("weights: reading the .pth file with PyTorch")
    with tempfile.TemporaryDirectory() as scratch:
        request = Request(
            job="read_pth",
            arm="pytorch",
            config=config,
            scratch=scratch,
            weights=path.resolve(),
        )
        try:
            done = run_worker(request, lambda event: None, READ_LIMIT_S)  # noqa: ARG005
        except ArmFailed as error:
            raise UserError(f"--weights {path}: PyTorch {error}.") from error
        return read_weights(Path(done["path"]), source or path.name)


def store_weights(weights: Weights, folder: Path) -> Path:
    """Write the weights where the workers read them."""
    path = folder / "backbone.safetensors"
    save_weights(weights, path)
    return path
