"""Job that trains the cells of experiments: one setting and one seed each."""

import shutil
import traceback
from typing import Any

import numpy as np

from bench.processes.agreed import EXACT, is_on_features
from bench.processes.request import Cell, TrainCells
from bench.records import Accuracies, CellRecord
from bench.worker.channel import emit
from bench.worker.heads import SPLITS, Study
from bench.worker.job import Worker
from bench.worker.programs import PlainProgram
from bench.worker.side import Side
from shared.clock import now
from shared.data.subsets import choose_share, pick
from shared.errors import UserError
from shared.metrics import EpochRecord, accuracy, near_tie
from shared.model.checkpoints import Description
from shared.model.weights import Arrays, initial_head


def train_cells(worker: Worker[TrainCells]) -> dict:
    """Train every cell, and send its record as soon as it is finished.

    A cell that fails is sent with its reason, and the others go on.
    """
    study = Study(worker)
    stored = worker.request.features
    features: Arrays = dict(np.load(stored)) if stored else {}
    models: dict[int, Any] = {}
    for cell in worker.request.cells:
        worker.take_turn()  # gives each cell the whole time limit
        try:
            part = _train_cell(study, cell, features, models)
        except UserError:
            raise
        except Exception as error:
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            part = {"record": _record(study, cell, status=f"failed: {reason}")}
        emit("cell", name=cell.name, part=part)
    return {}


def _record(study: Study, cell: Cell, **results: object) -> dict:
    record = CellRecord(
        arm=study.worker.request.arm,
        changes=cell.changes,
        share=cell.share,
        seed=cell.seed,
        **results,
    )
    return record.model_dump()


def _train_cell(
    study: Study, cell: Cell, features: Arrays, models: dict[int, Any]
) -> dict:
    """Return the record of a cell, and what its twin on the other arm must equal.

    The best epoch is chosen on validation images. The test images are read once, when
    the training is over.
    """
    start, side = now(), study.side
    description = study.describe({"augment": False, **cell.changes}, cell.seed)
    config = description.config
    if config.division == "plain":
        return _train_plain(study, cell, description)
    if on_features := is_on_features(config):
        description = study.describe({**cell.changes, **EXACT}, cell.seed)
    model = _fresh_model(study, description, models)
    images: dict = {} if on_features else _image_loaders(study, cell, description)
    loaders = images
    if config.features_are_cached:
        loaders = _feature_loaders(study, cell, features, description)
    best = _BestEpoch(side, model, announces=not on_features)
    history = side.training.train(
        model,
        loaders["train"],
        loaders["validation"],
        description,
        folder=None,  # the arrays of the best epoch stay in memory
        on_epoch=best,
        image_loaders=(images["train"], images["validation"]) if images else None,
    )
    network, test = (model.head if on_features else model), (images or loaders)["test"]
    last_logits = side.inference.predict_logits(network, test)
    side.weights.load_arrays(model, best.arrays)
    best_logits = side.inference.predict_logits(network, test)
    return _part(study, cell, history, (best_logits, last_logits), start)


class _BestEpoch:
    """Keeps the arrays of the epoch with the highest validation accuracy."""

    def __init__(self, side: Side, model, announces: bool) -> None:
        """Prepare for a training; `announces` tells the runner about each epoch."""
        self.arrays: Arrays = {}
        self._side, self._model, self._announces = side, model, announces
        self._highest = -1.0

    def __call__(self, record: EpochRecord, _logits: np.ndarray) -> None:
        if record.validation_accuracy > self._highest:
            self._highest = record.validation_accuracy
            self.arrays = self._side.weights.read_arrays(self._model)
        if self._announces:
            emit("epoch", **record.model_dump())


def _part(
    study: Study,
    cell: Cell,
    history: list[EpochRecord],
    test_logits: tuple[np.ndarray, np.ndarray],
    start: float,
) -> dict:
    """Return what the runner keeps of a cell.

    Args:
        test_logits: of the best and of the last epoch.
        start: when the training began.

    Raises:
        FloatingPointError: the training left the numbers.
    """
    if not np.isfinite(history[-1].train_loss):
        raise FloatingPointError("the loss grew beyond all numbers")
    labels = study.data.splits["test"].labels
    best_logits, last_logits = test_logits
    best = history[int(np.argmax([epoch.validation_accuracy for epoch in history]))]
    record = _record(
        study,
        cell,
        status="ok",
        history=history,
        best_epoch=best.epoch,
        best=_accuracies(best, best_logits, labels),
        last=_accuracies(history[-1], last_logits, labels),
        correct="".join(map(str, (best_logits.argmax(axis=1) == labels).astype(int))),
        seconds=now() - start,
    )
    return {
        "record": record,
        "predictions": last_logits.argmax(axis=1).tolist(),
        "tied": np.flatnonzero(near_tie(last_logits)).tolist(),
    }


def _train_plain(study: Study, cell: Cell, description: Description) -> dict:
    """Train the plain program, which writes its checkpoints into files."""
    start, worker = now(), study.worker
    folder = worker.request.scratch / "plain"
    shutil.rmtree(folder, ignore_errors=True)
    inputs, arm = worker.request.inputs, worker.request.arm
    program = PlainProgram(study.side, arm, inputs)
    history = program.train(
        program.build_model({}, description),
        program.make_loader(study.data, "train", description, training=True),
        program.make_loader(study.data, "validation", description),
        description,
        folder,
        lambda record: emit("epoch", **record.model_dump()),
    )
    test = program.make_loader(study.data, "test", description)
    logits = []
    for name in ("best", "last"):
        model, _ = program.load_checkpoint(folder / f"{name}{program.suffix}")
        logits.append(study.side.inference.predict_logits(model, test))
    return _part(study, cell, history, (logits[0], logits[1]), start)


def _fresh_model(study: Study, description: Description, models: dict[int, Any]):
    """Return an untrained classifier, one that was trained before if there is one.

    Building Keras's network takes longer than training its head.

    Args:
        models: those built so far, by the size of the hidden layer.
    """
    config, size = description.config, description.config.inner_size
    if not is_on_features(config):
        return study.build(description)  # its backbone may change
    if size not in models:
        models[size] = study.build(description)
        return models[size]
    head = initial_head(config, len(description.classes))
    study.side.weights.load_arrays(models[size], study.weights.arrays | head)
    return models[size]


def _accuracies(
    epoch: EpochRecord, test_logits: np.ndarray, labels: np.ndarray
) -> Accuracies:
    return Accuracies(
        train=epoch.train_accuracy,
        validation=epoch.validation_accuracy,
        test=accuracy(test_logits, labels),
    )


def _feature_loaders(
    study: Study, cell: Cell, features: Arrays, description: Description
) -> dict:
    """Return a loader of stored features for each split."""
    loaders = {}
    for name in SPLITS:
        training = name == "train"
        labels = study.data.splits[name].labels
        dtype = "float64" if is_on_features(description.config) else "float32"
        values = features[name].astype(dtype)
        if training and cell.share < 1:
            chosen = choose_share(labels, cell.share, cell.seed)
            labels, values = labels[chosen], values[chosen]
        loaders[name] = study.side.dataset.make_feature_loader(
            values, labels, description, training
        )
    return loaders


def _image_loaders(study: Study, cell: Cell, description: Description) -> dict:
    """Return a loader of images for each split."""
    loaders = {}
    for name in SPLITS:
        split = study.data.splits[name]
        if name == "train" and cell.share < 1:
            split = pick(split, choose_share(split.labels, cell.share, cell.seed))
        loaders[name] = study.side.dataset.make_loader(
            split, description, name == "train"
        )
    return loaders
