"""What comes out of each block of the backbone."""

import keras
import numpy as np

from keras_impl.matched.model import Classifier


def compute_blocks(model: Classifier, images: np.ndarray) -> list[np.ndarray]:
    """Return the output of each of the 19 blocks for one batch, (N, H, W, C).

    Args:
        images: normalised, in this framework's layout.
    """
    ends = {layer.name: layer.output for layer in model.backbone.layers}
    names = ["Conv1_relu", "expanded_conv_project_BN"]
    for block in range(1, 17):
        add = f"block_{block}_add"
        names.append(add if add in ends else f"block_{block}_project_BN")
    outputs = [ends[name] for name in [*names, "out_relu"]]
    network = keras.Model(model.backbone.input, outputs)
    found = network.predict_on_batch(images)
    return [output.astype(keras.config.floatx()) for output in found]
