"""Carry weights from PyTorch to Keras.

The arrays come from a state dict, and the layers of the Keras model have their names.
Mend the orders of the axes. As they stand, they raise no error, since all shapes fit.
"""

import keras
import numpy as np

ORDERS = {"conv": (3, 2, 1, 0), "depthwise": (3, 2, 0, 1), "dense": (0, 1)}


def load_arrays(model: keras.Model, arrays: dict[str, np.ndarray]) -> None:
    """Copy the kernels of "conv", "depthwise" and "dense" into the model."""
    for name, order in ORDERS.items():
        kernel = arrays[f"{name}.weight"].transpose(order)
        model.get_layer(name).kernel.assign(kernel)
