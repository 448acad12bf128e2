"""The worker's job for timing: every phase in one process, cold ones first."""

from collections import deque
from dataclasses import replace
from functools import partial

import numpy as np

from bench.timing.timer import Timer
from shared.checkpoints import Description
from shared.clock import now
from shared.dataset import ImageData, Split, open_cached

NUM_IMAGES = 256  # that a pass takes at most; 8 batches of 32
LADDER_EPOCHS, EPOCHS = 1, 6  # that are kept, after those to warm up
ONNX_BATCHES = (1, 32)


def time_phases(worker) -> dict:
    """Milliseconds of the phases of this process; the longer ones where asked for."""
    config, side = worker.config, worker.side
    steps = config.timing_steps, config.timing_warmup_steps
    timer = Timer(side.device.synchronise, *steps, worker.take_turn)
    data = shorten(open_cached(worker.request.data))
    program = worker.program(data)
    with worker.stage("weights"):
        description, arrays = worker.describe(data)
    with worker.stage("build"):
        model = program.build_model(arrays, description)
    with worker.stage("weights"):
        side.model.load_arrays(model, side.model.read_arrays(model) | arrays)
    batch = next(iter(program.make_loader("train", description)))
    images, labels = (np.asarray(part) for part in batch)
    worker.announce("steps")
    step = partial(program.make_train_step(model, config), images, labels)
    predict = partial(side.inference.predict_batch, model, images)
    phases = {name: [s * 1000] for name, s in worker.stages.seconds.items()} | {
        "first_step": [timer.once(step)],
        "train_step": timer.steady(step),
        "forward": timer.steady(predict),
    }
    counts = dict.fromkeys(("first_step", "train_step", "forward"), len(labels))
    memory, operations = worker.memory(), {}
    if worker.request.thorough:
        passes, images_in = _time_passes(
            worker, timer, program, model, description, data
        )
        phases, counts = phases | passes, counts | images_in
        memory = worker.memory()  # an exporter may take more than all before it
        files, images_in, operations = _time_files(
            worker, timer, model, description, data
        )
        phases, counts = phases | files, counts | images_in
    return {
        "phases": phases,
        "images": counts,
        "overhead_ms": timer.overhead(),
        "device": worker.device,
        "threads": side.device.num_threads(),
        "memory": memory.model_dump(),
        "operations": operations,
    }


def shorten(data: ImageData) -> ImageData:
    """A share of each class in each split, at least one image."""
    splits = {}
    for name, split in data.splits.items():
        step = -(-len(split.labels) // NUM_IMAGES)
        places = [np.flatnonzero(split.labels == c) for c in range(len(data.classes))]
        kept = np.concatenate([of_class[::step] for of_class in places])
        files = tuple(split.files[i] for i in kept)
        splits[name] = Split(split.images[kept], split.labels[kept], files)
    return replace(data, splits=splits)


def time_epoch(worker) -> dict:
    """Milliseconds of a training epoch on a share of the images.

    On images it is warmed up. Where features are computed once, everything is shared
    out among the epochs, what happens for the first time included.
    """
    config = worker.config
    data = shorten(open_cached(worker.request.data))
    program = worker.program(data)
    description, arrays = worker.describe(data)
    model = program.build_model(arrays, description)
    images = sum(len(data.splits[name].labels) for name in ("train", "validation"))
    worker.announce("passes")
    if config.features_are_cached:
        start = now()
        train, validation = worker.make_feature_loaders(model, data.splits, description)
        loaders = {"train": train, "validation": validation}
        _train(worker, program, model, loaders, description)
        share = (now() - start) * 1000 / config.epochs
        return {"images": images, "milliseconds": [share]}
    loaders = _make_loaders(program, description)
    what = program, model, loaders, description
    epochs = _time_epochs(worker, *what, count=LADDER_EPOCHS)
    return {"images": images, "milliseconds": epochs}


def _time_epochs(
    worker, program, model, loaders: dict, description: Description, count: int
) -> list[float]:
    """Milliseconds of epochs on images, after those to warm up."""
    # A CUDA graph of the last, smaller batch is recorded when it comes again.
    warm_up = 2 if worker.config.compile and worker.device != "cpu" else 1
    changes = {"cache_features": False, "epochs": warm_up + count}
    return _train(worker, program, model, loaders, description, **changes)[warm_up:]


def _make_loaders(program, description: Description) -> dict:
    return {
        "train": program.make_loader("train", description, training=True),
        "validation": program.make_loader("validation", description),
    }


def _train(
    worker, program, model, loaders: dict, description: Description, **changes: object
) -> list[float]:
    """Milliseconds of each epoch."""
    config = description.config.model_copy(update=changes)
    history = program.train(
        *(model, loaders["train"], loaders["validation"]),
        description.model_copy(update={"config": config}),
        *(worker.request.scratch / "epochs", lambda _record: worker.take_turn()),
    )
    return [record.seconds * 1000 for record in history]


def _time_passes(
    worker, timer: Timer, program, model, description, data: ImageData
) -> tuple:
    """Passes over images: to score them, to load them, and to train on them."""
    loaders = _make_loaders(program, description)
    worker.announce("passes")
    images = {name: len(data.splits[name].labels) for name in loaders}
    # Passes are long: one to warm up, and one to keep.
    loading = timer.after_one(lambda: deque(loaders["train"], maxlen=0))
    predict = partial(
        worker.side.inference.predict_logits, model, loaders["validation"]
    )
    evaluation = timer.after_one(predict)
    what = program, model, loaders, description
    epochs = _time_epochs(worker, *what, count=EPOCHS)
    phases = {
        "evaluation": [evaluation],
        "input_pipeline": [loading],
        "epoch": epochs,
    }
    counts = {
        "evaluation": images["validation"],
        "input_pipeline": images["train"],
        "epoch": sum(images.values()),
    }
    return phases, counts


def _time_files(worker, timer: Timer, model, description, data: ImageData) -> tuple:
    """Writing the classifier in both forms, and running the exported one."""
    from bench.onnx_runtime import OnnxClassifier, profile

    side, scratch, config = worker.side, worker.request.scratch, worker.config
    worker.announce("export")
    optimizer = side.training.make_optimizer(model, config, config.epochs)
    state = side.training.read_optimizer(model, optimizer)
    write = partial(
        side.checkpoint.save_checkpoint,
        *(model, scratch, "timed", description, 1, state),
    )
    graph = scratch / "timed.onnx"
    phases, counts = {"checkpoint": timer.steady(write)}, {}
    if config.is_rounded:  # what is exported is float32
        return phases, counts, {}
    phases |= {
        "export": [
            timer.once(lambda: side.export.export_onnx(model, graph, description))
        ],
        "onnx_session": [timer.once(lambda: OnnxClassifier(graph))],
    }
    classifier = OnnxClassifier(graph)
    # No turns: its threads go on spinning after a run, beside the next one to work.
    steps = config.timing_steps, config.timing_warmup_steps
    timer = Timer(side.device.synchronise, *steps)
    for size in ONNX_BATCHES:
        inputs = classifier.prepare(data.splits["test"].images[:size])
        phases[f"onnx_batch_{size}"] = timer.steady(partial(classifier.run, inputs))
        counts[f"onnx_batch_{size}"] = len(inputs)
    batch = classifier.prepare(data.splits["test"].images[: max(ONNX_BATCHES)])
    operations = profile(graph, batch)
    return phases, counts, {n: one.model_dump() for n, one in operations.items()}
