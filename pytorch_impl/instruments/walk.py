"""Follow one image through the plain program, step by step."""

import numpy as np
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from pytorch_impl.inference import load_image
from pytorch_impl.model import build_model
from pytorch_impl.weights import load_arrays, read_arrays
from shared.model.weights import Arrays, Scaling
from shared.program import IMAGE_SIZE_PX


def follow_image(
    source: str, network: nn.Module, head: Arrays, num_classes: int, scaling: Scaling
) -> Arrays:
    """Return what each step makes of an image, in the framework's own layout.

    Args:
        source: an image file.
        network: MobileNetV2 with its last layer.
        head: the values of the head, in torchvision's names and layout.
        num_classes: one logit for each.
        scaling: the one that belongs to the network's weights.
    """
    with Image.open(source) as image:
        photo = image.convert("RGB")
    batch = load_image(source, scaling).unsqueeze(0)
    model = build_model(network, num_classes).eval()
    load_arrays(model, read_arrays(model) | head)
    with torch.inference_mode():
        features = model.backbone(batch)
        logits = model.head(features)
        steps = {
            "photo": photo,
            "square": v2.Resize((IMAGE_SIZE_PX, IMAGE_SIZE_PX))(photo),
            "normalised": batch[0],
            "batch": batch,
            "first block": model.backbone.features[0](batch),
            "features": features,
            "hidden": model.head.relu(model.head.inner(features)),
            "logits": logits,
            "probabilities": logits.softmax(dim=1),
        }
    return {name: np.asarray(values) for name, values in steps.items()}
