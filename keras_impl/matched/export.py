"""Export the classifier to ONNX: one file, for inference, with batches of any size."""

from pathlib import Path

import keras

from keras_impl.matched.model import Classifier
from shared.config import ONNX_OPSET
from shared.files import atomic_path
from shared.model.checkpoints import Description
from shared.model.onnx_file import finish_onnx

LAYOUT = "NHWC"


def export_onnx(model: Classifier, path: Path, description: Description) -> None:
    """Write the classifier's graph from `input` to `logits`, checked by ONNX.

    Class names, scaling, image size and layout go into the file's metadata.
    """
    size = description.config.image_size_px
    signature = [keras.InputSpec("float32", (None, size, size, 3), name="input")]
    with atomic_path(path) as temporary:
        model.export(
            temporary,
            format="onnx",
            input_signature=signature,
            opset_version=ONNX_OPSET,
            verbose=False,
        )
        finish_onnx(temporary, description, LAYOUT)
