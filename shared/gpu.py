"""What a framework says about the GPU that it may use."""

import ctypes
import os

from shared.metrics import Record

CUDNN = "libcudnn.so.9"


class GpuSupport(Record):
    """Answer of a framework to the question which GPU it can compute on.

    Attributes:
        name: the GPU that it has computed on, or None if it cannot.
        cuda: version of CUDA that it was built for; None if it does not say.
        cudnn: version of the cuDNN library that it has loaded.
        architectures: compute capabilities that its build has code for, such as "sm_90"
            for this one and "compute_90" for this and all later ones. Empty if it does
            not say.
        problem: why it cannot compute on the GPU.
        remedy: what to install or check then.
    """

    name: str | None = None
    cuda: str | None = None
    cudnn: str | None = None
    architectures: tuple[str, ...] = ()
    problem: str | None = None
    remedy: str = ""


def loaded_cudnn() -> str | None:
    """Return the version of the cuDNN that this process has loaded, such as "9.19.0".

    All frameworks load the library by the same name, and one of the system or of
    another package may come first, so the version of a package proves nothing.
    """
    try:  # without RTLD_NOLOAD, this would load a library that nobody uses
        library = ctypes.CDLL(CUDNN, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
    except (AttributeError, OSError):  # macOS has no RTLD_NOLOAD in Python
        return None
    number = library.cudnnGetVersion()
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
