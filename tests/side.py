"""What one side computes: `python -m tests.side ARM DATA WEIGHTS OUT`.

Runs in a process of its own and stores every array that the tests compare.
"""

import json
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from bench.worker.side import Side as Code
from shared.augmentation import plan_colors
from shared.config import Config, make_config
from shared.data.dataset import Split, open_cached
from shared.dropout import plan_dropout
from shared.errors import UserError
from shared.metrics import EpochRecord
from shared.model.checkpoints import Description
from shared.model.weights import initial_head, read_weights
from shared.sampling import epoch_order

NUM_TEST, NUM_TRAIN = 37, 75  # neither is a multiple of the batch size
# float64 is slow: a corner of each image must do.
IN = {"float32": {}, "float64": {"precision": "float64", "image_size_px": 128}}
# To train on images in float64: these, NUM_SMALL of them, in batches of 8, 8 and 4.
SMALL = {"precision": "float64", "image_size_px": 64, "batch_size": 8}
NUM_SMALL = 20
# Adam divides a gradient by its size: with its own epsilon it would turn the rounding
# errors of gradients that are 0 into steps.
FINE_TUNING = {
    "all": {"adam_epsilon": 1e-4, "fine_tuning_rate": 1e-5},
    "gradual": {
        "optimizer": "sgd",
        "schedule": "cosine",
        "fine_tuning_rate": 1e-4,
        "label_smoothing": 0.1,
        "cache_features": False,
    },
}
COLOR_CHANGES = ("brightness", "contrast", "saturation")  # in the order of the plan
# What the default run never sets.
SETTINGS = {
    "sgd": {"optimizer": "sgd", "learning_rate": 0.1, "schedule": "cosine"},
    "one-cycle": {"schedule": "one-cycle"},
    "class-weights": {"class_weights": True},
    "label-smoothing": {"label_smoothing": 0.2},
    "smoothing-with-class-weights": {"label_smoothing": 0.2, "class_weights": True},
    "no-hidden-layer": {"inner_size": 0},
}


class Side:
    """The pair's functions of one arm over a few real images."""

    def __init__(self, arm: str, data: Path, weights: Path, folder: Path) -> None:
        self.arm, self.folder = arm, folder
        self.code = Code(arm)
        self.data = open_cached(data)
        self.weights = read_weights(weights)
        self.train = few(self.data.splits["train"], NUM_TRAIN)
        self.test = few(self.data.splits["test"], NUM_TEST)
        self.code.device.set_up(make_config())

    def describe(self, **values: object) -> Description:
        return Description(
            config=make_config(**{"epochs": 2} | values),
            classes=self.data.classes,
            mean=self.weights.mean,
            std=self.weights.std,
        )

    def build(self, description: Description):
        head = initial_head(description.config, len(description.classes))
        return self.code.model.build_model(self.weights.arrays | head, description)

    def loader(self, split: Split, description: Description, training: bool = False):
        size = description.config.image_size_px
        split = replace(split, images=split.images[:, :size, :size])
        return self.code.dataset.make_loader(split, description, training)

    def small_loaders(self, description: Description) -> tuple:
        """Loaders of the same few images for training and for validation."""
        split = few(self.test, NUM_SMALL)
        return tuple(self.loader(split, description, on) for on in (True, False))

    def batch(self, precision: str = "float32") -> tuple[np.ndarray, np.ndarray]:
        """The first batch of test images in this side's layout, and their labels."""
        loader = self.loader(self.test, self.describe(**IN[precision]))
        images, labels = next(iter(loader)) if self.arm == "pytorch" else loader[0]
        return np.asarray(images), np.asarray(labels)


def few(split: Split, count: int) -> Split:
    """`count` images spread over all classes, copied so that slices are cheap."""
    chosen = np.linspace(0, len(split.labels) - 1, count).astype(int)
    return Split(
        split.images[chosen],
        split.labels[chosen],
        tuple(split.files[i] for i in chosen),
    )


def inputs(side: Side) -> dict:
    """Normalised images (N, H, W, 3), plain and augmented; dropout's factors."""
    found = {}
    moved = {"augment": True}
    rounded = moved | {"precision": "bfloat16"}
    for name, changes in (("plain", {}), ("augmented", moved), ("rounded", rounded)):
        description = side.describe(**changes)
        side.code.device.set_up(description.config)
        loader = side.loader(side.train, description, training=True)
        for epoch in (1, 2):
            if side.arm == "pytorch":
                loader.dataset.epoch = epoch
                batches = [
                    ((x.permute(0, 2, 3, 1), kept), y) for (x, kept), y in loader
                ]
            else:
                loader.set_epoch(epoch)
                batches = [loader[i] for i in range(len(loader))]
            inputs, labels = zip(*batches, strict=True)
            images, kept = zip(*inputs, strict=True)
            found[f"{name}_images_{epoch}"] = np.concatenate(images)
            found[f"{name}_kept_{epoch}"] = np.concatenate(kept)
            found[f"{name}_labels_{epoch}"] = np.concatenate(labels)
    side.code.device.set_up(make_config())
    return found


def colors(side: Side) -> dict:
    """Images whose colours alone were changed, 0 to 255, (N, H, W, 3) float64.

    On PyTorch's side also torchvision's own, image by image.
    """
    still = {"rotation_degrees": 0, "crop_scale_min": 1, "flip_probability": 0}
    description = side.describe(augment=True, color_jitter=0.8, **still, **SMALL)
    config, split = description.config, few(side.test, NUM_SMALL)
    side.code.device.set_up(config)
    loader = side.loader(split, description, training=True)
    batches = [batch for _, batch in zip(range(len(loader)), loader, strict=False)]
    images = np.concatenate([np.asarray(inputs[0]) for inputs, _ in batches])
    if side.arm == "pytorch":
        images = images.transpose(0, 2, 3, 1)
    pixels = (images * np.array(description.std) + np.array(description.mean)) * 255
    found = {"colored": pixels[np.argsort(epoch_order(NUM_SMALL, config.seed, 1))]}
    if side.arm == "pytorch":
        found["torchvision_colored"] = _color_with_torchvision(split, config)
    side.code.device.set_up(make_config())
    return found


def _color_with_torchvision(split: Split, config: Config) -> np.ndarray:
    import torch
    from torchvision.transforms.v2 import functional

    colored = []
    for index, image in enumerate(split.images):
        size = config.image_size_px
        pixels = torch.from_numpy(image[:size, :size] / 255).permute(2, 0, 1)
        factors = plan_colors(config, 1, index).astype(float)
        for name, factor in zip(COLOR_CHANGES, factors, strict=True):
            pixels = getattr(functional, f"adjust_{name}")(pixels, factor)
        colored.append(pixels.permute(1, 2, 0).numpy() * 255)
    return np.stack(colored)


def forward(side: Side) -> dict:
    """Features, logits and arrays of the classifier before training."""
    description = side.describe()
    model = side.build(description)
    loader = side.loader(side.test, description)
    found = {
        "features": side.code.inference.compute_features(model.backbone, loader),
        "folded": side.code.inference.compute_features(
            side.code.model.fold_batch_norm(model), loader
        ),
        "logits": side.code.inference.predict_logits(model, loader),
    }
    return found | {
        f"built/{k}": v for k, v in side.code.weights.read_arrays(model).items()
    }


def blocks(side: Side) -> dict:
    """Output of every block of the backbone for one batch."""
    model, (images, _) = side.build(side.describe()), side.batch()
    outputs = side.code.blocks.compute_blocks(model, images)
    return {f"block/{i:02}": output for i, output in enumerate(outputs)}


def cams(side: Side) -> dict:
    """Grad-CAM maps of one batch: for the labels, and for the class after each."""
    model, (images, labels) = side.build(side.describe()), side.batch()
    others = (labels + 1) % len(side.data.classes)
    return {
        name: side.code.cam.compute_cam(model, images, classes.tolist())
        for name, classes in (("cam_labels", labels), ("cam_others", others))
    }


def gradients(side: Side) -> dict:
    """Loss and gradients of one batch with dropout: head alone, then everything.

    In float64: a ReLU6 whose input is nearer to its kink than the rounding error may
    let a gradient pass on one side alone, and in float32 some do.
    """
    description = side.describe(**IN["float64"])
    side.code.device.set_up(description.config)
    model, (images, labels) = side.build(description), side.batch("float64")
    kept = plan_dropout(description.config, len(labels), 1, np.arange(len(labels)))
    found = {}
    for name, trainable in (("head", False), ("whole", True)):
        side.code.model.set_backbone_trainable(model, trainable)
        loss, arrays = side.code.steps.compute_gradients(model, (images, kept), labels)
        found[f"{name}_loss"] = np.array(loss)
        found |= {f"{name}_gradients/{key}": value for key, value in arrays.items()}
    after = side.code.weights.read_arrays(model)
    side.code.device.set_up(side.describe().config)
    return found | {f"after_gradients/{key}": value for key, value in after.items()}


def training(side: Side) -> dict:
    """Two epochs from cached features, from images, and augmented with dropout.

    Interpolated pixels are rounded in other places on each side, and Adam divides a
    gradient by its own size: only float64 shows whether augmented training is the same.
    Augmented images pass through batch norm as it is, the others where it is folded.
    """
    found = {}
    for name, values in {
        "cached": {"dropout": 0.0},
        "uncached": {"dropout": 0.0, "cache_features": False},
        "augmented": {"augment": True, "fold_batch_norm": False} | IN["float64"],
    }.items():
        description = side.describe(**values)
        side.code.device.set_up(description.config)
        model = side.build(description)
        splits = {"train": side.train, "validation": side.test}
        loaders = {
            key: side.loader(split, description, training=key == "train")
            for key, split in splits.items()
        }
        if description.config.features_are_cached:
            loaders = {
                key: side.code.dataset.make_feature_loader(
                    side.code.inference.compute_features(
                        model.backbone, side.loader(split, description)
                    ),
                    split.labels,
                    description,
                    key == "train",
                )
                for key, split in splits.items()
            }
        history = side.code.training.train(
            model,
            loaders["train"],
            loaders["validation"],
            description,
            side.folder / name,
            lambda *_epoch: None,
        )
        found[f"{name}_history"] = np.array(
            [[r.train_loss, r.train_accuracy, r.validation_loss, r.validation_accuracy]
             for r in history]
        )  # fmt: skip
        arrays = side.code.weights.read_arrays(model)
        found |= {f"{name}/{key}": value for key, value in arrays.items()}
    side.code.device.set_up(make_config())
    return found


def settings(side: Side) -> dict:
    """Two epochs on features with each setting that only the experiments change.

    Four batches of features are computed once. In float64, where a difference between
    the sides is none of rounding.
    """
    code, found = side.code, {}
    exact = {"precision": "float64", "batch_size": 16}
    code.device.set_up(make_config(**exact))
    features = np.random.default_rng(0).random((NUM_TRAIN, 1280))
    for name, values in SETTINGS.items():
        description = side.describe(**exact, **values)
        model = side.build(description)
        loaders = [
            code.dataset.make_feature_loader(
                features, side.train.labels, description, training
            )
            for training in (True, False)
        ]
        code.training.train(
            *(model, *loaders, description, side.folder / name),
            lambda *_epoch: None,
        )
        path = side.folder / name / f"last{code.checkpoint.SUFFIX}"
        state = code.checkpoint.load_optimizer_state(path)
        loaded, _ = code.checkpoint.load_checkpoint(path)
        optimizer = code.optimizer.make_optimizer(loaded, description.config, 10)
        code.optimizer.load_optimizer(loaded, optimizer, state)
        again = code.optimizer.read_optimizer(loaded, optimizer)
        arrays = code.weights.read_arrays(model)
        found |= {f"{name}/{n}": a for n, a in arrays.items() if "head." in n}
        found |= {f"{name}_state/{n}": array for n, array in state.items()}
        found |= {f"{name}_again_state/{n}": array for n, array in again.items()}
    code.device.set_up(make_config())
    return found


def pipelines(side: Side) -> dict:
    """[D34] Train while Keras may make no tf.data pipeline itself; are ours tuned?"""
    if side.arm == "pytorch":
        return {}
    from keras.src.trainers.data_adapters.py_dataset_adapter import PyDatasetAdapter

    description = side.describe()
    model, images = side.build(description), side.loader(side.test, description)
    features = [
        side.code.dataset.make_feature_loader(
            *(np.zeros((5, 1280), "float32"), np.arange(5), description), training
        )
        for training in (True, False)
    ]
    with patch.object(PyDatasetAdapter, "get_tf_dataset", side_effect=AssertionError):
        side.code.training.train(
            *(model, *features, description, side.folder / "pipelines"),
            lambda *_epoch: None,
        )
    enabled = [
        loader.make_pipeline().options().autotune.enabled
        for loader in (images, *features)
    ]
    return {"tuned": np.array(enabled)}


def drift(side: Side) -> dict:
    """[D01] Two epochs on images whose batch norm drifts.

    By the setting on both sides, and by the switch on PyTorch's.
    """
    code, found = side.code, {}
    ways = {"drifting": ({"batch_norm": "drifting"}, nullcontext())}
    if "D01" in code.switches.SWITCHES:
        ways["switched"] = {"cache_features": False}, code.switches.switched_on("D01")
    for name, (values, switch) in ways.items():
        description = side.describe(**values, **SMALL)
        code.device.set_up(description.config)
        loaders = side.small_loaders(description)
        with switch:
            model = side.build(description)
            history = code.training.train(
                *(model, *loaders, description, side.folder / name),
                lambda *_epoch: None,
            )
        arrays = code.weights.read_arrays(model)
        found |= {f"{name}/{key}": array for key, array in arrays.items()}
        found[f"{name}_losses"] = losses_of(history)
    path = side.folder / "drifting" / f"last{code.checkpoint.SUFFIX}"
    loaded, _ = code.checkpoint.load_checkpoint(path)
    found["drifting_logits"] = code.inference.predict_logits(loaded, loaders[1])
    code.device.set_up(make_config())
    return found


def fine_tuning(side: Side) -> dict:
    """An epoch of the head, on features or images, and two of fine-tuning."""
    found = {}
    for name, values in FINE_TUNING.items():
        description = side.describe(
            epochs=1, fine_tuning=name, fine_tuning_epochs=2, **values, **SMALL
        )
        side.code.device.set_up(description.config)
        found |= _fine_tune(side, description, name)
    side.code.device.set_up(make_config())
    return found


def _fine_tune(side: Side, description: Description, name: str) -> dict:
    """The arrays after each epoch, and what the two checkpoints hold."""
    code, found = side.code, {}
    model, images = side.build(description), side.small_loaders(description)
    loaders = images
    if description.config.features_are_cached:
        features = code.inference.compute_features(model.backbone, images[1])
        labels = few(side.test, NUM_SMALL).labels
        loaders = [
            code.dataset.make_feature_loader(features, labels, description, training)
            for training in (True, False)
        ]

    def keep(part: str, model) -> None:
        arrays = code.weights.read_arrays(model)
        found.update({f"{name}_{part}/{key}": a for key, a in arrays.items()})

    history = code.training.train(
        *(model, *loaders, description, side.folder / name),
        lambda record, _logits: keep(str(record.epoch), model),
        images,
    )
    accuracies = [record.validation_accuracy for record in history]
    found[f"{name}_best_epoch"] = np.array(1 + np.argmax(accuracies))
    found[f"{name}_losses"] = losses_of(history)
    best, last = (
        side.folder / name / f"{kept}{code.checkpoint.SUFFIX}"
        for kept in ("best", "last")
    )
    keep("best", code.checkpoint.load_checkpoint(best)[0])
    state = code.checkpoint.load_optimizer_state(last)
    return found | {f"{name}_state/{key}": array for key, array in state.items()}


def losses_of(history: list[EpochRecord]) -> np.ndarray:
    """Losses of training and validation in each epoch, (epochs, 2)."""
    return np.array([[r.train_loss, r.validation_loss] for r in history])


def checkpoints(side: Side) -> dict:
    """Logits before saving a checkpoint and after loading it."""
    description = side.describe()
    model = side.build(description)
    loader = side.loader(side.test, description)
    predict = side.code.inference.predict_logits
    path = side.code.checkpoint.save_checkpoint(
        model, side.folder, "round-trip", description, epoch=1, optimizer_state={}
    )
    assert side.code.checkpoint.load_optimizer_state(path) == {}
    loaded, restored = side.code.checkpoint.load_checkpoint(path)
    assert restored == description
    return {
        "saved_logits": predict(model, loader),
        "loaded_logits": predict(loaded, loader),
    }


def optimizers(side: Side) -> dict:
    """Their state after two epochs as saved, after being loaded, and before training.

    From cached features, where Keras compiles the head, and from images.
    """
    code, found = side.code, {}
    for run in ("cached", "uncached"):
        path = side.folder / run / f"last{code.checkpoint.SUFFIX}"
        model, description = code.checkpoint.load_checkpoint(path)
        optimizer = code.optimizer.make_optimizer(model, description.config, 1)
        states = {"fresh": code.optimizer.read_optimizer(model, optimizer)}
        states["saved"] = code.checkpoint.load_optimizer_state(path)
        code.optimizer.load_optimizer(model, optimizer, states["saved"])
        states["loaded"] = code.optimizer.read_optimizer(model, optimizer)
        for key, state in states.items():
            found |= {f"{run}_{key}_state/{n}": array for n, array in state.items()}
        last = "exp_avg_sq/head.output.bias"
        lacking = {n: array for n, array in states["saved"].items() if n != last}
        with pytest.raises(UserError, match=f"'{last}' is missing"):
            code.optimizer.load_optimizer(model, optimizer, lacking)
    return found


def choice(side: Side) -> dict:
    """Which epoch `best` and `last` hold after accuracies with a tie at the top."""
    description = side.describe()
    model, history = side.build(description), []
    optimizer = side.code.optimizer.make_optimizer(model, description.config, 1)
    folder = side.folder / "choice"
    for epoch, accuracy in enumerate([0.5, 0.7, 0.7, 0.6], start=1):
        record = EpochRecord(
            epoch=epoch,
            train_loss=1,
            train_accuracy=0,
            validation_loss=1 / epoch,
            validation_accuracy=accuracy,
            seconds=0,
        )
        history.append(record)
        side.code.training.keep_checkpoints(
            model, optimizer, history, description, folder
        )
    epochs = [
        json.loads((folder / f"{name}.json").read_text())["epoch"]
        for name in ("best", "last")
    ]
    return {"kept_epochs": np.array(epochs)}


def exports(side: Side) -> dict:
    """The graph of the classifier, and of one with a planted epsilon.

    The second one says that its images were cropped.
    """
    planted = {"batch_norm_epsilon": 1e-3, "resize": "crop"}
    for name, values in (("model", {}), ("planted-epsilon", planted)):
        description = side.describe(**values)
        model = side.build(description)
        side.code.export.export_onnx(model, side.folder / f"{name}.onnx", description)
    return {}


def main() -> None:
    arm, *paths = sys.argv[1:]
    side = Side(arm, *map(Path, paths))
    arrays = {}
    for part in (
        inputs,
        colors,
        forward,
        blocks,
        cams,
        gradients,
        training,
        settings,
        pipelines,
        drift,
        fine_tuning,
        checkpoints,
        optimizers,
        choice,
        exports,
    ):
        arrays |= part(side)
    np.savez(side.folder / "arrays.npz", **arrays)


if __name__ == "__main__":
    main()
