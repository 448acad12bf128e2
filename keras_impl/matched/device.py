"""Where the framework computes: seed, device, memory, threads."""

import keras

from keras_impl.instruments.backends import BACKENDS, NAMES, REMEDIES
from shared.config import Config
from shared.errors import UserError

BACKEND = keras.backend.backend()  # chosen by KERAS_BACKEND before the import


def set_up(config: Config) -> str:
    """Seed the framework, choose its device, and return the device's name.

    Raises:
        UserError: `device` is "cuda" and the framework finds no GPU.
    """
    keras.utils.set_random_seed(config.seed)
    exact = config.precision == "float64"
    keras.config.set_floatx("float64" if exact else "float32")
    keras.config.set_dtype_policy(
        "mixed_bfloat16" if config.is_mixed else config.precision
    )
    BACKENDS[BACKEND].set_up(config)
    if config.device == "cuda" and find_device(config) == "cpu":
        raise UserError(
            f"--device cuda: {NAMES[BACKEND]} finds no CUDA GPU. Use --device cpu or "
            f"auto. {REMEDIES[BACKEND]}"
        )
    return BACKENDS[BACKEND].gpu_name() if find_device(config) == "cuda" else "cpu"


def find_device(config: Config) -> str:
    """Return "cuda" where there is a GPU to use, else "cpu".

    [D19] Keras takes a GPU by itself; PyTorch is told for each model and tensor.
    """
    found = config.device != "cpu" and BACKENDS[BACKEND].has_gpu()
    return "cuda" if found else "cpu"


def peak_device_mib() -> float | None:
    """Return the largest memory taken on the GPU so far, MiB; None without a GPU."""
    backend = BACKENDS[BACKEND]
    return (backend.peak_bytes() if backend.has_gpu() else 0) / 2**20 or None


def synchronise() -> None:
    """Wait until the device has done what it was asked to do."""
    BACKENDS[BACKEND].synchronise()


def num_threads() -> int:
    """Return how many threads one operation may use."""
    return BACKENDS[BACKEND].num_threads()
