"""Choose where to compute. [D19]"""

import tensorflow as tf

from shared.errors import UserError


def find_device(name: str) -> str:
    """Prepare the device to compute on: "cuda" for an NVIDIA GPU, else "cpu".

    Keras takes a GPU by itself, and TensorFlow all of the GPU's memory, unless it is
    told to take only what it needs. PyTorch has to be told for the model and for each
    batch.

    Args:
        name: "cpu", "cuda", or "auto" for an NVIDIA GPU if there is one.

    Raises:
        UserError: "cuda", and there is no GPU.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if name == "cuda" and not gpus:
        raise UserError(
            "--device cuda: TensorFlow finds no CUDA GPU. Use --device cpu or auto, or "
            "install its CUDA packages, in an environment without PyTorch: "
            "pip install 'tensorflow[and-cuda]'"
        )
    if name == "cpu":
        tf.config.set_visible_devices([], "GPU")
        return "cpu"
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    return "cuda" if gpus else "cpu"
