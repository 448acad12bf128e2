"""The file takes batches of any size, and its weights lie inside."""

from pathlib import Path

import torch
from torch import nn


def export_onnx(model: nn.Module, path: Path) -> None:
    """Export a model whose forward(images) takes (N, 3, 8, 8)."""
    model.eval()  # [D20]
    example = torch.zeros(2, 3, 8, 8)
    torch.onnx.export(
        model,
        (example,),
        path,
        dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
        external_data=False,
        verbose=False,
    )
