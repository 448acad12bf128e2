"""Jobs of a conversion, each in a worker of its side.

One .npz file carries the arrays to the other side, in torchvision's names and layout.
"""

from pathlib import Path

import numpy as np

from bench.processes.agreed import MODEL, OPTIMIZER, STEPPED, as_matched, below
from bench.processes.request import HandOver, TakeOver
from bench.worker.job import Worker
from bench.worker.programs import MatchedProgram, Program
from bench.worker.side import Side
from shared.data.dataset import Split, open_cached
from shared.data.subsets import spread
from shared.dropout import plan_dropout
from shared.model.checkpoints import Description, read_record
from shared.model.weights import Arrays

NUM_IMAGES = 32


def hand_over(worker: Worker[HandOver]) -> dict:
    """Load a checkpoint of this side, and store its arrays and results."""
    with worker.stage("convert"):
        found = _examine(worker, worker.program, worker.request.checkpoint)
    return {"arrays": worker.store("arrays", found)}


def take_over(worker: Worker[TakeOver]) -> dict:
    """Write the other side's arrays as a checkpoint, and examine this checkpoint."""
    request, side = worker.request, worker.side
    record = read_record(request.checkpoint)
    description = as_matched(record.description)
    given = dict(np.load(request.arrays))
    with worker.stage("convert"):
        model = side.model.build_model(below(MODEL, given), description)
        path = side.checkpoint.save_checkpoint(
            model,
            request.scratch,
            "converted",
            description,
            record.epoch,
            below(OPTIMIZER, given),
        )
        matched = MatchedProgram(side, request.arm)
        found = _examine(worker, matched, path, given.get("features"))
    return {"arrays": worker.store("arrays", found), "checkpoint": str(path)}


def _examine(
    worker: Worker, program: Program, path: Path, features: np.ndarray | None = None
) -> Arrays:
    """Return the arrays and logits of a checkpoint, and its head after one more step.

    Args:
        program: program of the division that the checkpoint belongs to.
        features: features for the step, so that both sides learn from the same values.
            None means that this side computes the features.
    """
    side = worker.side
    model, description = program.load_checkpoint(path)
    state = program.load_optimizer_state(path)
    sample = spread(open_cached(worker.request.data).splits["test"], NUM_IMAGES)
    config = description.config.model_copy(update={"batch_size": NUM_IMAGES})
    description = description.model_copy(update={"config": config})
    images = _only_batch(side, sample, description)
    arrays = side.weights.read_arrays(model)
    found = {MODEL + name: array for name, array in arrays.items()}
    found["logits"] = side.inference.predict_batch(model, images)
    if worker.request.logits_only:
        return found
    if features is None:
        features = side.inference.predict_batch(model.backbone, images)
    found["features"] = features
    if state:
        found |= {OPTIMIZER + name: array for name, array in state.items()}
        found |= _take_step(side, arrays, description, state, features)
    return found


def _only_batch(side: Side, sample: Split, description: Description) -> np.ndarray:
    """Return the normalised images of the sample in the layout of this side."""
    images, _ = next(iter(side.dataset.make_loader(sample, description)))
    return np.asarray(images)


def _take_step(
    side: Side,
    arrays: Arrays,
    description: Description,
    state: Arrays,
    features: np.ndarray,
) -> Arrays:
    """Return the head after one more training step."""
    # The labels are arbitrary, since the images may have other classes.
    labels = np.arange(len(features)) % len(description.classes)
    model = side.model.build_model(arrays, description)
    num_steps = 2 * (int(state["step"]) + 1)  # so the step is in the middle
    train_step = side.steps.make_train_step(
        model, description.config, num_steps, state, on_features=True
    )
    kept = plan_dropout(description.config, len(features), 1, range(len(features)))
    train_step((features, kept), labels)
    arrays = side.weights.read_arrays(model)
    return {STEPPED + n: a for n, a in arrays.items() if n.startswith("head.")}
