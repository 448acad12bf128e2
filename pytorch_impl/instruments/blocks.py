"""What comes out of each block of the backbone."""

import numpy as np
import torch

from pytorch_impl.matched.model import Classifier
from pytorch_impl.precision import autocast


def compute_blocks(model: Classifier, images: np.ndarray) -> list[np.ndarray]:
    """Return the output of each of the 19 blocks for one batch, (N, H, W, C).

    Args:
        images: normalised, in this framework's layout.
    """
    model.eval()
    device = next(model.parameters()).device
    values, outputs = torch.from_numpy(images).to(device), []
    with torch.inference_mode(), autocast(device.type):
        for block in model.backbone.features:
            values = block(values)
            output = values.permute(0, 2, 3, 1)  # [D04]
            outputs.append(output.to("cpu", torch.get_default_dtype()).numpy())
    return outputs
