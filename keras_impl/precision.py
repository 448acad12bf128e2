"""Compute in 16 bits where that is safe, and in 32 bits elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
from keras.applications import MobileNetV2

from keras_impl.model import build_model

POLICIES = {
    "float32": "float32",
    "bfloat16": "mixed_bfloat16",
    "float16": "mixed_float16",
}


def set_precision(precision: str) -> None:
    """Choose in which precision models compute, before the first one is built.

    Of the 24 bits that float32 has for the digits of a number, bfloat16 keeps 8, and
    the whole range. float16 keeps 11, but its smallest number is 6e-8. Smaller
    gradients become 0, so compile() wraps the optimizer into a LossScaleOptimizer,
    which multiplies the loss by 32,768 at first and divides the gradients. In PyTorch
    we add a GradScaler ourselves. Parameters, checkpoints and the exported file stay
    in float32.

    Each layer takes this policy when it is made, and a .keras file stores it. A layer
    that needs more digits has a policy of its own: `dtype="float32"`. PyTorch's layers
    have none: each forward pass runs in a context, `autocast`.

    Args:
        precision: "float32", "bfloat16" or "float16".
    """
    keras.config.set_dtype_policy(POLICIES[precision])


def in_float32(model: keras.Model) -> keras.Model:
    """Return a classifier that computes in float32, with the same parameters.

    In 16 bits the exported file would too, and onnxruntime does not take bfloat16. In
    PyTorch, a model outside of `autocast` computes in float32.
    """
    inner, _, output = model.get_layer("head").layers
    if inner.compute_dtype == "float32":
        return model
    with policy("float32"):
        network = MobileNetV2(weights=None, classifier_activation=None)
        same = build_model(network, output.units, inner.units)
    same.set_weights(model.get_weights())
    return same


@contextmanager
def policy(precision: str) -> Iterator[None]:
    """Choose a precision until the end of a `with` block."""
    chosen = keras.config.dtype_policy()
    set_precision(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(chosen)
