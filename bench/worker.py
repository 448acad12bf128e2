"""The jobs of one arm, in a process of its own: `python -m bench.worker`.

The only part of `bench` that loads a framework, and never both of the pair; Keras may
load TensorFlow beside another backend. Each line of standard input is the path of a
request, or, if empty, a turn for the job that runs. Progress goes to standard output as
one JSON object a line; the result is a file, written whole.
"""

import importlib
import json
import os
import re
import resource
import sys
import threading
import time
import traceback
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace

import numpy as np

from bench.divisions import Matched, Plain
from bench.ladder import Climber, EpochLog, climb
from bench.ledger.jobs import probe_alone, probe_differences
from bench.ledger.study import compute_features, train_heads
from bench.request import ARMS, BACKENDS, Request
from bench.timing.phases import time_briefly, time_cold, time_epoch, time_steady
from bench.transfer import hand_over, take_over
from shared.checkpoints import Description, read_record
from shared.clock import Stages
from shared.dataset import ImageData, Split, open_cached
from shared.errors import UserError
from shared.files import write_atomically
from shared.images import encode_thumbnail
from shared.memory import PassWatch, PrivateMemory
from shared.metrics import score, softmax
from shared.records import (
    ArmRecord,
    EpochRecord,
    MemoryRecord,
    Mistake,
    ScoreRecord,
)
from shared.weights import Arrays, read_checkpoint_arrays, read_weights

_events = sys.stdout
_requests: SimpleQueue[Path] = SimpleQueue()
_turns = threading.Semaphore(0)  # that the runner has given and nobody has taken
_idle = threading.Event()

CHAPTERS = {
    "device": "matched.device",
    "weights": "weights",
    "model": "matched.model",
    "dataset": "matched.dataset",
    "inference": "matched.inference",
    "checkpoint": "matched.checkpoint",
    "training": "matched.training",
    "export": "matched.export",
    "differences": "differences.switches",
}
NUM_MISTAKES = 8
THUMBNAIL_PX = 112


class Worker:
    """The arm's package, the stages timed so far, and what every job needs."""

    def __init__(self, request: Request, left_in: ExitStack) -> None:
        """Import the side, set up its device, and leave in the request's differences.

        Args:
            left_in: takes the switches, to the end of the job.
        """
        self.request = request
        self.config = request.config
        self.stages = Stages()
        self.stages.seconds["start"] = time.time() - request.started_at
        self.watch = _watch_memory()
        with self.stage("import"):
            self.side = import_side(request.arm)
            self.device = self.side.device.set_up(self.config)
        self.one_pass = PassWatch(
            self.config.batch_size, self.side.device.peak_device_mib, on_batch
        )
        for difference in request.switches:
            left_in.enter_context(self.side.differences.switched_on(difference))

    def stage(self, name: str):
        """Time a block under `name`, and say that it begins."""
        self.announce(name)
        return self.stages.measure(name)

    def announce(self, name: str) -> None:
        """Say what begins."""
        emit("stage", name=name)

    def take_turn(self) -> None:
        """Pause for as long as the runner lets other workers go first."""
        emit("turn")
        _turns.acquire()

    def memory(self) -> MemoryRecord:
        """The most that this process has taken so far."""
        return MemoryRecord(
            peak_rss_mib=_peak_rss_mib(),
            peak_private_mib=self.watch.peak_mib,
            peak_device_mib=self.side.device.peak_device_mib(),
        )

    def program(self, data: ImageData) -> Matched | Plain:
        """The functions of the side that this run's division uses."""
        if self.config.division == "plain":
            return Plain(self.side, self.request.folders)
        return Matched(self.side, data)

    def describe(self, data: ImageData) -> tuple[Description, Arrays]:
        """Description of the classifier to train, and the first values given to it."""
        weights = read_weights(self.request.weights)
        description = Description(
            config=self.config,
            classes=data.classes,
            mean=weights.mean,
            std=weights.std,
        )
        return description, weights.arrays | self.program(data).first_head(self.config)

    def make_feature_loaders(
        self, model, splits: dict[str, Split], description: Description
    ) -> tuple:
        """Training and validation batches of features, computed once.

        They stay in the scratch folder, where the runner compares those of the arms.
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
    """One thread for the whole process, however many jobs it does."""
    return PrivateMemory()


def emit(event: str, **values: object) -> None:
    """Tell the runner something, as one line."""
    print(json.dumps({"event": event, **values}), file=_events, flush=True)


def on_batch(done: int, total: int) -> None:
    """Progress within a stage."""
    emit("progress", done=done, total=total)


def train(worker: Worker) -> dict:
    """Train, keep the best checkpoint, and evaluate it on the test split once."""
    data = open_cached(worker.request.data)
    splits, side, program = data.splits, worker.side, worker.program(data)
    with worker.stage("build"):
        description, arrays = worker.describe(data)
        model = program.build_model(arrays, description)
    if worker.config.features_are_cached:
        with worker.stage("features"):
            loaders = worker.make_feature_loaders(model, splits, description)
    else:
        with worker.stage("build"):
            loaders = (
                program.make_loader("train", description, training=True),
                program.make_loader("validation", description),
            )
    folder = worker.request.models / worker.request.arm
    log = EpochLog(side, model, worker.config.epochs, len(loaders[0]))

    def on_epoch(record: EpochRecord, *logits: np.ndarray) -> None:
        emit("epoch", **record.model_dump())
        if logits:  # the matched division alone has them at hand
            log(record, *logits)

    with worker.stage("epochs"):
        history = program.train(model, *loaders, description, folder, on_epoch)
    np.savez(worker.request.scratch / "epochs.npz", **log.arrays)
    checkpoint = folder / f"best{side.checkpoint.SUFFIX}"
    validation, test = _evaluate(worker, checkpoint, data, loaders[1])
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


def export_trained(worker: Worker) -> dict:
    """Export the best classifier that this arm has trained."""
    request, side = worker.request, worker.side
    folder = request.models / request.arm
    model, description = side.checkpoint.load_checkpoint(
        folder / f"best{side.checkpoint.SUFFIX}"
    )
    with worker.stage("export"):
        side.export.export_onnx(model, folder.with_suffix(".onnx"), description)
    return {"seconds": worker.stages.seconds["export"]}


def export_checkpoint(worker: Worker) -> dict:
    """Export a checkpoint of either side with this side's exporter."""
    request, side = worker.request, worker.side
    with worker.stage("build"):
        if request.checkpoint.name.endswith(side.checkpoint.SUFFIX):
            model, description = side.checkpoint.load_checkpoint(request.checkpoint)
        else:
            arrays, description = read_checkpoint_arrays(request.checkpoint)
            model = side.model.build_model(arrays, description)
    path = request.scratch / "exported.onnx"
    with worker.stage("export"):
        side.export.export_onnx(model, path, description)
    return {"path": str(path)}


def read_pth(worker: Worker) -> dict:
    """Keep the arrays of a torchvision .pth file, which only PyTorch can read."""
    import torch

    from shared.weights import make_weights, save_weights

    source = worker.request.weights
    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler meets
        first_line = str(error).strip().splitlines()[0]
        raise UserError(
            f"--weights {source}: not a state dict that PyTorch can load safely "
            f"({first_line})."
        ) from error
    arrays = {
        name: value.numpy() for name, value in state.items() if hasattr(value, "numpy")
    }
    path = worker.request.scratch / "weights.safetensors"
    save_weights(make_weights(arrays, source, source.name), path)
    return {"path": str(path)}


def climb_ladder(worker: Worker) -> dict:
    """Compute and store every array that the parity ladder compares."""
    data = open_cached(worker.request.data)
    with worker.stage("build"):
        description, arrays = worker.describe(data)
    path = worker.request.scratch / "rungs.npz"
    climber = Climber(worker.side, arrays, description, data.splits)
    with worker.stage("rungs"):
        np.savez(path, **climb(climber, worker.request.exact_rungs))
    return {"path": str(path)}


def load(worker: Worker) -> dict:
    """Prove that the framework loads; say what it runs on."""
    return {"device": worker.device, "threads": worker.side.device.num_threads()}


def probe(worker: Worker) -> dict:
    """Prove that the arm finds its device, the images and what is switched on."""
    data = open_cached(worker.request.data)
    description, _ = worker.describe(data)
    for split in data.splits:
        worker.program(data).make_loader(split, description)
    return load(worker)


JOBS = {
    job.__name__: job
    for job in (
        *(train, export_trained, export_checkpoint, hand_over, take_over, read_pth),
        *(time_cold, time_briefly, time_steady, probe),
        *(load, climb_ladder, probe_differences, probe_alone),
        *(compute_features, train_heads, time_epoch),
    )
}


def import_side(arm: str) -> SimpleNamespace:
    """The chapters of the arm's package, as attributes."""
    if arm in BACKENDS:
        os.environ["KERAS_BACKEND"] = BACKENDS[arm]
    package = ARMS[arm]
    modules = {
        name: importlib.import_module(f"{package}.{module}")
        for name, module in CHAPTERS.items()
    }
    return SimpleNamespace(**modules)


def _evaluate(
    worker: Worker, checkpoint: Path, data: ImageData, validation_loader
) -> tuple:
    """Logits of both splits by the best classifier, as loaded from its file.

    Stored for the ONNX check are those of the decoded test images, which onnxruntime
    is given too; the plain loaders decode and resize for themselves. [D18]
    """
    side, inference = worker.side, worker.side.inference
    with worker.stage("evaluate"):
        model, description = side.checkpoint.load_checkpoint(checkpoint)
        network = model.head if worker.config.features_are_cached else model
        validation_logits = inference.predict_logits(network, validation_loader)
        test_loader = worker.program(data).make_loader("test", description)
        test_logits = reference = inference.predict_logits(model, test_loader, on_batch)
        if worker.config.division == "plain":
            decoded = side.dataset.make_loader(data.splits["test"], description)
            reference = inference.predict_logits(model, decoded)
        np.save(worker.request.scratch / "test_logits.npy", reference)
    return validation_logits, test_logits


def _score_test(logits: np.ndarray, split: Split, classes: list[str]) -> ScoreRecord:
    """Scores of the test split and the mistakes that the arm is most sure of."""
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


def _peak_rss_mib() -> float:
    # Where there is none, getrusage() tells our parent's peak if that was higher.
    status = Path("/proc/self/status")
    if status.is_file() and (
        peak := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
    ):
        return int(peak[1]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def _listen_to_runner() -> None:
    """Pass on requests and turns; end with the runner, which asks for nothing more."""
    line = b""
    # sys.stdin would be locked while it reads, and a forked loader could not close it.
    while byte := os.read(0, 1):
        if byte != b"\n":
            line += byte
        elif line:
            _requests.put(Path(line.decode()))
            line = b""
        else:
            _turns.release()
    os._exit(0 if _idle.is_set() else 1)


def _do(request: Request) -> None:
    """Do the job of a request; the result file tells how it ended."""
    with ExitStack() as left_in:
        try:
            result = JOBS[request.job](Worker(request, left_in))
        except UserError as error:
            result = {"user_error": str(error)}
        except Exception as error:
            traceback.print_exc()
            result = {"failed": f"{type(error).__name__}: {error}".splitlines()[0]}
    write_atomically(request.scratch / "result.json", json.dumps(result))


def main() -> None:
    """Do one job after the other, as the runner asks for them."""
    global _events
    _events = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no event
    _idle.set()
    threading.Thread(target=_listen_to_runner, daemon=True).start()
    while True:
        path = _requests.get()
        _idle.clear()
        _do(Request.model_validate_json(path.read_bytes()))
        _idle.set()
        emit("done")


if __name__ == "__main__":
    main()
