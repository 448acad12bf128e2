"""What the probes of the difference ledger look at: a few images and real weights."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
from PIL import Image

from shared.clock import now
from shared.model.checkpoints import Description
from shared.model.weights import Arrays

BATCH_SIZE = 32
NUM_NUMBERED = 2048  # eight of the buffers that Keras shuffles in
NUM_EPOCHS = 100  # three steps each
NUM_CALLS = 5
NUM_PASSES, SLOW_BATCHES, BATCH_S = 12, 4, 0.1
HELD_UP_S = 0.05  # what ends a pass by itself takes far less
PHOTO_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")
ENDINGS = (*PHOTO_ENDINGS, ".ppm", ".pgm")


@dataclass(frozen=True, eq=False)
class Sample:
    """Inputs of every probe, the same for both sides.

    Attributes:
        images: (N, H, W, 3) uint8, ordered by class.
        labels: (N,) int64.
        photos: JPEG files of various sizes, as they came; there may be none.
        arrays: backbone and first head in torchvision's names and layout.
        folder: for what a probe writes.
    """

    images: np.ndarray
    labels: np.ndarray
    photos: tuple[Path, ...]
    arrays: Arrays
    description: Description
    folder: Path

    @cached_property
    def ramp(self) -> np.ndarray:
        """Return a picture whose values are its pixels' places, (H, W, 3) float32.

        Channel 0 rises from 0 to 1 from left to right, channel 1 from top to bottom;
        upright, as most photos are.
        """
        rows, columns = np.mgrid[0:1:267j, 0:1:200j]
        return np.stack([columns, rows, 0 * rows], axis=-1).astype(np.float32)

    @cached_property
    def channels(self) -> np.ndarray:
        """Return an array of the shape that the third depthwise convolution gets.

        (BATCH_SIZE, 56, 56, 144) float32, from the images' values.
        """
        return np.resize(self.images, (BATCH_SIZE, 56, 56, 144)).astype(np.float32)

    @cached_property
    def standard_brightness(self) -> np.ndarray:
        """Return how bright each image is, (N,) float32 of mean 0 and variance 1."""
        found = self.images.mean(axis=(1, 2, 3))
        return ((found - found.mean()) / found.std()).astype(np.float32)

    @cached_property
    def endings(self) -> Path:
        """Make a folder with one class and a file for each ending that images have."""
        folder = self.folder / "endings" / "class"
        folder.mkdir(parents=True)
        for ending in ENDINGS:
            mode = "L" if ending == ".pgm" else "RGB"
            Image.new(mode, (1, 1)).save(folder / f"image{ending}")
        return folder.parent

    @cached_property
    def numbered(self) -> Path:
        """Make a folder with one class, whose images of one pixel hold their number.

        The number is red * 256 + green: the order of a data set can be read off.
        """
        folder = self.folder / "numbered" / "class"
        folder.mkdir(parents=True)
        for number in range(NUM_NUMBERED):
            pixel = Image.new("RGB", (1, 1), (*divmod(number, 256), 0))
            pixel.save(folder / f"{number:04}.png")
        return folder.parent


def seconds_of_a_call(call: Callable[[], object]) -> float:
    """Return the median seconds of a few calls; each must wait for its result."""
    seconds = []
    for _ in range(1 + NUM_CALLS):
        start = now()
        call()
        seconds.append(now() - start)
    return float(np.median(seconds[1:]))


def batch_size(path: Path) -> int:
    """Return the size of the batches that an ONNX file takes, 0 for any size."""
    (graph_input,) = onnx.load(path).graph.input
    return graph_input.type.tensor_type.shape.dim[0].dim_value


def slow_batches() -> Iterator[int]:
    """Return batches that take as long to make as a training step takes."""
    for batch in range(SLOW_BATCHES):
        time.sleep(BATCH_S)
        yield batch


def longest_wait(make_loader: Callable[[], Iterable]) -> float:
    """Return the most seconds of several passes from the last batch to the end."""
    waits = []
    for _ in range(NUM_PASSES):
        last = 0.0
        for _batch in make_loader():
            last = now()
        waits.append(now() - last)
    return max(waits)
