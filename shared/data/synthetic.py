"""The embedded data set: ten kinds of clothing, drawn, for where there is no network.

Only the outline of a garment and its details tell its class. Size, pose, fabric,
colours, backdrop and light do not depend on it.
Random numbers are taken in a fixed order: a draw added anywhere changes what follows.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from shared.data.clothes.garments import GARMENTS
from shared.data.clothes.pen import Sketch, render
from shared.data.clothes.scene import photograph
from shared.machine import num_cores

SYNTHETIC_VERSION = 2  # goes up whenever a pixel changes, so that caches notice

CLASSES = tuple(GARMENTS)
COUNTS = {"train": 40, "validation": 10, "test": 10}  # images of each class


def write_dataset(folder: Path, seed: int = 0) -> None:
    """Write `folder`/{train,validation,test}/<class>/<class>-0001.jpg and so on.

    Each image has its own stream of random numbers, so that it does not depend on
    which others are drawn, nor on their order.
    """
    with ThreadPoolExecutor(num_cores()) as pool:
        drawn = []
        for split_index, (split, count) in enumerate(COUNTS.items()):
            for label, class_name in enumerate(CLASSES):
                class_folder = Path(folder) / split / class_name
                class_folder.mkdir(parents=True, exist_ok=True)
                for number in range(1, count + 1):
                    path = class_folder / f"{class_name}-{number:04d}.jpg"
                    key = (seed, split_index, label, number)
                    drawn.append(pool.submit(_write_image, path, class_name, key))
        for image in drawn:
            image.result()  # raises what went wrong


def _write_image(path: Path, class_name: str, key: tuple[int, ...]) -> None:
    rng = np.random.Generator(np.random.Philox(key))
    image = draw_image(class_name, rng)
    image.save(path, quality=int(rng.integers(70, 96)))


def draw_image(class_name: str, rng: np.random.Generator) -> Image.Image:
    """Draw one RGB photo of a garment, about 240x320 pixels and never square.

    `rng` may be any generator; the image is a function of its state and the class.

    Raises:
        KeyError: `class_name` is not one of CLASSES.
    """
    draw_garment = GARMENTS[class_name]
    width, height = _size(rng)
    sketch = Sketch()
    draw_garment(sketch, rng)
    return photograph(render(sketch, width, height, rng), rng)


def _size(rng: np.random.Generator) -> tuple[int, int]:
    """Return width and height in pixels, mostly portrait as photos of clothing are."""
    short = int(rng.integers(216, 265))
    long = int(short * rng.uniform(1.2, 1.45))
    return (short, long) if rng.random() < 0.8 else (long, short)
