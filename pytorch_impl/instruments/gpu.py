"""Which GPU this framework can compute on."""

import torch
import torch.nn.functional as F  # noqa: N812

from shared.gpu import GpuSupport, loaded_cudnn

REMEDY = "Check the driver with nvidia-smi."


def describe_gpu() -> GpuSupport:
    """Try a convolution on the first visible GPU, and return what came of it."""
    name, problem = None, None
    try:
        images = torch.ones(1, 3, 8, 8, device="cuda")
        F.conv2d(images, torch.ones(1, 3, 3, 3, device="cuda")).sum().item()
        name = torch.cuda.get_device_name()
    except Exception as error:  # each cause has an exception of its own
        problem = f"PyTorch says: {error}".splitlines()[0]
    return GpuSupport(
        name=name,
        cuda=torch.version.cuda,
        cudnn=loaded_cudnn(),
        architectures=tuple(torch.cuda.get_arch_list()),
        problem=problem,
        remedy=REMEDY,
    )
