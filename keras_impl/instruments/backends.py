"""What each backend of Keras says about its devices and threads.

Keras leaves devices to its backend, so here alone each backend has its own lines.
"""

import os
import re

from shared.config import Config
from shared.machine import num_cores

NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
REMEDIES = {
    "tensorflow": "Install TensorFlow's CUDA libraries: make setup, or in an "
    "environment of your own: python install.py --gpu FOLDER",
    "jax": "Install JAX's CUDA packages: pip install -e '.[jax-cuda]'",
    "torch": "Check the driver with nvidia-smi.",
}


def _hide_gpu_from_tensorflow(config: Config) -> None:
    """Let the other backends have the GPU: the plain loader is TensorFlow's. [D19]

    image_dataset_from_directory is a tf.data pipeline on every backend, and TensorFlow
    would take the GPU's whole memory to make it.
    """
    if config.division == "plain":
        import tensorflow as tf

        tf.config.set_visible_devices([], "GPU")


class TensorFlow:
    @staticmethod
    def set_up(config: Config) -> None:
        import tensorflow as tf

        if config.division == "matched":
            # [D22]
            tf.config.experimental.enable_tensor_float_32_execution(config.tf32)
        # [D19] TensorFlow takes every GPU it sees, and all of its memory, unless told.
        if config.device == "cpu":
            tf.config.set_visible_devices([], "GPU")
        for gpu in tf.config.get_visible_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, True)

    @staticmethod
    def has_gpu() -> bool:
        import tensorflow as tf

        return bool(tf.config.get_visible_devices("GPU"))

    @staticmethod
    def gpu_name() -> str:
        import tensorflow as tf

        gpu = tf.config.get_visible_devices("GPU")[0]
        return tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")

    @staticmethod
    def build() -> tuple[str | None, tuple[str, ...]]:
        """Return the version of CUDA and the compute capabilities of the build."""
        import tensorflow as tf

        found = tf.sysconfig.get_build_info()  # without these keys in a build for CPUs
        capabilities = found.get("cuda_compute_capabilities", ())
        return found.get("cuda_version"), tuple(capabilities)

    @staticmethod
    def peak_bytes() -> int:
        import tensorflow as tf

        return tf.config.experimental.get_memory_info("GPU:0")["peak"]

    @staticmethod
    def synchronise() -> None:
        import tensorflow as tf

        if tf.config.get_visible_devices("GPU"):
            tf.test.experimental.sync_devices()

    @staticmethod
    def num_threads() -> int:
        import tensorflow as tf

        # 0 stands for TensorFlow's own choice, one thread per core.
        return tf.config.threading.get_intra_op_parallelism_threads() or num_cores()


class Jax:
    @staticmethod
    def set_up(config: Config) -> None:
        import jax

        # [D19] JAX takes most of a GPU's memory at its first operation, unless told.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        _hide_gpu_from_tensorflow(config)
        if config.device == "cpu":
            jax.config.update("jax_platforms", "cpu")
        if config.division == "matched":
            precision = "tensorfloat32" if config.tf32 else "highest"
            jax.config.update("jax_default_matmul_precision", precision)  # [D22]

    @staticmethod
    def has_gpu() -> bool:
        import jax

        return jax.default_backend() == "gpu"

    @staticmethod
    def gpu_name() -> str:
        import jax

        return jax.devices()[0].device_kind

    @staticmethod
    def build() -> tuple[str | None, tuple[str, ...]]:
        """Return the version of CUDA; JAX does not say its compute capabilities."""
        import jax

        platform = jax.devices()[0].client.platform_version  # "cuda 13000"
        found = re.search(r"cuda (\d+)", platform)
        number = int(found[1]) if found else 0
        return (f"{number // 1000}.{number % 1000 // 10}" if found else None), ()

    @staticmethod
    def peak_bytes() -> int:
        import jax

        return jax.devices()[0].memory_stats()["peak_bytes_in_use"]

    @staticmethod
    def synchronise() -> None:
        import jax

        # A device does its work in order: this is done when all before it is.
        (jax.device_put(0.0) + 0.0).block_until_ready()

    @staticmethod
    def num_threads() -> int:
        # XLA's pool has a thread per core, unless told.
        return int(os.environ.get("PJRT_NPROC", num_cores()))


class Torch:
    @staticmethod
    def set_up(config: Config) -> None:
        import torch

        _hide_gpu_from_tensorflow(config)
        if config.division == "matched":
            torch.backends.cudnn.allow_tf32 = config.tf32  # [D22]
            torch.backends.cuda.matmul.allow_tf32 = config.tf32

    @staticmethod
    def has_gpu() -> bool:
        import torch

        return torch.cuda.is_available()

    @staticmethod
    def gpu_name() -> str:
        import torch

        return torch.cuda.get_device_name()

    @staticmethod
    def build() -> tuple[str | None, tuple[str, ...]]:
        """Return the version of CUDA and the compute capabilities of the build."""
        import torch

        return torch.version.cuda, tuple(torch.cuda.get_arch_list())

    @staticmethod
    def peak_bytes() -> int:
        import torch

        return torch.cuda.max_memory_allocated()

    @staticmethod
    def synchronise() -> None:
        import torch

        if torch.cuda.is_initialized():  # else it was not asked for anything
            torch.cuda.synchronize()

    @staticmethod
    def num_threads() -> int:
        import torch

        return torch.get_num_threads()


BACKENDS = {"tensorflow": TensorFlow, "jax": Jax, "torch": Torch}
