"""Jobs for timing: cold phases without other load, and steady phases in turns."""

from collections import deque
from collections.abc import Callable
from functools import partial

import numpy as np

from bench.processes.agreed import EPOCHS, VERSION_EPOCHS
from bench.processes.request import Time, TimeEpoch
from bench.worker.job import Worker
from bench.worker.timer import Timer
from shared.clock import now
from shared.data.dataset import ImageData, open_cached
from shared.data.subsets import shorten
from shared.model.architecture import NUM_FEATURES
from shared.model.checkpoints import Description
from shared.sampling import TIMING, stream

ONNX_BATCHES = (1, 32)


def time_cold(worker: Worker[Time]) -> dict:
    """Time the phases that happen once, up to the first training step."""
    return _result(worker, Stopwatch(worker))


def time_briefly(worker: Worker[Time]) -> dict:
    """Time the phases that happen once, and then steady training steps."""
    watch = Stopwatch(worker)
    watch.time_steps()
    return _result(worker, watch)


def time_steady(worker: Worker[Time]) -> dict:
    """Time all phases that repeat, in turns with the other arms."""
    watch = Stopwatch(worker, worker.take_turn)
    watch.phases.clear()  # other processes run now, so these cold phases do not count
    watch.time_steps()
    predict = worker.side.inference.predict_batch
    images = watch.images
    watch.steady("forward", partial(predict, watch.model, images), len(images))
    _time_passes(watch)
    memory = worker.memory()  # read before the export, which may take more memory
    operations = _time_files(watch)
    return _result(worker, watch) | {
        "memory": memory.model_dump(),
        "operations": operations,
    }


def _result(worker: Worker, watch: "Stopwatch") -> dict:
    return {
        "phases": watch.phases,
        "images": watch.num_images,
        "cut_short": watch.cut_short,
        "overhead_ms": watch.timer.overhead(),
        "device": worker.device,
        "threads": worker.side.device.num_threads(),
        "memory": worker.memory().model_dump(),
        "operations": {},
    }


class Stopwatch:
    """Classifier that has taken its first training step, with the times so far.

    Attributes:
        phases: milliseconds of each sample, by phase.
        num_images: number of images that one sample of a phase processes.
        cut_short: phases that used up their time before they had all samples.
    """

    def __init__(
        self, worker: Worker, take_turn: Callable[[], None] | None = None
    ) -> None:
        """Build the classifier, take the first step, and time both.

        Args:
            take_turn: see `Timer`.
        """
        config, side = worker.config, worker.side
        self.worker, self.config = worker, config
        self.timer = Timer(
            side.device.synchronise,
            config.timing_steps,
            config.timing_warmup_steps,
            config.timing_budget_s,
            take_turn,
        )
        self.num_images: dict[str, int] = {}
        self.cut_short: list[str] = []
        self.data = shorten(open_cached(worker.request.inputs.data))
        self.program = worker.program
        with worker.stage("weights"):
            self.description, arrays = worker.describe(self.data)
        with worker.stage("build"):
            self.model = self.program.build_model(arrays, self.description)
        with worker.stage("weights"):
            arrays = side.weights.read_arrays(self.model) | arrays
            side.weights.load_arrays(self.model, arrays)
        self._load_batch()
        worker.announce("steps")
        self._step = self._make_step(config.features_are_cached)
        stages = worker.stages.seconds.items()
        self.phases = {name: [seconds * 1000] for name, seconds in stages}
        self.phases["first_step"] = [self.timer.once(self._step)]
        self.num_images["first_step"] = len(self._labels)

    def _load_batch(self) -> None:
        loader = self.program.make_loader(
            self.data, "train", self.description, training=True
        )
        batch, labels = next(iter(loader))
        inputs, self._labels = _as_arrays(batch), _as_arrays(labels)
        parts = inputs if isinstance(inputs, tuple) else (inputs,)
        self.images, self._kept = parts[0], parts[1:]

    def _make_step(self, on_features: bool) -> Callable[[], float]:
        """Return a function that takes a training step on features or images."""
        inputs = self.images
        if on_features:
            # A step takes the same time on random features, which need no forward pass.
            shape = len(self.images), NUM_FEATURES
            inputs = stream(self.config.seed, TIMING).random(shape, np.float32)
        step = self.program.make_train_step(self.model, self.config, on_features)
        return partial(
            step, (inputs, *self._kept) if self._kept else inputs, self._labels
        )

    def steady(
        self,
        name: str,
        call: Callable[[], object],
        num_images: int | None,
        timer: Timer | None = None,
    ) -> None:
        """Take the samples of a phase that repeats.

        Args:
            num_images: number of images that one call processes, or None.
            timer: timer to use instead of the timer of the other phases.
        """
        self.phases[name] = (timer or self.timer).steady(call)
        if num_images:
            self.num_images[name] = num_images
        if len(self.phases[name]) < self.config.timing_steps:
            self.cut_short.append(name)

    def time_steps(self) -> None:
        """Time a training step as this run takes it, and a step on images."""
        batch_size = len(self._labels)
        self.steady("train_step", self._step, batch_size)
        if self.config.features_are_cached:
            step = self._make_step(on_features=False)
            self.steady("image_step", step, batch_size)


def _as_arrays(part: object) -> np.ndarray | tuple[np.ndarray, ...]:
    """Copy a tensor, or each tensor of a pair, into an array.

    A copy lies in pageable memory. A batch of PyTorch's loader may lie in pinned
    memory. A GPU reads that faster, and the timed step would not pay for the pinning.
    """
    if isinstance(part, list | tuple):
        return tuple(map(np.array, part))
    return np.array(part)


def time_epoch(worker: Worker[TimeEpoch]) -> dict:
    """Time a training epoch on a share of the images.

    Epochs on images are timed after a warm-up. If features are computed once, the whole
    time, including the features and the first steps, is divided by the number of
    epochs.
    """
    config = worker.config
    data = shorten(open_cached(worker.request.inputs.data))
    program = worker.program
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
    loaders = _make_loaders(program, data, description)
    what = program, model, loaders, description
    epochs = _time_epochs(worker, *what, count=VERSION_EPOCHS)
    return {"images": images, "milliseconds": epochs}


def _time_epochs(
    worker: Worker, program, model, loaders: dict, description: Description, count: int
) -> list[float]:
    """Return the milliseconds of epochs on images, without the warm-up epochs."""
    # The second epoch records a CUDA graph for the last, smaller batch.
    warm_up = 2 if worker.config.compile and worker.device != "cpu" else 1
    changes = {"cache_features": False, "epochs": warm_up + count}
    return _train(worker, program, model, loaders, description, **changes)[warm_up:]


def _make_loaders(program, data: ImageData, description: Description) -> dict:
    return {
        "train": program.make_loader(data, "train", description, training=True),
        "validation": program.make_loader(data, "validation", description),
    }


def _train(
    worker: Worker,
    program,
    model,
    loaders: dict,
    description: Description,
    **changes: object,
) -> list[float]:
    """Train the head, and return the milliseconds of each epoch."""
    changes = {"fine_tuning": "off", **changes}
    config = description.config.model_copy(update=changes)
    history = program.train(
        model,
        loaders["train"],
        loaders["validation"],
        description.model_copy(update={"config": config}),
        worker.request.scratch / "epochs",
        lambda *_epoch: worker.take_turn(),
    )
    return [record.seconds * 1000 for record in history]


def _time_passes(watch: Stopwatch) -> None:
    """Time passes over images that evaluate, load, or train."""
    worker, description = watch.worker, watch.description
    loaders = _make_loaders(watch.program, watch.data, description)
    worker.announce("passes")
    images = {name: len(watch.data.splits[name].labels) for name in loaders}
    # Passes are long, so there is one pass to warm up and one to keep.
    loading = watch.timer.after_one(lambda: deque(loaders["train"], maxlen=0))
    predict = worker.side.inference.predict_logits
    evaluation = watch.timer.after_one(
        partial(predict, watch.model, loaders["validation"])
    )
    what = watch.program, watch.model, loaders, description
    watch.phases |= {
        "evaluation": [evaluation],
        "input_pipeline": [loading],
        "epoch": _time_epochs(worker, *what, count=EPOCHS),
    }
    watch.num_images |= {
        "evaluation": images["validation"],
        "input_pipeline": images["train"],
        "epoch": sum(images.values()),
    }


def _time_checkpoint(watch: Stopwatch) -> None:
    """Time writing a checkpoint. The plain programs write only during training."""
    side, config, scratch = (
        watch.worker.side,
        watch.config,
        watch.worker.request.scratch,
    )
    optimizer = side.optimizer.make_optimizer(watch.model, config, config.epochs)
    state = side.optimizer.read_optimizer(watch.model, optimizer)
    save = side.checkpoint.save_checkpoint
    write = partial(save, watch.model, scratch, "timed", watch.description, 1, state)
    watch.steady("checkpoint", write, None)


def _time_files(watch: Stopwatch) -> dict:
    """Time writing a checkpoint and an ONNX file, and running the ONNX file.

    Returns:
        Count and time of onnxruntime's operations for a batch, by kind.
    """
    from bench.onnx_runtime import OnnxClassifier, profile

    worker, config = watch.worker, watch.config
    side, scratch = worker.side, worker.request.scratch
    worker.announce("export")
    if config.division == "matched":
        _time_checkpoint(watch)
    if config.is_rounded:  # the exported graph would be in float32
        return {}
    graph = scratch / "timed.onnx"
    export = partial(side.export.export_onnx, watch.model, graph, watch.description)
    watch.phases["export"] = [watch.timer.once(export)]
    watch.phases["onnx_session"] = [watch.timer.once(lambda: OnnxClassifier(graph))]
    classifier = OnnxClassifier(graph)
    # There are no turns here, since onnxruntime's threads keep spinning after a run and
    # would disturb the next arm.
    steps = config.timing_steps, config.timing_warmup_steps, config.timing_budget_s
    timer = Timer(side.device.synchronise, *steps)
    test = watch.data.splits["test"].images
    for size in ONNX_BATCHES:
        inputs = classifier.prepare(test[:size])
        run = partial(classifier.run, inputs)
        watch.steady(f"onnx_batch_{size}", run, len(inputs), timer)
    batch = classifier.prepare(test[: max(ONNX_BATCHES)])
    return {n: one.model_dump() for n, one in profile(graph, batch).items()}
