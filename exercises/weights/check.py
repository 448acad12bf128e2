"""Load three kernels, and compare them in the order in which images meet them."""

from types import ModuleType

import keras
import numpy as np

from exercises.expectations import expect_close
from exercises.references import draw

SHAPES = {"conv": (3, 3, 3, 3), "depthwise": (3, 1, 3, 3), "dense": (3, 3)}


def check(answer: ModuleType) -> None:
    """Compare each kernel with what its axes mean."""
    layers = [
        keras.layers.Conv2D(3, 3, use_bias=False, name="conv"),
        keras.layers.DepthwiseConv2D(3, use_bias=False, name="depthwise"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(3, use_bias=False, name="dense"),
    ]
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers])
    arrays = {
        f"{name}.weight": draw(*shape, seed=len(name)) for name, shape in SHAPES.items()
    }
    answer.load_arrays(model, dict(arrays))
    conv, depthwise, dense = arrays.values()
    # Written out: [row, column, input, output] of the Keras kernel.
    wanted = {
        "conv": np.einsum("oirc->rcio", conv),
        "depthwise": np.einsum("oirc->rcoi", depthwise),
        "dense": np.einsum("oi->io", dense),
    }
    for name, kernel in wanted.items():
        advice = "look at the order of the axes of its kernel"
        found = model.get_layer(name).kernel
        expect_close(found, kernel, f"the layer {name}", advice)
