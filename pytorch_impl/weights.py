"""Carry weights from one framework to the other, in torchvision's layout. [D05]"""

import numpy as np
import torch
from torch import nn

from shared.model.weights import Arrays


def load_arrays(network: nn.Module, arrays: Arrays) -> None:
    """Copy every array into the network, from torchvision's names and layout.

    Args:
        network: MobileNetV2 as the framework has it, or a classifier made of it.
    """
    with torch.no_grad():
        for name, variable in named_variables(network).items():
            variable.copy_(torch.from_numpy(arrays[name]))


def read_arrays(network: nn.Module) -> Arrays:
    """Return a copy of every array, in torchvision's names and layout."""
    return {
        name: np.array(variable.cpu(), order="C")
        for name, variable in named_variables(network).items()
    }


def named_variables(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return every variable of the network by its name in torchvision."""
    return {
        name.removeprefix("backbone."): tensor
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
