"""The arms, with their packages, backends and file names of checkpoints."""

from pathlib import Path

from shared.errors import UserError

# The package of each arm. All Keras arms run the same code.
ARMS = {
    "pytorch": "pytorch_impl",
    "keras": "keras_impl",
    "keras-jax": "keras_impl",
    "keras-torch": "keras_impl",
}
BACKENDS = {"keras": "tensorflow", "keras-jax": "jax", "keras-torch": "torch"}
# On JAX and PyTorch keras.backend.result_type("float64", "float32") is float32, so
# batch norm in a float64 model computes in float32 (keras-team/keras issue 23704).
FLOAT64_ARMS = ("pytorch", "keras")
PAIR = ("pytorch", "keras")
# File name suffixes of checkpoints. In the plain division each framework writes its
# own format.
SUFFIXES = {"pytorch": ".safetensors", "keras": ".weights.h5"}
PLAIN_SUFFIXES = {"pytorch": ".pt", "keras": ".keras"}
# Older versions of Keras can export graphs for any batch size only from TensorFlow.
KERAS_OF_FURTHER_ARMS = (3, 14)


def side_of(arm: str) -> str:
    """Return the arm of the pair that has the same code: "pytorch" or "keras"."""
    return "keras" if arm in BACKENDS else "pytorch"


def arm_of(checkpoint: Path) -> str:
    """Return the arm that reads a checkpoint with this suffix.

    Raises:
        UserError: no arm has checkpoints with this suffix.
    """
    for arm in PAIR:
        if checkpoint.name.endswith((SUFFIXES[arm], PLAIN_SUFFIXES[arm])):
            return arm
    allowed = " or ".join(
        f"*{SUFFIXES[arm]}, *{PLAIN_SUFFIXES[arm]} ({arm})" for arm in PAIR
    )
    raise UserError(
        f"{checkpoint}: this is not the name of a checkpoint. Give {allowed}."
    )
