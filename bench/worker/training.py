"""Job that trains and evaluates an arm."""

from pathlib import Path

import numpy as np

from bench.processes.request import Train, TrainExactly
from bench.records import ArmRecord
from bench.worker.channel import emit, on_batch
from bench.worker.job import Worker
from bench.worker.parity import EpochLog, log_training
from shared.data.dataset import ImageData, Split, open_cached
from shared.data.images import encode_thumbnail
from shared.metrics import EpochRecord, Mistake, ScoreRecord, score, softmax
from shared.model.checkpoints import Description, read_record

NUM_MISTAKES = 8
THUMBNAIL_PX = 112


def train(worker: Worker[Train]) -> dict:
    """Train, keep the best checkpoint, and evaluate it once on the test split."""
    data = open_cached(worker.request.inputs.data)
    splits, side, program = data.splits, worker.side, worker.program
    with worker.stage("build"):
        description, arrays = worker.describe(data)
        model = program.build_model(arrays, description)
    loaders, image_loaders = _make_loaders(worker, model, data, description)
    folder = worker.request.models / worker.request.arm
    log = EpochLog(side, model, worker.config.num_epochs, len(loaders[0]))

    def on_epoch(record: EpochRecord, *logits: np.ndarray) -> None:
        emit("epoch", **record.model_dump())
        if logits:  # only the matched division provides them
            log(record, *logits)

    train_loader, validation_loader = loaders
    with worker.stage("epochs"):
        history = program.train(
            model,
            train_loader,
            validation_loader,
            description,
            folder,
            on_epoch,
            image_loaders,
        )
    worker.store("epochs", log.arrays)
    checkpoint = folder / f"best{program.suffix}"
    _, validation_loader = image_loaders or loaders
    on_features = image_loaders is None
    validation, test = _evaluate(
        worker, checkpoint, data, validation_loader, on_features
    )
    classes = list(data.classes)
    record = ArmRecord(
        status="ok",
        device=worker.device,
        history=history,
        best_epoch=read_record(checkpoint).epoch,
        checkpoint=checkpoint.relative_to(worker.request.models.parent).as_posix(),
        validation=score(validation, splits["validation"].labels, classes),
        test=_score_test(test, splits["test"], classes),
        stages=worker.stages.seconds,
        memory=worker.memory(),
        one_pass=worker.one_pass.record(),
    )
    return {"arm": record.model_dump(), "threads": side.device.num_threads()}


def train_exactly(worker: Worker[TrainExactly]) -> dict:
    """Train the head on the stored features, and store what the ladder compares."""
    data = open_cached(worker.request.inputs.data)
    description, arrays = worker.describe(data)
    model = worker.program.build_model(arrays, description)
    loaders = tuple(
        worker.side.dataset.make_feature_loader(
            np.load(worker.request.features / f"{name}-features.npy").astype("float64"),
            data.splits[name].labels,
            description,
            name == "train",
        )
        for name in ("train", "validation")
    )
    with worker.stage("epochs in float64"):
        found = log_training(worker.side, model, loaders, description, folder=None)
    return {"path": worker.store("epochs", found)}


def _make_loaders(
    worker: Worker, model, data: ImageData, description: Description
) -> tuple:
    """Return loaders for training and validation, and those of images.

    The first two bring features, where they are computed once, and else images. The
    loaders of images are None where no phase of the training needs them.
    """
    program, config, image_loaders = worker.program, worker.config, None
    if not config.features_are_cached or config.fine_tuning != "off":
        with worker.stage("build"):
            image_loaders = (
                program.make_loader(data, "train", description, training=True),
                program.make_loader(data, "validation", description),
            )
    if not config.features_are_cached:
        return image_loaders, image_loaders
    with worker.stage("features"):
        loaders = worker.make_feature_loaders(model, data.splits, description)
    return loaders, image_loaders


def _evaluate(
    worker: Worker, checkpoint: Path, data: ImageData, validation_loader, on_features
) -> tuple:
    """Return the logits of the best checkpoint for the validation and test images.

    Features of a backbone that fine-tuning has changed are not those of the checkpoint:
    then the validation images are read.

    The logits that are stored for the ONNX check come from the decoded test images,
    which onnxruntime gets too. The plain loaders decode and resize differently. [D18]
    """
    side, inference = worker.side, worker.side.inference
    with worker.stage("evaluate"):
        model, description = worker.program.load_checkpoint(checkpoint)
        network = model.head if on_features else model
        validation_logits = inference.predict_logits(network, validation_loader)
        test_loader = worker.program.make_loader(data, "test", description)
        test_logits = reference = inference.predict_logits(model, test_loader, on_batch)
        if worker.config.division == "plain":
            decoded = side.dataset.make_loader(data.splits["test"], description)
            reference = inference.predict_logits(model, decoded)
        np.save(worker.request.scratch / "test_logits.npy", reference)
    return validation_logits, test_logits


def _score_test(logits: np.ndarray, split: Split, classes: list[str]) -> ScoreRecord:
    """Return the scores on the test split with the arm's most confident mistakes."""
    record = score(logits, split.labels, classes)
    predictions, probabilities = logits.argmax(axis=1), softmax(logits).max(axis=1)
    wrong = np.flatnonzero(predictions != split.labels)
    surest = wrong[np.argsort(-probabilities[wrong], kind="stable")][:NUM_MISTAKES]
    record.mistakes = [
        Mistake(
            file=split.files[i],
            label=classes[split.labels[i]],
            predicted=classes[predictions[i]],
            probability=float(probabilities[i]),
            thumbnail_jpeg=encode_thumbnail(split.images[i], THUMBNAIL_PX),
        )
        for i in surest
    ]
    return record
