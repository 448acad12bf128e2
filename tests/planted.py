"""What one side computes with a defect in its running code: `python -m tests.planted`.

Arguments: ARM DATA WEIGHTS OUT. Each defect of that arm in turn, and none; OUT holds
the ladder's arrays as `<defect>-<precision>.npz`. Images are small, and a climb ends
where its defect must show, so that two dozen ladders take minutes.
"""

import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
from PIL import Image

from bench.worker import parity
from bench.worker.side import Side
from shared.config import make_config
from shared.data.dataset import Split, open_cached
from shared.data.subsets import pick
from shared.model.checkpoints import Description
from shared.model.weights import Arrays, initial_head, read_weights

NUM_LEFT_OUT = 3  # images of the first class
SETTINGS = {"image_size_px": 96, "epochs": 3}


def resize_nearest(split: Split) -> Split:
    """Images that lost half their pixels and got them back from a neighbour."""
    height, width = split.images.shape[1:3]
    small = (width // 2, height // 2)
    images = [
        np.asarray(Image.fromarray(i).resize(small, 0).resize((width, height), 0))
        for i in split.images
    ]
    return replace(split, images=np.stack(images))


def double_the_gradient(side: Side) -> AbstractContextManager:
    """The right loss with twice its gradient."""
    functional = side.training.nn.functional
    matched = functional.cross_entropy

    def cross_entropy(logits, labels, **options):
        loss = matched(logits, labels, **options)
        return 2 * loss - loss.detach()

    return patch.object(functional, "cross_entropy", cross_entropy)


def repeat_the_first_epoch(side: Side) -> AbstractContextManager:
    """The order of the first epoch in every epoch."""
    matched = side.dataset.epoch_order
    return patch.object(
        side.dataset, "epoch_order", lambda count, seed, _epoch: matched(count, seed, 1)
    )


# Each defect, and the rung that must find it first.
DEFECTS = {
    ("pytorch", "D01"): "loss",
    ("pytorch", "D04"): "normalised input",
    ("pytorch", "D06"): "normalised input",
    ("pytorch", "D07"): "logits",
    ("pytorch", "D09"): "AdamW, cosine schedule",
    ("pytorch", "D10"): "epoch losses",
    ("pytorch", "D11"): "augmented batch",
    ("pytorch", "D17"): "loss",
    ("pytorch", "D20"): "backbone features",
    ("pytorch", "D29"): "AdamW, cosine schedule",
    ("pytorch", "D37"): "SGD, class weights",
    ("pytorch", "D40"): "one optimizer step",  # adds to the rung before
    ("pytorch", "D47"): "backbone features",
    ("pytorch", "double gradient"): "head gradients",
    ("keras", "nearest"): "pixels",
    ("keras", "D02"): "backbone features",
    ("keras", "D03"): "backbone features",
    ("keras", "D05"): "backbone features",
    ("keras", "D08"): "one optimizer step",
    ("keras", "D11"): "augmented batch",
    ("keras", "D12"): "augmented batch",
    ("keras", "D13"): "loss",
    ("keras", "D14"): "order of the images",
    ("keras", "D17"): "loss",
    ("keras", "D23"): "one fine-tuning step",
    ("keras", "D26"): "augmented batch",
    ("keras", "D27"): "whole-network gradients",
    ("keras", "D36"): "SGD, class weights",
    ("keras", "D47"): "backbone features",
    ("keras", "repeated epoch"): "half the epochs",
}


class Climber(parity.Climber):
    """One that can be trained, too, on `splits`; its checkpoints go to `folder`."""

    splits: dict[str, Split]
    folder: Path


def train_all_epochs(climber: Climber) -> Arrays:
    """What a run keeps of its training on features for the ladder."""
    side, description, model = climber.side, climber.description, climber.build()
    loaders = tuple(
        side.dataset.make_feature_loader(
            side.inference.compute_features(
                model.backbone, side.dataset.make_loader(split, description)
            ),
            *(split.labels, description, training),
        )
        for split, training in (
            (climber.splits["train"], True),
            (climber.splits["validation"], False),
        )
    )
    return parity.log_training(side, model, loaders, description, climber.folder)


def export_trained(climber: Climber) -> Arrays:
    """Logits of the trained classifier as its checkpoint holds it; and its graph."""
    side = climber.side
    path = climber.folder / f"last{side.checkpoint.SUFFIX}"
    model, description = side.checkpoint.load_checkpoint(path)
    side.export.export_onnx(model, climber.folder / "model.onnx", description)
    sample = side.dataset.make_loader(climber.sample, description)
    return {"trained logits": side.inference.predict_logits(model, sample)}


# What is computed from the lowest rung up to the one that must fail; above it, nothing.
PARTS = (
    ("float32", parity.see_inputs),
    ("float32", parity.run_forward),
    ("float32", parity.take_gradients),
    ("float64", parity.take_gradients),
    ("float64", parity.take_one_step),
    ("float64", parity.fine_tune),
    ("float64", train_all_epochs),
    ("float64", parity.train_with_schedule),
)
LAST_PARTS = {
    "pixels": 1,
    "normalised input": 1,
    "order of the images": 1,
    "augmented batch": 1,
    "backbone features": 2,
    "logits": 2,
    "loss": 4,
    "head gradients": 4,
    "whole-network gradients": 4,
    "one optimizer step": 5,
    "one fine-tuning step": 6,
    "half the epochs": 7,
    "AdamW, cosine schedule": 8,
    "epoch losses": 8,
    "SGD, class weights": 8,
}


class Planter:
    """One side with its data, ready to climb with a defect."""

    def __init__(self, arm: str, data: Path, weights: Path, folder: Path) -> None:
        self.arm = arm
        self.side = Side(arm)
        self.data = open_cached(data)
        self.weights = read_weights(weights)
        self.folder = folder

    def climb_without(self) -> None:
        """The whole ladder as it is."""
        for precision in ("float32", "float64"):
            climber = self._climber(precision)
            found = parity.climb(climber, exact_rungs=precision == "float64")
            found |= train_all_epochs(climber)
            if precision == "float32":
                found |= export_trained(climber)
            self._store("none", precision, found)

    def climb(self, defect: str, parts: int) -> None:
        """The lower parts of the ladder with a defect."""
        for precision in ("float32", "float64"):
            climber, found = self._climber(precision), {}
            if defect == "nearest":
                climber.sample = resize_nearest(climber.sample)
            with self._plant(defect):
                for part_precision, part in PARTS[:parts]:
                    if part_precision == precision:
                        found |= part(climber)
            self._store(defect, precision, found)

    def _plant(self, defect: str) -> AbstractContextManager:
        own = {
            "nearest": nullcontext,
            "double gradient": lambda: double_the_gradient(self.side),
            "repeated epoch": lambda: repeat_the_first_epoch(self.side),
        }
        return (own | self.side.switches.SWITCHES)[defect]()

    def _climber(self, precision: str) -> Climber:
        config = make_config(**SETTINGS, precision=precision)
        self.side.device.set_up(config)
        weights, classes = self.weights, self.data.classes
        arrays = weights.arrays | initial_head(config, len(classes))
        description = Description(
            config=config, classes=classes, mean=weights.mean, std=weights.std
        )
        climber = Climber(self.side, arrays, description, self.data.splits)
        train = self.data.splits["train"]
        # Class weights are all 1 if every class has the same number of images.
        unequal = pick(train, np.arange(NUM_LEFT_OUT, len(train.labels)))
        climber.splits = self.data.splits | {"train": unequal}
        climber.folder = self.folder
        return climber

    def _store(self, defect: str, precision: str, arrays: Arrays) -> None:
        np.savez(self.folder / f"{defect}-{precision}.npz", **arrays)


def main() -> None:
    arm, *paths = sys.argv[1:]
    planter = Planter(arm, *map(Path, paths))
    planter.climb_without()
    for (side, defect), rung in DEFECTS.items():
        if side == arm:
            planter.climb(defect, LAST_PARTS[rung])


if __name__ == "__main__":
    main()
