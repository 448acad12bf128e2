"""What one side computes with a defect in its running code: `python -m tests.planted`.

Arguments: ARM DATA WEIGHTS OUT. Every difference that the side can switch on, and the
defects below, each in turn; OUT holds the ladder's arrays, `<defect>-<precision>.npz`.
Images are small, so that two dozen ladders take minutes.
"""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
from PIL import Image

from bench.ladder import Climber, climb
from bench.worker import import_side
from shared.checkpoints import Description
from shared.config import make_config
from shared.dataset import ImageData, Split, open_cached
from shared.weights import Arrays, initial_head, read_weights

SETTINGS = {"image_size_px": 96, "dropout": 0.0, "epochs": 3}


def resize_nearest(split: Split) -> Split:
    """Images that lost half their pixels and got them back from a neighbour."""
    height, width = split.images.shape[1:3]
    small = (width // 2, height // 2)
    images = [
        np.asarray(Image.fromarray(i).resize(small, 0).resize((width, height), 0))
        for i in split.images
    ]
    return replace(split, images=np.stack(images))


def double_the_gradient(side: SimpleNamespace) -> AbstractContextManager:
    """The right loss with twice its gradient."""
    functional = side.training.nn.functional
    matched = functional.cross_entropy

    def cross_entropy(logits, labels):
        loss = matched(logits, labels)
        return 2 * loss - loss.detach()

    return patch.object(functional, "cross_entropy", cross_entropy)


def repeat_the_first_epoch(side: SimpleNamespace) -> AbstractContextManager:
    """The order of the first epoch in every epoch."""
    matched = side.dataset.epoch_order
    return patch.object(
        side.dataset, "epoch_order", lambda count, seed, _epoch: matched(count, seed, 1)
    )


DEFECTS: dict[str, dict[str, Callable]] = {
    "pytorch": {"double gradient": double_the_gradient},
    "keras": {"repeated epoch": repeat_the_first_epoch},
}


class Planter:
    """One side with its data, ready to climb with a defect."""

    def __init__(self, arm: str, data: ImageData, weights: Path, folder: Path) -> None:
        self.side = import_side(arm)
        self.data = data
        self.weights = read_weights(weights)
        self.folder = folder

    def climb(self, defect: str, planted: Callable, splits: dict) -> None:
        """Store the ladder's arrays, in both precisions."""
        for precision in ("float32", "float64"):
            config = make_config(**SETTINGS, precision=precision)
            self.side.model.set_up(config)
            with planted():
                arrays = climb(self._climber(config, splits, self.folder / defect))
            np.savez(self.folder / f"{defect}-{precision}.npz", **arrays)

    def _climber(self, config, splits: dict, folder: Path) -> Climber:
        weights, classes = self.weights, self.data.classes
        arrays: Arrays = weights.arrays | initial_head(config, len(classes))
        description = Description(
            config=config, classes=classes, mean=weights.mean, std=weights.std
        )
        return Climber(self.side, arrays, description, splits, folder)


def main() -> None:
    arm, data, weights, folder = sys.argv[1:]
    images = open_cached(Path(data))
    planter = Planter(arm, images, Path(weights), Path(folder))
    splits = images.splits
    planter.climb("none", nullcontext, splits)
    if arm == "keras":
        nearest = {name: resize_nearest(split) for name, split in splits.items()}
        planter.climb("nearest", nullcontext, nearest)
    for name, plant in DEFECTS[arm].items():
        planter.climb(name, lambda plant=plant: plant(planter.side), splits)
    for name, switch in planter.side.differences.SWITCHES.items():
        planter.climb(name, switch, splits)


if __name__ == "__main__":
    main()
