"""The arms: which package, backend and checkpoint belongs to each."""

from pathlib import Path

from shared.errors import UserError

# Arm: the package that holds its side of the pair. The Keras arms run the same code.
ARMS = {
    "pytorch": "pytorch_impl",
    "keras": "keras_impl",
    "keras-jax": "keras_impl",
    "keras-torch": "keras_impl",
}
BACKENDS = {"keras": "tensorflow", "keras-jax": "jax", "keras-torch": "torch"}
# Outside TensorFlow keras.backend.result_type("float64", "float32") is float32, so that
# batch norm in a float64 model computes in float32. (keras-team/keras issue 23704)
FLOAT64_ARMS = ("pytorch", "keras")
PAIR = ("pytorch", "keras")
# Of the checkpoints of each side: in the matched division, and in the plain one, where
# each framework has its own.
SUFFIXES = {"pytorch": ".safetensors", "keras": ".weights.h5"}
PLAIN_SUFFIXES = {"pytorch": ".pt", "keras": ".keras"}
KERAS_OF_FURTHER_ARMS = (3, 14)  # before, only TensorFlow exports any batch size


def side_of(arm: str) -> str:
    """Return the arm of the pair that has the same code: "pytorch" or "keras"."""
    return "keras" if arm in BACKENDS else "pytorch"


def arm_of(checkpoint: Path) -> str:
    """Return the arm that reads a checkpoint, which its suffix tells.

    Raises:
        UserError: it is of no arm.
    """
    for arm in PAIR:
        if checkpoint.name.endswith((SUFFIXES[arm], PLAIN_SUFFIXES[arm])):
            return arm
    allowed = " or ".join(
        f"*{SUFFIXES[arm]}, *{PLAIN_SUFFIXES[arm]} ({arm})" for arm in PAIR
    )
    raise UserError(f"{checkpoint}: not the name of a checkpoint. Give {allowed}.")
