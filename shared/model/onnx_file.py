"""What every exported ONNX file has, whichever side wrote it."""

import json
from pathlib import Path

import onnx

from shared.model.checkpoints import Description


def finish_onnx(path: Path, description: Description, layout: str) -> None:
    """Name output and batch axis, add metadata and check the graph, in place.

    Args:
        layout: "NCHW" or "NHWC", the order of the input's axes.

    Raises:
        onnx.checker.ValidationError: the graph is not valid ONNX.
    """
    model = onnx.load(path)
    _rename(model.graph, model.graph.output[0].name, "logits")
    for value in (model.graph.input[0], model.graph.output[0]):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    metadata = {
        "classes": json.dumps(description.classes),
        "mean": json.dumps(description.mean),
        "std": json.dumps(description.std),
        "image_size_px": str(description.config.image_size_px),
        "resize": description.config.resize,
        "layout": layout,
    }
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _rename(graph: onnx.GraphProto, old: str, new: str) -> None:
    if old == new:
        return
    for node in graph.node:
        node.output[:] = [new if name == old else name for name in node.output]
        node.input[:] = [new if name == old else name for name in node.input]
    graph.output[0].name = new
