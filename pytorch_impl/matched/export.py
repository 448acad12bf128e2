"""Export the classifier to ONNX: one file, for inference, with batches of any size."""

from pathlib import Path

import torch

from pytorch_impl.matched.model import Classifier
from shared.config import ONNX_OPSET
from shared.files import atomic_path
from shared.model.checkpoints import Description
from shared.model.onnx_file import finish_onnx

LAYOUT = "NCHW"


def export_onnx(model: Classifier, path: Path, description: Description) -> None:
    """Write the classifier's graph from `input` to `logits`, checked by ONNX.

    Class names, scaling, image size and layout go into the file's metadata.
    """
    model.eval()  # [D20] else the file has dropout that drops
    size = description.config.image_size_px
    device = next(model.parameters()).device
    # [D42] torch 2.9 takes sizes 0 and 1 of an example as fixed, hence two images.
    example = torch.zeros(2, 3, size, size, device=device)
    program = torch.onnx.export(
        model,
        (example,),
        dynamo=True,
        opset_version=ONNX_OPSET,
        input_names=["input"],
        output_names=["logits"],
        dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
        verbose=False,
    )
    with atomic_path(path) as temporary:
        program.save(temporary, external_data=False)
        finish_onnx(temporary, description, LAYOUT)
