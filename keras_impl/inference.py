"""Classify one image, from a file or from a URL."""

import keras
import numpy as np

from keras_impl.dataset import SIZE, make_normalisation
from shared.model.weights import Scaling
from shared.program import open_image, rank, read_imagenet_classes


def guess_imagenet(
    network: keras.Model, source: str, scaling: Scaling
) -> dict[str, float]:
    """Return ImageNet's five most probable classes of an image.

    Args:
        network: the pretrained network with all its layers.
        source: a file or a URL.
    """
    return classify(network, source, read_imagenet_classes(), scaling, count=5)


def classify(
    model: keras.Model,
    source: str,
    classes: list[str],
    scaling: Scaling,
    count: int = 3,
) -> dict[str, float]:
    """Return the most probable classes of an image and their probabilities.

    Args:
        source: a file or a URL.
        classes: the names, in the order of the logits.
        count: how many classes to return.
    """
    image = load_image(source, scaling)
    logits = model.predict(image[None], verbose=0)[0]  # a batch of one; (classes,)
    probabilities = keras.ops.softmax(logits.astype("float32"))
    return rank(keras.ops.convert_to_numpy(probabilities), classes, count)


def load_image(source: str, scaling: Scaling) -> np.ndarray:
    """Load an image in the form that the network takes.

    Returns:
        (H, W, 3) float32. [D04]
    """
    # [D24] Pillow resizes here with antialias, TensorFlow in make_loader without it.
    image = keras.utils.load_img(
        open_image(source), target_size=SIZE, interpolation="bilinear"
    )
    return keras.ops.convert_to_numpy(
        make_normalisation(scaling)(keras.utils.img_to_array(image)[None])
    )[0]
