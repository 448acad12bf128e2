"""The side, the device and the stages, which every job of a worker uses."""

import time
from contextlib import ExitStack
from functools import cache
from typing import Generic, TypeVar

import numpy as np

from bench.processes.request import InputsRequest, Request
from bench.records import MemoryRecord
from bench.worker.channel import emit, on_batch, wait_for_turn
from bench.worker.memory import PassWatch, PrivateMemory, peak_rss_mib
from bench.worker.programs import make_program
from bench.worker.side import Side
from shared.clock import Stages
from shared.data.dataset import ImageData, Split
from shared.model.checkpoints import Description
from shared.model.weights import Arrays, read_weights

R = TypeVar("R", bound=Request, covariant=True)


class Worker(Generic[R]):
    """Context of one job: the arm's package, its device, and the timed stages."""

    def __init__(self, request: R, left_in: ExitStack) -> None:
        """Import the side, set up its device, and leave in the request's differences.

        Args:
            left_in: the stack that keeps the switches on until the end of the job.
        """
        self.request = request
        self.config = request.config
        self.stages = Stages()
        self.stages.seconds["start"] = time.time() - request.started_at
        self.watch = _watch_memory()
        with self.stage("import"):
            self.side = Side(request.arm)
            inputs = request.inputs if isinstance(request, InputsRequest) else None
            self.program = make_program(
                self.side, request.arm, inputs, self.config.division
            )
            self.device = self.side.device.set_up(self.config)
        self.one_pass = PassWatch(
            self.config.batch_size, self.side.device.peak_device_mib, on_batch
        )
        for difference in request.switches:
            left_in.enter_context(self.side.switches.switched_on(difference))

    def stage(self, name: str):
        """Tell the runner that a stage begins, and return a context that times it."""
        self.announce(name)
        return self.stages.measure(name)

    def announce(self, name: str) -> None:
        """Tell the runner that a stage begins."""
        emit("stage", name=name)

    def take_turn(self) -> None:
        """Pause while the runner lets other workers go first."""
        wait_for_turn()

    def memory(self) -> MemoryRecord:
        """Return the largest memory that this process has taken so far."""
        return MemoryRecord(
            peak_rss_mib=peak_rss_mib(),
            peak_private_mib=self.watch.peak_mib,
            peak_device_mib=self.side.device.peak_device_mib(),
        )

    def store(self, name: str, arrays: Arrays) -> str:
        """Write arrays into the scratch folder, and return the path of the file."""
        path = self.request.scratch / f"{name}.npz"
        np.savez(path, **arrays)  # type: ignore[arg-type]  # of allow_pickle
        return str(path)

    def describe(
        self: "Worker[InputsRequest]", data: ImageData
    ) -> tuple[Description, Arrays]:
        """Return the description of the classifier to train, and its initial arrays."""
        weights = read_weights(self.request.inputs.weights)
        description = Description(
            config=self.config,
            classes=data.classes,
            mean=weights.mean,
            std=weights.std,
        )
        head = self.program.first_head(self.config, len(data.classes))
        return description, weights.arrays | head

    def make_feature_loaders(
        self, model, splits: dict[str, Split], description: Description
    ) -> tuple:
        """Compute the features once, and return loaders for training and validation.

        The features stay in the scratch folder, where the runner compares the arms.
        """
        side, loaders = self.side, []
        backbone = side.model.fold_batch_norm(model)
        for name in ("train", "validation"):
            loader = side.dataset.make_loader(splits[name], description)
            store = self.request.scratch / f"{name}-features.npy"
            report = self.one_pass if name == "train" else on_batch
            features = side.inference.compute_features(backbone, loader, report, store)
            loaders.append(
                side.dataset.make_feature_loader(
                    features, splits[name].labels, description, name == "train"
                )
            )
        return tuple(loaders)


@cache
def _watch_memory() -> PrivateMemory:
    """Start the thread that watches memory, once for the whole process."""
    return PrivateMemory()
