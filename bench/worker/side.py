"""Import the modules of one side by the name of its arm."""

import importlib
import os
from typing import TYPE_CHECKING

from bench.processes.arms import ARMS, BACKENDS


class Side:
    """The modules of one side that the laboratory uses.

    Both sides have the same functions in each module. For "go to definition", editors
    and type checkers use PyTorch's modules.
    """

    if TYPE_CHECKING:
        from pytorch_impl import weights
        from pytorch_impl.differences import switches
        from pytorch_impl.instruments import blocks, cam, gpu, steps, walk
        from pytorch_impl.matched import (
            checkpoint,
            dataset,
            device,
            export,
            inference,
            model,
            optimizer,
            training,
        )

    def __init__(self, arm: str) -> None:
        """Import the side of an arm, which loads the framework."""
        if arm in BACKENDS:
            os.environ["KERAS_BACKEND"] = BACKENDS[arm]
        package = ARMS[arm]

        def load(name: str):
            return importlib.import_module(f"{package}.{name}")

        self.device = load("matched.device")
        self.weights = load("weights")
        self.model = load("matched.model")
        self.dataset = load("matched.dataset")
        self.inference = load("matched.inference")
        self.checkpoint = load("matched.checkpoint")
        self.optimizer = load("matched.optimizer")
        self.training = load("matched.training")
        self.export = load("matched.export")
        self.steps = load("instruments.steps")
        self.blocks = load("instruments.blocks")
        self.cam = load("instruments.cam")
        self.gpu = load("instruments.gpu")
        self.walk = load("instruments.walk")
        self.switches = load("differences.switches")


class PlainSide:
    """The modules of one plain program."""

    if TYPE_CHECKING:
        from pytorch_impl import checkpoint, dataset, inference, model, training

    def __init__(self, arm: str) -> None:
        """Import the program of an arm. Its `Side` must have been made before."""
        package = ARMS[arm]
        self.dataset = importlib.import_module(f"{package}.dataset")
        self.model = importlib.import_module(f"{package}.model")
        self.training = importlib.import_module(f"{package}.training")
        self.checkpoint = importlib.import_module(f"{package}.checkpoint")
        self.inference = importlib.import_module(f"{package}.inference")
