"""Run exported graphs with onnxruntime, without a framework, and compare logits."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnxruntime

from bench.onnx_metadata import ADVICE, read_metadata
from bench.records import OnnxParity, OperationRecord
from shared.errors import UserError
from shared.metrics import max_scaled_diff, top1_agreement
from shared.preprocessing import scale_pixels

PROFILED_PASSES = 6


class OnnxClassifier:
    """An exported classifier with its metadata.

    Attributes:
        classes: class names in the order of the logits.
        image_size_px: side of the square input.
        resize: how an image becomes this square, for `decode_image`.
    """

    def __init__(self, path: Path) -> None:
        """Open an exported file.

        Raises:
            UserError: the file is missing, is no ONNX graph, or is not of this project.
        """
        if not path.is_file():
            raise UserError(
                f"--model {path}: no such file. Give an exported .onnx file."
            )
        self._path = path
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # failures are raised, so they need no log
        with self._explained("open"):
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
            metadata = read_metadata(path, self._session)
        self.classes = metadata.classes
        self.image_size_px = metadata.image_size_px
        self.resize = metadata.resize
        self._mean, self._std = metadata.mean, metadata.std
        self._layout = metadata.layout

    @contextmanager
    def _explained(self, verb: str) -> Iterator[None]:
        """Turn onnxruntime's errors, which share no base class, into a UserError."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            first_line = next(iter(str(error).splitlines()), type(error).__name__)
            reason = "".join(filter(str.isprintable, first_line))
            raise UserError(
                f"--model {self._path}: onnxruntime cannot {verb} it ({reason}). "
                f"{ADVICE}"
            ) from error

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return logits (N, classes) float32 for images (N, H, W, 3) uint8."""
        return self.run(self.prepare(images))

    def prepare(self, images: np.ndarray) -> np.ndarray:
        """Scale images (N, H, W, 3) uint8 and bring them into the graph's layout."""
        inputs = scale_pixels(images, self._mean, self._std)
        if self._layout == "NCHW":
            inputs = np.ascontiguousarray(inputs.transpose(0, 3, 1, 2))
        return inputs

    def run(self, inputs: np.ndarray) -> np.ndarray:
        """Return logits (N, classes) float32 of prepared inputs.

        Raises:
            UserError: the graph fails on these inputs.
        """
        with self._explained("run"):
            return self._session.run(["logits"], {"input": inputs})[0]

    def all_logits(self, images: np.ndarray, batch_size: int) -> np.ndarray:
        """Return the logits of all images, computed in batches of at most this size."""
        starts = range(0, len(images), batch_size)
        return np.concatenate(
            [self.logits(images[start : start + batch_size]) for start in starts]
        )


def compare_with_reference(
    runs: dict[int, np.ndarray], reference: np.ndarray
) -> OnnxParity:
    """Return the largest difference from the framework's logits over all batch sizes.

    Args:
        runs: logits of all images, (N, classes), for each batch size.
        reference: the framework's logits, (N, classes).
    """
    found = runs.values()
    return OnnxParity(
        images=len(reference),
        batch_sizes=list(runs),
        max_abs_diff=max(float(np.abs(run - reference).max()) for run in found),
        max_scaled_diff=max(max_scaled_diff(run, reference) for run in found),
        top1_agreement=min(top1_agreement(run, reference) for run in found),
        logit_spread=float(reference.std()),
    )


def profile(path: Path, inputs: np.ndarray) -> dict[str, OperationRecord]:
    """Return count and time of the operations that onnxruntime runs for one batch.

    onnxruntime rewrites a graph before it runs it, so operations that it has joined
    count as one. The fastest of several passes is kept.

    Args:
        path: an exported file; onnxruntime writes its profile beside it.
        inputs: one batch as `OnnxClassifier.prepare` makes it.
    """
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(path.with_suffix(""))
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    for _ in range(PROFILED_PASSES):
        session.run(None, {"input": inputs})
    events = json.loads(Path(session.end_profiling()).read_text())
    calls = [
        (event["args"]["op_name"], event["dur"] / 1000)  # from microseconds
        for event in events
        if event["name"].endswith("_kernel_time")
    ]
    passes = np.array(calls, dtype=object).reshape(PROFILED_PASSES, -1, 2)
    names, milliseconds = min(passes, key=lambda one: one[:, 1].sum()).T
    return {
        name: OperationRecord(
            count=int((names == name).sum()),
            milliseconds=float(milliseconds[names == name].sum()),
        )
        for name in dict.fromkeys(names)
    }
