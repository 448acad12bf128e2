"""Export the classifier to ONNX, a file that runs without the framework."""

from pathlib import Path

import keras

from keras_impl.precision import in_float32
from shared.program import IMAGE_SIZE_PX

OPSET = 18  # version of ONNX's operators, the newest that both frameworks write


def export_onnx(model: keras.Model, path: Path) -> None:
    """Write the classifier as one file, for batches of any size.

    Its input is called `input` and takes normalised images. Its output, the logits, is
    called `Identity:0`, a name that tf2onnx gives.
    """
    # [D42] None is any size; PyTorch fixes the sizes of its example.
    shape = (None, IMAGE_SIZE_PX, IMAGE_SIZE_PX, 3)
    in_float32(model).export(
        path,
        format="onnx",
        input_signature=[keras.InputSpec(dtype="float32", shape=shape, name="input")],
        opset_version=OPSET,
        verbose=False,
    )
    print(f"Exported: {path}")
