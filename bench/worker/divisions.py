"""The functions of a side that the two divisions have apart, under the same names."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from shared.config import Config
from shared.data.dataset import ImageData
from shared.model.checkpoints import Description
from shared.model.weights import Arrays, initial_head


class Matched:
    """The same program on both sides, from the same decoded images."""

    def __init__(self, side: SimpleNamespace, data: ImageData) -> None:
        self.side, self.data = side, data
        self.build_model = side.model.build_model
        self.train = side.training.train

    def make_loader(self, split: str, description: Description, training: bool = False):
        """Batches of one split."""
        images = self.data.splits[split]
        return self.side.dataset.make_loader(images, description, training)

    def make_train_step(self, model, config: Config, on_features: bool) -> Callable:
        """A function that does one update from a batch, for as many as are timed."""
        # The first, those of the warm-up, and at most two for each sample.
        num_steps = 1 + config.timing_warmup_steps + 2 * config.timing_steps
        return self.side.training.make_train_step(
            model, config, num_steps, on_features=on_features
        )

    def first_head(self, config: Config) -> Arrays:
        """First values of the head, where the program does not draw them itself."""
        return initial_head(config, len(self.data.classes))


class Plain:
    """Each side as its framework's guide writes it, from folders of image files."""

    def __init__(self, side: SimpleNamespace, folders: Path) -> None:
        self.side, self.folders = side, folders
        self.build_model = side.model.build_plain_model
        self.train = side.training.train_plain

    def make_loader(self, split: str, description: Description, training: bool = False):
        """Batches of one split."""
        folder = self.folders / split
        return self.side.dataset.make_plain_loader(folder, description, training)

    def make_train_step(self, model, config: Config, on_features: bool) -> Callable:  # noqa: ARG002
        """A function that does one update from a batch of images."""
        return self.side.training.make_plain_train_step(model, config)

    def first_head(self, config: Config) -> Arrays:  # noqa: ARG002
        """None: each framework draws its own. [D07]"""
        return {}
