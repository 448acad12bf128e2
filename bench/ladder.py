"""What one side computes for each rung of the parity ladder; runs in a worker."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from shared.checkpoints import Description
from shared.dataset import Split
from shared.records import EpochRecord
from shared.weights import Arrays

# A whole batch of 32 and a rest; in float64, which is slow, few show as much.
NUM_IMAGES = {"float32": 37, "float64": 5}
DECAY = 0.01  # of the rung for AdamW, whatever the run's own is


class Climber:
    """One side, its untrained classifier, and the few images that rungs look at."""

    def __init__(
        self,
        side: SimpleNamespace,
        arrays: Arrays,
        description: Description,
        splits: dict[str, Split],
        folder: Path,
    ) -> None:
        self.side = side
        self.arrays = arrays
        self.description = description
        self.splits = splits
        self.folder = folder
        count = NUM_IMAGES[description.config.precision]
        self.sample = spread(splits["test"], count)

    def build(self):
        """The classifier as it is before training."""
        return self.side.model.build_model(self.arrays, self.description)

    def configured(self, **changes: object) -> Description:
        """The description with some fields of its configuration changed."""
        config = self.description.config.model_copy(update=changes)
        return self.description.model_copy(update={"config": config})

    def batches(
        self, description: Description, training: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and labels of one pass over the sample, in this side's layout."""
        loader = self.side.dataset.make_loader(self.sample, description, training)
        batches = [batch for _, batch in zip(range(len(loader)), loader, strict=False)]
        images, labels = zip(*batches, strict=True)
        return np.concatenate(images), np.concatenate(labels)

    def head(self, model, rung: str) -> Arrays:
        """The head's arrays, named for a rung."""
        arrays = self.side.model.read_arrays(model)
        return {f"{rung}/{n}": a for n, a in arrays.items() if n.startswith("head.")}


def spread(split: Split, count: int) -> Split:
    """`count` images spread evenly over a split, and so over its classes."""
    chosen = np.linspace(0, len(split.labels) - 1, count).astype(int)
    files = tuple(split.files[i] for i in chosen)
    return Split(split.images[chosen], split.labels[chosen], files)


def climb(climber: Climber) -> Arrays:
    """Every array that the ladder compares, by rung and name.

    In float64 the long training is left out: what is rounding shows before it.
    """
    parts = [
        *(see_inputs, run_forward, take_gradients),
        *(take_one_step, fine_tune, train_with_schedule),
    ]
    if climber.description.config.precision == "float32":
        parts += [train_all_epochs, export_trained]
    return {name: array for part in parts for name, array in part(climber).items()}


def see_inputs(climber: Climber) -> Arrays:
    """Pixels, normalised images, and augmented ones, all (N, H, W, 3)."""
    description = climber.description
    plain, _ = climber.batches(description)
    shuffled, _ = climber.batches(description, training=True)
    moved, _ = climber.batches(climber.configured(augment=True), training=True)
    mean, std = np.array(description.mean), np.array(description.std)
    return {
        "pixels": climber.sample.images,
        "normalised input": _channels_last(climber, plain),
        "order of the images": shuffled.mean(axis=(1, 2, 3)),
        # as shares of the range of pixel values, so that the tolerance is one too
        "augmented batch": _channels_last(climber, moved) * std + mean,
    }


def run_forward(climber: Climber) -> Arrays:
    """Output of each block of the backbone, its features, and the logits."""
    inference, description = climber.side.inference, climber.description
    model = climber.build()
    images, _ = climber.batches(description)
    blocks = inference.compute_blocks(model, images)
    found = {f"backbone features/block {i:02}": v for i, v in enumerate(blocks)}
    loader = climber.side.dataset.make_loader(climber.sample, description)
    found["backbone features/pooled"] = inference.compute_features(
        climber.side.model.fold_batch_norm(model), loader
    )
    return found | {"logits": inference.predict_logits(model, loader)}


def take_gradients(climber: Climber) -> Arrays:
    """Loss of one batch, and its gradients with the backbone frozen and not.

    And batch norm's buffers after the frozen pass.
    """
    model = climber.build()
    batch = climber.batches(climber.description)
    gradients = climber.side.training.compute_gradients
    loss, head = gradients(model, *batch)
    arrays = climber.side.model.read_arrays(model)
    climber.side.model.set_backbone_trainable(model, True)
    _, everything = gradients(model, *batch)
    found = {"loss": np.array([loss])}
    found |= {f"head gradients/{name}": array for name, array in head.items()}
    found |= {f"buffers/{n}": array for n, array in arrays.items() if "running" in n}
    return found | {
        f"whole-network gradients/{n}": array for n, array in everything.items()
    }


def take_one_step(climber: Climber) -> Arrays:
    """The head after one update from one batch."""
    model = climber.build()
    _step(climber, model)
    return climber.head(model, "one optimizer step")


def fine_tune(climber: Climber) -> Arrays:
    """The whole network after one update in which batch norm learns too."""
    model = climber.build()
    climber.side.model.set_backbone_trainable(model, True, batch_norm_learns=True)
    _step(climber, model)
    arrays = climber.side.model.read_arrays(model)
    return {f"one fine-tuning step/{name}": array for name, array in arrays.items()}


def train_all_epochs(climber: Climber) -> Arrays:
    """The head, losses and validation logits of each epoch."""
    side, description, model = climber.side, climber.description, climber.build()
    train, validation = climber.splits["train"], climber.splits["validation"]
    loaders = _feature_loaders(climber, model, description, train, validation)
    found: Arrays = {}

    def keep(record: EpochRecord) -> None:
        epoch = f"epoch {record.epoch}, step {record.epoch * len(loaders[0])}"
        found[f"epoch losses/{epoch}"] = np.array(
            [record.train_loss, record.validation_loss]
        )
        logits = side.inference.predict_logits(model.head, loaders[1])
        found[f"validation logits/{epoch}"] = logits
        found.update(climber.head(model, f"head at {epoch}"))

    side.training.train(model, *loaders, description, climber.folder, keep)
    return found


def train_with_schedule(climber: Climber) -> Arrays:
    """The head after AdamW went down a whole cosine schedule on the sample."""
    # Even the few images of float64 make several batches, the last one smaller.
    changed = {"epochs": 5, "batch_size": 2}
    changed |= {"schedule": "cosine", "weight_decay": DECAY}
    model, description = climber.build(), climber.configured(**changed)
    loaders = _feature_loaders(
        climber, model, description, climber.sample, climber.sample
    )
    climber.side.training.train(
        model, *loaders, description, climber.folder / "scheduled", lambda *_: None
    )
    return climber.head(model, "AdamW, cosine schedule")


def export_trained(climber: Climber) -> Arrays:
    """Logits of the trained classifier as its checkpoint holds it; and its graph."""
    side = climber.side
    path = climber.folder / f"last{side.checkpoint.SUFFIX}"
    model, description = side.checkpoint.load_checkpoint(path)
    side.export.export_onnx(model, climber.folder / "model.onnx", description)
    sample = side.dataset.make_loader(climber.sample, description)
    return {"trained logits": side.inference.predict_logits(model, sample)}


def _step(climber: Climber, model) -> None:
    config = climber.description.config
    step = climber.side.training.make_train_step(model, config, num_steps=1)
    step(*climber.batches(climber.description))


def _feature_loaders(
    climber: Climber, model, description: Description, train: Split, validation: Split
) -> list:
    """Features to train on and to validate with, in batches."""
    dataset, inference = climber.side.dataset, climber.side.inference
    backbone = climber.side.model.fold_batch_norm(model)
    return [
        dataset.make_feature_loader(
            inference.compute_features(
                backbone, dataset.make_loader(split, description)
            ),
            split.labels,
            description,
            training,
        )
        for split, training in ((train, True), (validation, False))
    ]


def _channels_last(climber: Climber, images: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) of images in this side's layout. [D04]"""
    if climber.side.export.LAYOUT == "NCHW":
        return images.transpose(0, 2, 3, 1)
    return images
