"""Jobs for the ablations: compute features, and train heads on them.

If a difference changes only the features, PyTorch trains the heads. The parity ladder
shows that both sides train the same heads, and PyTorch needs less time.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import numpy as np

from bench.processes.agreed import SEEDS
from bench.processes.request import DoTasks, Task
from bench.worker.job import Worker
from shared.data.cache import SPLITS
from shared.data.dataset import ImageData, Split, open_cached
from shared.data.images import is_upright_photo
from shared.data.subsets import shorten
from shared.metrics import EpochRecord, accuracy
from shared.model.checkpoints import Description
from shared.model.weights import Arrays, initial_head, read_weights
from shared.sampling import epoch_order


class Study:
    """One side with its data set and weights, to make the runs of the ablations."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.side = worker.side
        data: ImageData = open_cached(worker.request.inputs.data)
        self.data = shorten(data) if worker.request.inputs.shortened else data
        self.weights = read_weights(worker.request.inputs.weights)

    def describe(self, changes: dict, seed: int | None = None) -> Description:
        """Return the description of a run with these changes; seed the framework."""
        if seed is not None:
            changes = changes | {"seed": seed}
        config = self.worker.config.model_copy(update=changes)
        self.side.device.set_up(config)
        return Description(
            config=config,
            classes=self.data.classes,
            mean=self.weights.mean,
            std=self.weights.std,
        )

    def build(self, description: Description):
        """Build the untrained classifier."""
        head = initial_head(description.config, len(description.classes))
        return self.side.model.build_model(self.weights.arrays | head, description)

    def switched(self, task: Task) -> AbstractContextManager:
        """Leave in the difference of a task until the end of the `with` block."""
        if task.switch is None:
            return nullcontext()
        return self.side.switches.switched_on(task.switch)


def compute_features(worker: Worker[DoTasks]) -> dict:
    """Store the features of all splits for each task, as `<scratch>/<name>.npz`."""
    study = Study(worker)
    paths: dict[str, str] = {}
    for task in worker.request.tasks:
        found: Arrays = {}
        for split in SPLITS:
            if split in task.splits:
                with worker.stage(f"features, {task.name}, {split}"):
                    found[split] = _features(study, task, split)
            else:
                found[split] = np.load(paths["matched"])[split]
        paths[task.name] = worker.store(task.name, found)
    return {"paths": paths}


class _ImagesAlone:
    """A loader for training, without the dropout plan's factors in its batches."""

    def __init__(self, loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str):
        return getattr(self._loader, name)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[tuple]:
        # Keras's loader has a length but never ends.
        for _, batch in zip(range(len(self)), self._loader, strict=False):
            (images, _kept), labels = batch
            yield images, labels


def _features(study: Study, task: Task, name: str) -> np.ndarray:
    """Return the features of one split, (N, 1280), in the order of the split."""
    side, split = study.side, study.data.splits[name]
    description = study.describe({"augment": False} | task.changes)
    if task.reader:
        split = _read_again(study, task.reader, name)
    training = name == "train" and description.config.augment
    with study.switched(task):
        model = study.build(description)
        loader = side.dataset.make_loader(split, description, training)
        if training:
            loader = _ImagesAlone(loader)
        backbone = model.backbone
        if task.folded:
            backbone = side.model.fold_batch_norm(model)
        features = side.inference.compute_features(backbone, loader)
    if not training:
        return features
    order = epoch_order(len(features), description.config.seed, epoch=1)
    return features[np.argsort(order)]


def _read_again(study: Study, difference: str, name: str) -> Split:
    """Return the split with its files decoded and resized in the framework's own way.

    Only upright colour JPEG files are read again. Other files would differ by more than
    this one difference.
    """
    split = study.data.splits[name]
    read = study.side.switches.READERS[difference]
    size = study.worker.config.image_size_px
    folder = study.worker.request.inputs.folders / name
    images = [
        read(folder / file, size) if is_upright_photo(folder / file) else image
        for file, image in zip(split.files, split.images, strict=True)
    ]
    return Split(np.stack(images), split.labels, split.files)


def train_heads(worker: Worker[DoTasks]) -> dict:
    """Train a head for each task and seed, and return the scores of every epoch."""
    study = Study(worker)
    runs: dict[str, list] = {}
    for task in worker.request.tasks:
        runs[task.name] = []
        for seed in SEEDS:
            with worker.stage(f"heads, {task.name}, seed {seed}"):
                runs[task.name].append(_train_head(study, task, seed))
    return {"runs": runs}


def _train_head(study: Study, task: Task, seed: int) -> list[dict]:
    trains_on = {"augment": False, "cache_features": task.features is not None}
    description = study.describe(trains_on | task.changes, seed)
    epochs: list[dict] = []
    with study.switched(task):
        model = study.build(description)
        loaders, images = _loaders(study, task, description)

        def keep(record: EpochRecord, _logits: np.ndarray) -> None:
            # Fine-tuning changes the backbone, and with it the features.
            on_features = task.features and record.epoch <= description.config.epochs
            network = model.head if on_features else model
            test_loader = (loaders if on_features else images)["test"]
            logits = study.side.inference.predict_logits(network, test_loader)
            test = accuracy(logits, study.data.splits["test"].labels)
            loss, validation = record.validation_loss, record.validation_accuracy
            epochs.append({"validation": validation, "loss": loss, "test": test})

        study.side.training.train(
            model,
            loaders["train"],
            loaders["validation"],
            description,
            folder=None,  # the checkpoints are not needed
            on_epoch=keep,
            image_loaders=(images["train"], images["validation"]),
        )
    return epochs


def _loaders(study: Study, task: Task, description: Description) -> tuple[dict, dict]:
    """Return loaders by split for the head, of features if there are any; of images."""
    dataset, splits = study.side.dataset, study.data.splits
    images = {
        name: dataset.make_loader(splits[name], description, name == "train")
        for name in SPLITS
    }
    if not task.features:
        return images, images
    features: Arrays = np.load(task.features)
    loaders = {
        name: dataset.make_feature_loader(
            features[name], splits[name].labels, description, name == "train"
        )
        for name in SPLITS
    }
    return loaders, images
