"""Export the classifier to ONNX, a file that runs without the framework."""

from pathlib import Path

import torch

from pytorch_impl.model import Classifier
from shared.program import IMAGE_SIZE_PX

OPSET = 18  # the newest version of ONNX's operations that both frameworks write


def export_onnx(model: Classifier, path: Path) -> None:
    """Write the classifier as one file, for batches of any size.

    Its input is called `input` and takes normalised images. Its output is called
    `logits`.
    """
    model.cpu().eval()  # [D20] PyTorch exports the mode that the model is in
    example = torch.zeros(2, 3, IMAGE_SIZE_PX, IMAGE_SIZE_PX)
    torch.onnx.export(
        model,
        (example,),
        path,
        dynamo=True,
        opset_version=OPSET,
        input_names=["input"],
        output_names=["logits"],
        dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
        external_data=False,  # else the weights would go into a second file
        verbose=False,
    )
    print(f"Exported: {path}")
