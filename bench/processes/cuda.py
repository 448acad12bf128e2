"""The CUDA libraries of TensorFlow, which only its own worker may see.

PyTorch's packages bring CUDA 13 and TensorFlow needs CUDA 12. Both sets have files of
the same names, such as nvidia/cudnn/lib/libcudnn.so.9. So `install.py` keeps
TensorFlow's in a folder of their own.
"""

import os
import sys
from pathlib import Path

from bench.processes.arms import BACKENDS

FOLDER = Path(sys.prefix) / "tensorflow-cuda"
INSTALLED = FOLDER.with_name("tensorflow-cuda.lock")  # exists once all of it is there


def find_cuda_variables(arm: str) -> dict[str, str]:
    """Return environment variables with which an arm finds its own CUDA libraries.

    PyTorch's and JAX's libraries need none: they name the folders of theirs.
    """
    if BACKENDS.get(arm) != "tensorflow" or not INSTALLED.is_file():
        return {}
    nvidia = FOLDER / "nvidia"
    compiler = nvidia / "cuda_nvcc"
    return {
        # TensorFlow's libraries name the folders of their CUDA libraries as RUNPATH,
        # where PyTorch's cuDNN lies. The loader searches this variable's folders first.
        "LD_LIBRARY_PATH": _prepend("LD_LIBRARY_PATH", *sorted(nvidia.glob("*/lib"))),
        # There XLA finds ptxas and libdevice, with which it makes code for the GPU.
        "PATH": _prepend("PATH", compiler / "bin"),
        "XLA_FLAGS": f'--xla_gpu_cuda_data_dir="{compiler}" '
        + os.environ.get("XLA_FLAGS", ""),
    }


def _prepend(variable: str, *folders: Path) -> str:
    """Return a search path with folders before those that it has already."""
    present = os.environ.get(variable)
    return os.pathsep.join([*map(str, folders), *([present] if present else [])])
