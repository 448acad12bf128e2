"""What one side computes for each rung of the parity ladder; runs in a worker."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np

from shared.checkpoints import Description
from shared.dataset import Split
from shared.records import EpochRecord
from shared.weights import Arrays

NUM_IMAGES = 37  # a whole batch of 32 and a rest


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
        self.sample = spread(splits["test"], NUM_IMAGES)

    def build(self):
        """The classifier as it is before training."""
        return self.side.model.build_model(self.arrays, self.description)

    def loader(self, split: Split, training: bool = False, **changes: object):
        """Batches of a split, under a changed configuration where one is given."""
        config = self.description.config.model_copy(update=changes)
        description = self.description.model_copy(update={"config": config})
        return self.side.dataset.make_loader(split, description, training)


def spread(split: Split, count: int) -> Split:
    """`count` images spread evenly over a split, and so over its classes."""
    chosen = np.linspace(0, len(split.labels) - 1, count).astype(int)
    files = tuple(split.files[i] for i in chosen)
    return Split(split.images[chosen], split.labels[chosen], files)


def climb(climber: Climber) -> Arrays:
    """Every array that the ladder compares, by rung and name.

    In float64 the long training is left out: what is rounding shows before it.
    """
    parts = [see_inputs, run_forward, take_gradients, take_one_step]
    if climber.description.config.precision == "float32":
        parts.append(train_all_epochs)
    return {name: array for part in parts for name, array in part(climber).items()}


def see_inputs(climber: Climber) -> Arrays:
    """Pixels, normalised images, and augmented ones, all (N, H, W, 3)."""
    mean, std = np.array(climber.description.mean), np.array(climber.description.std)
    plain, _ = _all_batches(climber.loader(climber.sample))
    moved, _ = _all_batches(climber.loader(climber.sample, True, augment=True))
    return {
        "pixels": climber.sample.images,
        "normalised input": _channels_last(climber, plain),
        # as shares of the range of pixel values, so that the tolerance is one too
        "augmented batch": _channels_last(climber, moved) * std + mean,
    }


def run_forward(climber: Climber) -> Arrays:
    """Output of each block of the backbone, its features, and the logits."""
    model, loader = climber.build(), climber.loader(climber.sample)
    images, _ = _all_batches(loader)
    inference = climber.side.inference
    blocks = inference.compute_blocks(model, images)
    found = {f"backbone features/block {i:02}": v for i, v in enumerate(blocks)}
    found["backbone features/pooled"] = inference.compute_features(model, loader)
    return found | {"logits": inference.predict_logits(model, loader)}


def take_gradients(climber: Climber) -> Arrays:
    """Loss of one batch, and its gradients with the backbone frozen and not."""
    model = climber.build()
    images, labels = _all_batches(climber.loader(climber.sample))
    gradients = climber.side.training.compute_gradients
    loss, head = gradients(model, images, labels)
    climber.side.model.set_backbone_trainable(model, True)
    _, everything = gradients(model, images, labels)
    found = {"loss": np.array([loss])}
    found |= {f"head gradients/{name}": array for name, array in head.items()}
    return found | {
        f"whole-network gradients/{n}": array for n, array in everything.items()
    }


def take_one_step(climber: Climber) -> Arrays:
    """The head after one update from one batch."""
    model = climber.build()
    images, labels = _all_batches(climber.loader(climber.sample))
    climber.side.training.make_train_step(model, climber.description.config)(
        images, labels
    )
    return _head(climber, model, "one optimizer step")


def train_all_epochs(climber: Climber) -> Arrays:
    """The head and the validation logits after each epoch; all buffers at the end."""
    side, model = climber.side, climber.build()
    loaders = {
        name: side.dataset.make_feature_loader(
            side.inference.compute_features(
                model, climber.loader(climber.splits[name])
            ),
            climber.splits[name].labels,
            climber.description,
            name == "train",
        )
        for name in ("train", "validation")
    }
    found: Arrays = {}

    def keep(record: EpochRecord) -> None:
        logits = side.inference.predict_head_logits(model, loaders["validation"])
        found[f"validation logits/epoch {record.epoch:02}"] = logits
        found.update(_head(climber, model, f"epoch {record.epoch:02}"))

    side.training.train(
        model, *loaders.values(), climber.description, climber.folder, keep
    )
    for name, array in side.model.read_arrays(model).items():
        if "running" in name:
            found[f"buffers/{name}"] = array
    return found


def _head(climber: Climber, model, rung: str) -> Arrays:
    arrays = climber.side.model.read_arrays(model)
    return {f"{rung}/{n}": a for n, a in arrays.items() if n.startswith("head.")}


def _all_batches(loader) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and labels of one pass, in this side's layout."""
    batches = [batch for _, batch in zip(range(len(loader)), loader, strict=False)]
    images, labels = zip(*batches, strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _channels_last(climber: Climber, images: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) of images in this side's layout. [D04]"""
    if climber.side.export.LAYOUT == "NCHW":
        return images.transpose(0, 2, 3, 1)
    return images
