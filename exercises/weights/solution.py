"""Each kind of kernel has an order of its own."""

import keras
import numpy as np

ORDERS = {"conv": (2, 3, 1, 0), "depthwise": (2, 3, 0, 1), "dense": (1, 0)}  # [D05]


def load_arrays(model: keras.Model, arrays: dict[str, np.ndarray]) -> None:
    """Copy the kernels of "conv", "depthwise" and "dense" into the model."""
    for name, order in ORDERS.items():
        kernel = arrays[f"{name}.weight"].transpose(order)
        model.get_layer(name).kernel.assign(kernel)
