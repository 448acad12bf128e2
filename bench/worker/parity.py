"""Compute the arrays of one side for the rungs of the parity ladder."""

from pathlib import Path

import numpy as np

from bench.processes.agreed import NUM_FEW, NUM_IMAGES, places_of_few
from bench.processes.request import ClimbLadder
from bench.worker.job import Worker
from bench.worker.side import Side
from shared.data.dataset import Split, open_cached
from shared.data.subsets import pick, spread
from shared.dropout import plan_dropout
from shared.metrics import EpochRecord
from shared.model.checkpoints import Description
from shared.model.weights import Arrays

DECAY = 0.01  # weight decay of the rung for AdamW
OTHERWISE = {
    "optimizer": "sgd",
    "schedule": "one-cycle",
    "class_weights": True,
    "label_smoothing": 0.1,
    "epochs": 2,
}  # the settings of the rung for SGD and class weights
LARGE_EPSILON = 1e-4  # Adam's epsilon if some gradients are only rounding errors


class Climber:
    """One side with its untrained classifier and the images for the rungs.

    Attributes:
        sample: images that pass through the network; in float64 the same as `few`.
        few: images for updates, the same in both precisions.
    """

    def __init__(
        self,
        side: Side,
        arrays: Arrays,
        description: Description,
        splits: dict[str, Split],
    ) -> None:
        self.side = side
        self.arrays = arrays
        self.description = description
        whole = spread(splits["test"], NUM_IMAGES)
        self.few = pick(whole, places_of_few())
        self.is_exact = description.config.precision == "float64"
        self.sample = self.few if self.is_exact else whole
        self._model = None

    def build(self):
        """Return the untrained classifier."""
        if self._model is None:
            self._model = self.side.model.build_model(self.arrays, self.description)
        else:
            self.side.weights.load_arrays(self._model, self.arrays)
            drifts = self.description.config.batch_norm_drifts
            self.side.model.set_backbone_trainable(self._model, False, drifts)
        return self._model

    def configured(self, **changes: object) -> Description:
        """Return the description with some fields of its configuration changed."""
        config = self.description.config.model_copy(update=changes)
        return self.description.model_copy(update={"config": config})

    def images(self, split: Split, description: Description) -> np.ndarray:
        """Return the images of a split for prediction, in the layout of this side."""
        loader = self.side.dataset.make_loader(split, description)
        return np.concatenate([images for images, _ in _batches(loader)])

    def training_batch(self, split: Split, description: Description) -> tuple:
        """Return ((images, kept), labels) of a split as in the first epoch."""
        loader = self.side.dataset.make_loader(split, description, training=True)
        inputs, labels = zip(*_batches(loader), strict=True)
        images, kept = zip(*inputs, strict=True)
        return (np.concatenate(images), np.concatenate(kept)), np.concatenate(labels)

    def head(self, model, rung: str) -> Arrays:
        """Return the head's arrays with names that begin with the rung."""
        return name_head(self.side, model, rung)


def _batches(loader) -> list:
    """Return every batch of a loader; Keras's loader has a length but never ends."""
    return [batch for _, batch in zip(range(len(loader)), loader, strict=False)]


def name_head(side: Side, model, rung: str) -> Arrays:
    """Return the arrays of a model's head with names that begin with the rung."""
    arrays = side.weights.read_arrays(model)
    return {f"{rung}/{n}": a for n, a in arrays.items() if n.startswith("head.")}


def climb(climber: Climber, exact_rungs: bool) -> Arrays:
    """Return every array that the ladder compares before training, by rung and name.

    Args:
        exact_rungs: also make the updates, which are judged in float64 if possible.
    """
    parts = [see_inputs, run_forward, take_gradients]
    if exact_rungs:
        parts += [take_one_step, fine_tune, train_with_schedule]
    return {name: array for part in parts for name, array in part(climber).items()}


def see_inputs(climber: Climber) -> Arrays:
    """Return pixels, normalised and augmented images, and the dropout plan."""
    description, sample = climber.description, climber.sample
    plain = climber.images(sample, description)
    (shuffled, kept), _ = climber.training_batch(sample, description)
    augmented = climber.configured(augment=True)
    (moved, _), _ = climber.training_batch(sample, augmented)
    mean, std = np.array(description.mean), np.array(description.std)
    return {
        "pixels": climber.sample.images,
        "normalised input": _channels_last(climber, plain),
        "order of the images": shuffled.mean(axis=(1, 2, 3)),
        # Undo the normalisation, so that the tolerance is a share of the pixel range.
        "augmented batch": _channels_last(climber, moved) * std + mean,
        "dropout plan": kept,
    }


def run_forward(climber: Climber) -> Arrays:
    """Return the output of each block of the backbone, its features, and the logits."""
    inference, description = climber.side.inference, climber.description
    model = climber.build()
    images = climber.images(climber.sample, description)
    outputs = climber.side.blocks.compute_blocks(model, images)
    found = {f"backbone features/block {i:02}": v for i, v in enumerate(outputs)}
    loader = climber.side.dataset.make_loader(climber.sample, description)
    found["backbone features/pooled"] = inference.compute_features(
        climber.side.model.fold_batch_norm(model), loader
    )
    return found | {"logits": inference.predict_logits(model, loader)}


def take_gradients(climber: Climber) -> Arrays:
    """Return the loss and the gradients of a batch, and the buffers of batch norm.

    The gradients are computed with a frozen and with a trainable backbone. The buffers
    are read after the pass with the frozen backbone.
    """
    model = climber.build()
    batch = climber.training_batch(climber.few, climber.description)
    gradients = climber.side.steps.compute_gradients
    loss, head = gradients(model, *batch)
    arrays = climber.side.weights.read_arrays(model)
    climber.side.model.set_backbone_trainable(model, True)
    _, everything = gradients(model, *batch)
    found = {"loss": np.array([loss])}
    found |= {f"head gradients/{name}": array for name, array in head.items()}
    found |= {f"buffers/{n}": array for n, array in arrays.items() if "running" in n}
    return found | {
        f"whole-network gradients/{n}": array for n, array in everything.items()
    }


def take_one_step(climber: Climber) -> Arrays:
    """Return the head after one update from one batch."""
    model = climber.build()
    _step(climber, model)
    return climber.head(model, "one optimizer step")


def fine_tune(climber: Climber) -> Arrays:
    """Return the whole network after one update in which batch norm learns too.

    The gradients of some biases are only rounding errors of 1e-14. Adam divides them by
    their own size, so that without a larger epsilon the updates of the two sides would
    differ.
    """
    model = climber.build()
    climber.side.model.set_backbone_trainable(model, True, batch_norm_learns=True)
    _step(climber, model, adam_epsilon=LARGE_EPSILON)
    arrays = climber.side.weights.read_arrays(model)
    return {f"one fine-tuning step/{name}": array for name, array in arrays.items()}


def train_with_schedule(climber: Climber) -> Arrays:
    """Return the head after AdamW has followed a whole cosine schedule."""
    changed = climber.configured(schedule="cosine", weight_decay=DECAY)
    model, few = climber.build(), climber.few
    images = climber.images(few, climber.description)
    features = climber.side.inference.predict_batch(model.backbone, images)
    num_steps = 10
    step = climber.side.steps.make_train_step(
        model, changed.config, num_steps, on_features=True
    )
    for epoch in range(1, num_steps + 1):  # an epoch has one batch
        kept = plan_dropout(changed.config, len(few.labels), epoch, range(NUM_FEW))
        step((features, kept), few.labels)
    return climber.head(model, "AdamW, cosine schedule")


def _step(climber: Climber, model, **changes: object) -> None:
    description = climber.configured(**changes)
    step = climber.side.steps.make_train_step(model, description.config, num_steps=1)
    step(*climber.training_batch(climber.few, description))


def _channels_last(climber: Climber, images: np.ndarray) -> np.ndarray:
    """Convert images from this side's layout to (N, H, W, 3). [D04]"""
    if climber.side.export.LAYOUT == "NCHW":
        return images.transpose(0, 2, 3, 1)
    return images


class EpochLog:
    """Log of the losses, logits and some heads of a training, for the ladder.

    Attributes:
        arrays: arrays by rung and name. There are heads after one epoch, after half the
            epochs and after all epochs.
    """

    def __init__(self, side: Side, model, epochs: int, steps: int) -> None:
        """Prepare the log; `steps` is the number of steps in an epoch."""
        self.arrays: Arrays = {}
        self._side, self._model, self._steps = side, model, steps
        self._marks = {"one epoch": 1, "half the epochs": max(1, round(epochs / 2))}
        self._marks["all epochs"] = epochs

    def __call__(self, record: EpochRecord, validation_logits: np.ndarray) -> None:
        """Keep the arrays of an epoch. The training calls this after each epoch."""
        epoch = f"epoch {record.epoch}, step {record.epoch * self._steps}"
        losses = [record.train_loss, record.validation_loss]
        self.arrays[f"epoch losses/{epoch}"] = np.array(losses)
        self.arrays[f"validation logits/{epoch}"] = validation_logits
        for rung, last in self._marks.items():
            if record.epoch == last:
                rung_and_epoch = f"{rung}/head at {epoch}"
                self.arrays |= name_head(self._side, self._model, rung_and_epoch)


def log_training(
    side: Side, model, loaders: tuple, description: Description, folder: Path | None
) -> Arrays:
    """Train a head as described, then another one with all that this leaves out.

    Args:
        loaders: of features, for training and for validation.
        folder: for the checkpoints of the first training; None to keep none.

    Returns:
        What `EpochLog` keeps of the first training, and the second head.
    """
    start = side.weights.read_arrays(model)
    log = EpochLog(side, model, description.config.epochs, len(loaders[0]))
    side.training.train(model, *loaders, description, folder, log)
    side.weights.load_arrays(model, start)
    config = description.config.model_copy(update=OTHERWISE)
    changed = description.model_copy(update={"config": config})
    side.training.train(model, *loaders, changed, None, lambda *_: None)
    return log.arrays | name_head(side, model, "SGD, class weights")


def climb_ladder(worker: Worker[ClimbLadder]) -> dict:
    """Compute and store every array that the parity ladder compares."""
    data = open_cached(worker.request.inputs.data)
    with worker.stage("build"):
        description, arrays = worker.describe(data)
    climber = Climber(worker.side, arrays, description, data.splits)
    with worker.stage("rungs"):
        found = climb(climber, worker.request.exact_rungs)
    return {"path": worker.store("rungs", found)}
