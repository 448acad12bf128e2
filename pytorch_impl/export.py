"""Export the classifier to ONNX, a file that runs without the framework."""

from pathlib import Path

import torch

from pytorch_impl.model import Classifier
from shared.program import IMAGE_SIZE_PX

OPSET = 18  # version of ONNX's operators, the newest that both frameworks write


def export_onnx(model: Classifier, path: Path) -> None:
    """Write the classifier as one file, for batches of any size.

    Its input is called `input` and takes normalised images. Its output, the logits, is
    called `logits`.
    """
    model.cpu().eval()  # [D20] else the file has dropout that drops units
    # [D42] The sizes of the example are fixed, but for those that are declared as free;
    # torch 2.9 fixes a size of 1 even then. Keras: None in a shape is any size.
    example = torch.zeros(2, 3, IMAGE_SIZE_PX, IMAGE_SIZE_PX)
    torch.onnx.export(
        model,
        (example,),
        path,
        opset_version=OPSET,
        input_names=["input"],
        output_names=["logits"],
        dynamic_shapes={"images": {0: torch.export.Dim("batch")}},  # as in forward()
        external_data=False,  # else the weights would go into a second file
        verbose=False,
    )
    print(f"Exported: {path}")
