"""Check exported graphs with onnxruntime, on every test image."""

import numpy as np

from bench.onnx_runtime import OnnxClassifier, compare_with_reference
from bench.records import OnnxCross, OnnxRecord
from bench.run.state import Run
from shared.config import ONNX_BATCH_SIZES, ONNX_OPSET
from shared.metrics import max_scaled_diff, top1_agreement

ACROSS = "pytorch-in-keras.onnx"
ONNX_BATCH = 32
ONNX_LOGITS = "onnx_logits.npy"  # logits of all test images


def check_onnx(run: Run, arm: str) -> OnnxRecord:
    """Compare onnxruntime's logits of all test images with the framework's logits."""
    run.display.show(f"{arm}: checking with onnxruntime")
    path = run.options.output / "models" / f"{arm}.onnx"
    graph, images = OnnxClassifier(path), run.data.splits["test"].images
    logits = {size: graph.all_logits(images, size) for size in ONNX_BATCH_SIZES}
    np.save(run.scratch / arm / ONNX_LOGITS, logits[ONNX_BATCH])
    return OnnxRecord(
        path=path.relative_to(run.options.output).as_posix(),
        bytes=path.stat().st_size,
        opset=ONNX_OPSET,
        parity=compare_with_reference(
            logits, np.load(run.scratch / arm / "test_logits.npy")
        ),
    )


def compare_graphs(run: Run) -> None:
    """Compare the two graphs that both sides exported of PyTorch's classifier."""
    images = run.data.splits["test"].images
    graph = OnnxClassifier(run.options.output / "models" / ACROSS)
    logits = graph.all_logits(images, ONNX_BATCH)
    reference = np.load(run.scratch / "pytorch" / ONNX_LOGITS)
    run.comparison.onnx_cross = OnnxCross(
        images=len(images),
        max_scaled_diff=max_scaled_diff(logits, reference),
        top1_agreement=top1_agreement(logits, reference),
        logit_spread=float(reference.std()),
    )
