"""Where the framework computes: seed, device, memory, threads."""

import torch

from pytorch_impl.precision import set_precision
from shared.config import Config
from shared.errors import UserError


def set_up(config: Config) -> str:
    """Seed the framework, choose its device, and return the device's name.

    Raises:
        UserError: `device` is "cuda" and the framework finds no GPU.
    """
    torch.manual_seed(config.seed)
    if config.division == "matched":
        torch.backends.cudnn.allow_tf32 = config.tf32  # [D22]
        torch.backends.cuda.matmul.allow_tf32 = config.tf32
        torch.backends.cudnn.benchmark = config.cudnn_benchmark
    exact = config.precision == "float64"
    torch.set_default_dtype(torch.float64 if exact else torch.float32)
    set_precision("bfloat16" if config.is_mixed else "float32")
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError(
            "--device cuda: PyTorch finds no CUDA GPU. Use --device cpu or auto, or "
            "check the driver with nvidia-smi."
        )
    return torch.cuda.get_device_name() if find_device(config) == "cuda" else "cpu"


def find_device(config: Config) -> str:
    """Return "cuda" where there is a GPU to use, else "cpu".

    [D19] PyTorch is told for each model and tensor; Keras takes a GPU by itself.
    """
    return "cuda" if config.device != "cpu" and torch.cuda.is_available() else "cpu"


def peak_device_mib() -> float | None:
    """Return the largest memory taken on the GPU so far, MiB; None without a GPU."""
    return torch.cuda.max_memory_allocated() / 2**20 or None


def synchronise() -> None:
    """Wait until the device has done what it was asked to do."""
    if torch.cuda.is_initialized():  # else it was not asked for anything
        torch.cuda.synchronize()


def num_threads() -> int:
    """Return how many threads one operation may use."""
    return torch.get_num_threads()
