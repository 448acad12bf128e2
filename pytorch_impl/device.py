"""Choose where to compute. [D19]"""

import torch

from shared.errors import UserError


def find_device(name: str) -> str:
    """Prepare the device to compute on: "cuda" for an NVIDIA GPU, else "cpu".

    PyTorch has to be told for the model and for each batch: `.to(device)`. Keras takes
    a GPU by itself.

    Args:
        name: "cpu", "cuda", or "auto" for an NVIDIA GPU if there is one.

    Raises:
        UserError: "cuda", and there is no GPU.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "--device cuda: PyTorch finds no CUDA GPU. Use --device cpu or auto, or "
            "check the driver with nvidia-smi."
        )
    return "cuda" if name != "cpu" and torch.cuda.is_available() else "cpu"
