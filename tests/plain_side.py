"""What one plain side does: `python -m tests.plain_side ARM DATA WEIGHTS OUT`.

Runs in a process of its own, on a few photos, and stores what the tests look at.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.processes.request import Inputs
from bench.worker.programs import PlainProgram
from bench.worker.side import Side as Code
from shared.config import make_config
from shared.data.dataset import prepare
from shared.data.folders import link_images
from shared.errors import UserError
from shared.metrics import accuracy, cross_entropy
from shared.model.checkpoints import Description, read_record
from shared.model.weights import read_weights

EPOCHS = 4


class Side:
    """One arm's code, its images as arrays and as files, and a classifier to train."""

    def __init__(self, arm: str, data: Path, weights: Path, folder: Path) -> None:
        self.arm, self.folder = arm, folder
        self.code = Code(arm)
        self.data = prepare(str(data), make_config(), cache=folder / "cache")
        self.files = link_images(self.data, folder / "images")
        self.weights = read_weights(weights)
        config = self.describe().config
        self.code.device.set_up(config)
        inputs = Inputs(data=data, weights=weights, folders=self.files)
        self.program = PlainProgram(self.code, arm, inputs)

    def describe(self, **values: object) -> Description:
        settings = {"division": "plain", "epochs": EPOCHS}
        return Description(
            config=make_config(**settings | values),
            classes=self.data.classes,
            mean=self.weights.mean,
            std=self.weights.std,
        )

    def loader(self, split: str, training: bool = False, **values: object):
        description = self.describe(**values)
        return self.program.make_loader(self.data, split, description, training)

    def batches(self, loader) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Images as (N, H, W, 3) and labels, batch by batch."""
        for images, labels in loader:
            images = np.asarray(images)
            if self.arm == "pytorch":
                images = images.transpose(0, 2, 3, 1)
            yield images, np.asarray(labels)


def loaders(side: Side) -> dict:
    """Validation images beside the decoded ones; training labels of two epochs."""
    images, labels = zip(*side.batches(side.loader("validation")), strict=True)
    decoded = side.code.dataset.make_loader(
        side.data.splits["validation"], side.describe()
    )
    indices = range(len(decoded)) if side.arm == "keras" else None
    pairs = decoded if indices is None else (decoded[i] for i in indices)
    found = {
        "batch_sizes": np.array([len(part) for part in labels]),
        "images": np.concatenate(images),
        "labels": np.concatenate(labels),
        "decoded": np.concatenate([part for part, _ in side.batches(pairs)]),
    }
    training = side.loader("train", training=True)
    augmented = side.loader("train", training=True, augment=True)
    for epoch in (1, 2):
        _, labels = zip(*side.batches(training), strict=True)
        found[f"train_labels_{epoch}"] = np.concatenate(labels)
        images, _ = zip(*side.batches(augmented), strict=True)
        found[f"augmented_{epoch}"] = np.concatenate(images)
    return found


def training(side: Side) -> dict:
    """Two epochs: arrays before and after, figures reported and figures recomputed."""
    description = side.describe()
    model = side.program.build_model({}, description)
    found = prefixed("before", side.code.weights.read_arrays(model))
    validation = side.loader("validation")
    labels = side.data.splits["validation"].labels
    predict = side.code.inference.predict_logits
    recomputed = []

    def on_epoch(_record) -> None:
        logits = predict(model, validation)
        recomputed.append([cross_entropy(logits, labels), accuracy(logits, labels)])

    folder = side.folder / "models"
    history = side.program.train(
        model,
        side.loader("train", training=True),
        validation,
        description,
        folder,
        on_epoch,
    )
    found |= prefixed("after", side.code.weights.read_arrays(model))
    found["reported"] = np.array(
        [[record.validation_loss, record.validation_accuracy] for record in history]
    )
    found["recomputed"] = np.array(recomputed)
    suffix = side.program.suffix
    found["kept_epochs"] = np.array(
        [read_record(folder / f"{name}{suffix}").epoch for name in ("best", "last")]
    )
    loaded, restored = side.program.load_checkpoint(folder / f"last{suffix}")
    assert restored == description
    found["logits"] = predict(model, validation)
    found["loaded_logits"] = predict(loaded, validation)
    found["architecture"] = np.array(json.dumps(architecture(side.arm, loaded)))
    unfrozen = side.program.code.model.unfreeze(loaded)
    found["unfrozen"] = np.array(sorted(side.code.optimizer.find_trained(unfrozen)))
    return found


def architecture(arm: str, model) -> dict:
    """Epsilons, paddings and trainable variables of a classifier, as found in it."""
    if arm == "pytorch":
        layers = list(model.backbone.modules())
        return {
            "epsilons": sorted({x.eps for x in layers if hasattr(x, "eps")}),
            "paddings": sorted(
                {x.padding for x in layers if getattr(x, "stride", 0) == (2, 2)}
            ),
            "trainable": sum(array.requires_grad for array in model.parameters()),
        }
    layers = model.get_layer("backbone").layers
    return {
        "epsilons": sorted({x.epsilon for x in layers if hasattr(x, "epsilon")}),
        "paddings": sorted({str(x.padding) for x in layers if x.name.endswith("_pad")}),
        "trainable": len(model.trainable_variables),
    }


def steps(side: Side) -> dict:
    """Losses of a few updates from one batch, as the timing job makes them."""
    description = side.describe()
    model = side.program.build_model({}, description)
    images, labels = map(np.asarray, next(iter(side.loader("train"))))
    step = side.program.make_train_step(model, description.config, on_features=False)
    return {"losses": np.array([step(images, labels) for _ in range(12)])}


def refusal(side: Side) -> dict:
    """What is said about a file that the loader would leave out."""
    odd = next((side.files / "test").glob("*/*"))
    odd.rename(odd.with_suffix({"pytorch": ".gif", "keras": ".webp"}[side.arm]))
    try:
        side.loader("test")
    except UserError as error:
        return {"refusal": np.array(str(error))}
    return {"refusal": np.array("none")}


def prefixed(name: str, arrays: dict) -> dict:
    return {f"{name}/{key}": value for key, value in arrays.items()}


def main() -> None:
    arm, *paths = sys.argv[1:]
    side = Side(arm, *map(Path, paths))
    found = {}
    for part in (loaders, training, steps, refusal):
        found |= part(side)
    np.savez(side.folder / "arrays.npz", **found)


if __name__ == "__main__":
    main()
