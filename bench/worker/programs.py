"""The programs of the two divisions, with the same methods for both.

Each division has its own modules on each side, and no module asks for the division.
"""

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np

from bench.processes.arms import PLAIN_SUFFIXES, SUFFIXES, side_of
from bench.processes.request import Inputs
from bench.worker.side import PlainSide, Side
from shared.config import Config
from shared.data.dataset import ImageData
from shared.data.folders import require_readable
from shared.metrics import EpochRecord
from shared.model.checkpoints import Description, read_description, write_description
from shared.model.weights import Arrays, Scaling, initial_head
from shared.program import read_history

OnEpoch = Callable[..., None]  # gets a record, and in the matched division logits


class MatchedProgram:
    """Matched program, which is the same on both sides and uses decoded images."""

    def __init__(self, side: Side, arm: str) -> None:
        self.side = side
        self.suffix = SUFFIXES[side_of(arm)]
        self.build_model = side.model.build_model
        self.train = side.training.train
        self.load_checkpoint = side.checkpoint.load_checkpoint
        self.load_optimizer_state = side.checkpoint.load_optimizer_state

    def make_loader(
        self,
        data: ImageData,
        split: str,
        description: Description,
        training: bool = False,
    ):
        """Return a loader of batches of one split."""
        images = data.splits[split]
        return self.side.dataset.make_loader(images, description, training)

    def make_train_step(self, model, config: Config, on_features: bool) -> Callable:
        """Return a function that does one update, for all steps of a timing."""
        # The first step, the warm-up steps, and at most two steps for each sample.
        num_steps = 1 + config.timing_warmup_steps + 2 * config.timing_steps
        return self.side.steps.make_train_step(
            model, config, num_steps, on_features=on_features
        )

    def first_head(self, config: Config, num_classes: int) -> Arrays:
        """Return the first values of the head."""
        return initial_head(config, num_classes)


class PlainProgram:
    """Plain program at the root of a package, which reads folders of image files."""

    def __init__(self, side: Side, arm: str, inputs: Inputs | None) -> None:
        """Import the program.

        Args:
            inputs: inputs of the run; None if the job reads only checkpoints.
        """
        self.side, self.arm, self.inputs = side, arm, inputs
        self.code = PlainSide(arm)
        self.suffix = PLAIN_SUFFIXES[side_of(arm)]

    def build_model(self, _arrays: Arrays, description: Description):
        """Build the classifier from the run's weights file; its backbone is frozen."""
        config, model = description.config, self.code.model
        network, _, _ = model.load_pretrained(self.inputs.weights)
        num_classes = len(description.classes)
        return self._place(
            model.build_model(network, num_classes, config.inner_size, config.dropout),
            config,
        )

    def make_loader(
        self,
        _data: ImageData,
        split: str,
        description: Description,
        training: bool = False,
    ):
        """Return a loader of batches of one split.

        Raises:
            UserError: the framework's own loader would leave out a file.
        """
        folder, dataset = self.inputs.folders / split, self.code.dataset
        require_readable(folder, dataset.ENDINGS)
        scaling = Scaling(description.mean, description.std)
        augment = description.config.augment
        return dataset.make_loader(folder, scaling, training, augment)

    def make_train_step(self, model, config: Config, on_features: bool) -> Callable:  # noqa: ARG002
        """Return a function that does one update from a batch of images."""
        return self.side.steps.make_plain_train_step(model, config.learning_rate)

    def first_head(self, config: Config, num_classes: int) -> Arrays:  # noqa: ARG002
        """Return nothing: each framework draws the first values itself. [D07]"""
        return {}

    def train(
        self,
        model,
        train_loader,
        validation_loader,
        description: Description,
        folder: Path,
        on_epoch: OnEpoch,
        _image_loaders: tuple | None = None,
    ) -> list[EpochRecord]:
        """Train for all epochs, and write descriptions of the two checkpoints."""
        config, history = description.config, []

        def report() -> None:
            history.append(_last_epoch(folder))
            on_epoch(history[-1])

        with redirect_stdout(_EpochLines(report)):
            self.code.training.train(
                model,
                train_loader,
                validation_loader,
                folder,
                config.epochs,
                config.learning_rate,
            )
        # Both programs keep the first epoch with the highest validation accuracy. [D15]
        best = int(np.argmax([epoch.validation_accuracy for epoch in history])) + 1
        for name, epoch in (("best", best), ("last", config.epochs)):
            write_description(folder / f"{name}{self.suffix}", description, epoch)
        return history

    def load_checkpoint(self, path: Path) -> tuple:
        """Rebuild the classifier of a checkpoint, and return it with its description.

        Raises:
            UserError: the checkpoint is missing or truncated.
        """
        description = read_description(path)
        model = self.code.checkpoint.load_checkpoint(
            path.parent, path.name.removesuffix(self.suffix)
        )
        return self._place(model, description.config), description

    def load_optimizer_state(self, _path: Path) -> Arrays:
        """Return nothing: the optimizer's state has the framework's own format."""
        return {}

    def _place(self, model, config: Config):
        # [D19] PyTorch has to move the model to the device; Keras places it by itself.
        if self.arm == "pytorch":
            model.to(self.side.device.find_device(config))
        return model


Program = MatchedProgram | PlainProgram


def make_program(side: Side, arm: str, inputs: Inputs | None, division: str) -> Program:
    """Return the program of a division."""
    if division == "plain":
        return PlainProgram(side, arm, inputs)
    return MatchedProgram(side, arm)


class _EpochLines(io.TextIOBase):
    """Replacement of standard output that notices the epochs of a plain program."""

    def __init__(self, report: Callable[[], None]) -> None:
        self.report = report

    def write(self, text: str) -> int:
        if text.startswith("Epoch "):
            self.report()
        return sys.stderr.write(text)


def _last_epoch(folder: Path) -> EpochRecord:
    number, *figures = read_history(folder)[-1]
    names = list(EpochRecord.model_fields)[1:]
    return EpochRecord(epoch=number, **dict(zip(names, figures, strict=True)))
