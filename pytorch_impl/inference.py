"""Classify one image, from a file or from a URL."""

import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from pytorch_impl.dataset import make_normalisation
from pytorch_impl.precision import autocast
from shared.model.weights import Scaling
from shared.program import IMAGE_SIZE_PX, open_image, rank, read_imagenet_classes


def guess_imagenet(
    network: nn.Module, source: str, scaling: Scaling
) -> dict[str, float]:
    """Return ImageNet's five most probable classes of an image.

    Args:
        network: the pretrained network with all its layers.
        source: a file or a URL.
    """
    return classify(network, source, read_imagenet_classes(), scaling, count=5)


def classify(
    model: nn.Module, source: str, classes: list[str], scaling: Scaling, count: int = 3
) -> dict[str, float]:
    """Return the most probable classes of an image and their probabilities.

    Args:
        source: a file or a URL.
        classes: the names, in the order of the logits.
        count: how many classes to return.
    """
    model.eval()  # dropout off, batch norm in evaluation mode; as Keras's predict()
    device = next(model.parameters()).device
    image = load_image(source, scaling).to(device)
    with torch.inference_mode(), autocast(device.type):
        logits = model(image.unsqueeze(0))[0]  # a batch of one; (classes,)
    return rank(logits.float().softmax(dim=0).cpu().numpy(), classes, count)


def load_image(source: str, scaling: Scaling) -> torch.Tensor:
    """Load an image in the form that the network takes.

    Returns:
        (3, H, W) float32. [D04]
    """
    resize = v2.Resize((IMAGE_SIZE_PX, IMAGE_SIZE_PX))
    with Image.open(open_image(source)) as image:
        return make_normalisation(scaling)(resize(image.convert("RGB")))
