"""Jobs that read and write files, and jobs that only test the arm."""

from collections.abc import Mapping

from bench.processes.request import (
    ExportCheckpoint,
    ExportTrained,
    Probe,
    ReadPth,
    Request,
)
from bench.worker.job import Worker
from shared.data.dataset import open_cached
from shared.errors import UserError
from shared.model.weights import read_checkpoint_arrays

STATE_DICT_NAMES = ("state_dict", "model_state_dict", "model")


def export_trained(worker: Worker[ExportTrained]) -> dict:
    """Export the best classifier that this arm has trained."""
    folder, program = worker.request.models / worker.request.arm, worker.program
    model, description = program.load_checkpoint(folder / f"best{program.suffix}")
    with worker.stage("export"):
        worker.side.export.export_onnx(model, folder.with_suffix(".onnx"), description)
    return {"seconds": worker.stages.seconds["export"]}


def export_checkpoint(worker: Worker[ExportCheckpoint]) -> dict:
    """Export a checkpoint of either side with the exporter of this side."""
    request, side = worker.request, worker.side
    with worker.stage("build"):
        if request.checkpoint.name.endswith(worker.program.suffix):
            model, description = worker.program.load_checkpoint(request.checkpoint)
        else:
            arrays, description = read_checkpoint_arrays(request.checkpoint)
            model = side.model.build_model(arrays, description)
    path = request.scratch / "exported.onnx"
    with worker.stage("export"):
        side.export.export_onnx(model, path, description)
    return {"path": str(path)}


def read_pth(worker: Worker[ReadPth]) -> dict:
    """Store the arrays of a torchvision .pth file, which only PyTorch can read.

    Raises:
        UserError: it holds no state dict.
    """
    import torch

    from shared.model.weights import make_weights, save_weights

    source = worker.request.weights
    try:
        state = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:  # torch passes on any exception of its unpickler
        if "Unsupported global" in str(error):
            raise UserError(
                f"--weights {source}: a whole pickled model or other Python objects, "
                "which could run code. Save model.state_dict() instead."
            ) from error
        first_line = str(error).strip().splitlines()[0]
        raise UserError(
            f"--weights {source}: this is not a state dict that PyTorch can load "
            f"safely ({first_line})."
        ) from error
    for name in STATE_DICT_NAMES:  # training loops keep it beside the optimizer's
        if isinstance(state, Mapping) and isinstance(state.get(name), Mapping):
            state = state[name]
    if not isinstance(state, Mapping):
        raise UserError(
            f"--weights {source}: {type(state).__name__} instead of a state dict. Save "
            "model.state_dict()."
        )
    arrays = {
        name: value.detach().to(torch.float32).numpy()
        for name, value in state.items()
        if isinstance(value, torch.Tensor)
    }
    path = worker.request.scratch / "weights.safetensors"
    save_weights(make_weights(arrays, source, source.name), path)
    return {"path": str(path)}


def load(worker: Worker[Request]) -> dict:
    """Show that the framework loads, and return its device and number of threads."""
    return {"device": worker.device, "threads": worker.side.device.num_threads()}


def describe_gpu(worker: Worker[Request]) -> dict:
    """Try the GPU, and return what the framework says about it."""
    return {"gpu": worker.side.gpu.describe_gpu().model_dump()}


def probe(worker: Worker[Probe]) -> dict:
    """Show that the arm finds its device, the images and its switches."""
    data = open_cached(worker.request.inputs.data)
    description, _ = worker.describe(data)
    for split in data.splits:
        worker.program.make_loader(data, split, description)
    return load(worker)
