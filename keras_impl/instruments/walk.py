"""Follow one image through the plain program, step by step."""

import keras

from keras_impl.dataset import SIZE
from keras_impl.inference import load_image
from keras_impl.model import build_model
from keras_impl.weights import load_arrays, read_arrays
from shared.model.weights import Arrays, Scaling


def follow_image(
    source: str, network: keras.Model, head: Arrays, num_classes: int, scaling: Scaling
) -> Arrays:
    """Return what each step makes of an image, in the framework's own layout.

    Args:
        source: an image file.
        network: MobileNetV2 with its last layer.
        head: the values of the head, in torchvision's names and layout.
        num_classes: one logit for each.
        scaling: the one that belongs to the network's weights.
    """
    square = keras.utils.load_img(source, target_size=SIZE, interpolation="bilinear")
    batch = load_image(source, scaling)[None]
    model = build_model(network, num_classes)
    load_arrays(model, read_arrays(model) | head)
    backbone, dense = model.get_layer("backbone"), model.get_layer("head")
    first_block = keras.Model(backbone.input, backbone.get_layer("Conv1_relu").output)
    features = backbone(batch, training=False)
    logits = dense(features, training=False)
    steps = {
        "photo": keras.utils.img_to_array(keras.utils.load_img(source)),
        "square": keras.utils.img_to_array(square),
        "normalised": batch[0],
        "batch": batch,
        "first block": first_block(batch, training=False),
        "features": features,
        "hidden": dense.get_layer("inner")(features),
        "logits": logits,
        "probabilities": keras.ops.softmax(logits),
    }
    return {name: keras.ops.convert_to_numpy(values) for name, values in steps.items()}
