"""What Keras does by itself, one difference at a time."""

from contextlib import AbstractContextManager
from pathlib import Path

import keras
import numpy as np
from keras import layers
from PIL import Image

from keras_impl import weights
from keras_impl.matched import augmentation, dataset, model, optimizer, training
from keras_impl.precision import policy
from shared.config import Config
from shared.errors import UserError
from shared.model.architecture import DEPTHWISE
from shared.replaced import replaced
from shared.sampling import AUGMENTATION, stream


def switched_on(difference: str) -> AbstractContextManager:
    """The framework's own way, or its usual mistake, in place of the matched code.

    Args:
        difference: its number in docs/differences.md, e.g. "D01".

    Raises:
        UserError: the matched code of this side has nothing to switch there.
    """
    if difference not in SWITCHES:
        raise UserError(
            f"{difference}: nothing to switch on the Keras side, which has "
            f"{', '.join(SWITCHES)}."
        )
    return SWITCHES[difference]()


def _take_own_epsilon() -> AbstractContextManager:
    """[D02] keras.applications.MobileNetV2's epsilon."""
    matched, own = model._build_backbone, {"batch_norm_epsilon": 1e-3}
    return replaced(
        model, "_build_backbone", lambda config: matched(config.model_copy(update=own))
    )


def _pad_bottom_and_right() -> AbstractContextManager:
    """[D03] Keras's padding of stride-2 convolutions."""
    matched = model._build_backbone

    def clone(layer: layers.Layer) -> layers.Layer:
        settings = layer.get_config()
        if isinstance(layer, layers.ZeroPadding2D):
            settings["padding"] = ((0, 1), (0, 1))
        return type(layer).from_config(settings)

    def build(config: Config) -> keras.Model:
        return keras.models.clone_model(matched(config), clone_function=clone)

    return replaced(model, "_build_backbone", build)


def _turn_depthwise_kernels() -> AbstractContextManager:
    """[D05] (3, 2, 0, 1) for (2, 3, 0, 1): square kernels hide it."""
    matched = weights.to_keras_layout

    def to_keras_layout(name: str, array: np.ndarray) -> np.ndarray:
        array = matched(name, array)
        return array.swapaxes(0, 1) if name in DEPTHWISE else array

    return replaced(weights, "to_keras_layout", to_keras_layout)


def _take_own_adam() -> AbstractContextManager:
    """[D08] Keras's formula and epsilon."""

    def adam(epsilon: float, **options) -> keras.optimizers.Adam:  # noqa: ARG001
        return keras.optimizers.Adam(**options)

    return replaced(optimizer, "_Adam", adam)


def _reflect_at_the_border() -> AbstractContextManager:
    """[D11] RandomRotation fills what it uncovers with the mirrored image."""
    matched = keras.ops.image.affine_transform

    def affine_transform(*inputs, fill_mode: str, **options):  # noqa: ARG001
        return matched(*inputs, fill_mode="reflect", **options)

    return replaced(keras.ops.image, "affine_transform", affine_transform)


def _zoom_about_the_centre() -> AbstractContextManager:
    """[D12] RandomZoom(0.1): either way, the aspect kept, always about the centre."""
    matched = augmentation.plan_matrix

    def plan_matrix(config: Config, epoch: int, index: int) -> np.ndarray:
        random = stream(config.seed, AUGMENTATION, epoch, index, 1)
        uncropped = config.model_copy(update={"crop_scale_min": 1.0})
        factor = np.float32(1 + random.uniform(-0.1, 0.1))
        return matched(uncropped, epoch, index) * factor

    return replaced(augmentation, "plan_matrix", plan_matrix)


def _flip_both_ways() -> AbstractContextManager:
    """[D26] RandomFlip() turns images upside down too."""
    matched = augmentation.plan_matrix

    def plan_matrix(config: Config, epoch: int, index: int) -> np.ndarray:
        random = stream(config.seed, AUGMENTATION, epoch, index, 2)
        upside_down = random.random() < 0.5
        flip = np.float32([1, -1 if upside_down else 1, 1])
        return matched(config, epoch, index) * flip

    return replaced(augmentation, "plan_matrix", plan_matrix)


def _forget_from_logits() -> AbstractContextManager:
    """[D13] SparseCategoricalCrossentropy() takes the logits for probabilities."""
    own = keras.losses.SparseCategoricalCrossentropy
    return replaced(training, "make_loss", lambda *_smoothing: own())


def _shuffle_in_a_buffer() -> AbstractContextManager:
    """[D14] image_dataset_from_directory: one permutation, then a buffer of batches."""
    import tensorflow as tf

    def buffered_order(num_images: int, seed: int, epoch: int) -> np.ndarray:
        paths = np.random.RandomState(seed).permutation(num_images)
        shuffled = tf.data.Dataset.from_tensor_slices(paths).shuffle(
            8 * 32, seed=seed * 1000 + epoch
        )
        return np.array(list(shuffled.as_numpy_iterator()))

    return replaced(dataset, "epoch_order", buffered_order)


def _draw_own_masks() -> AbstractContextManager:
    """[D17] layers.Dropout's own masks, from the layer's own generator."""

    def drop(dropout: keras.layers.Dropout, hidden, kept):
        # Keras 3.12 refuses a network with an input that leads nowhere.
        return dropout(hidden) + 0 * kept

    return replaced(training, "_drop_units", drop)


def _keep_biased_variance() -> AbstractContextManager:
    """[D23] Keras's running variance."""

    def call(layer: model._BatchNorm, inputs, training=None, mask=None):
        learns = bool(training and layer.learns)
        return layers.BatchNormalization.call(layer, inputs, learns, mask)

    return replaced(model._BatchNorm, "call", call)


def _trust_training_false() -> AbstractContextManager:
    """[D27] backbone(images, training=False) with Keras's own layers."""
    own = layers.BatchNormalization.call
    return replaced(model._BatchNorm, "call", own)


def _sum_steps() -> AbstractContextManager:
    """[D36] Keras's momentum is a sum of steps, not of gradients."""
    own = keras.optimizers.SGD.update_step
    return replaced(optimizer._Sgd, "update_step", own)


def _compute_in_bfloat16() -> AbstractContextManager:
    """[D47] Models that are built under a mixed policy."""
    return policy("bfloat16")


SWITCHES = {
    "D02": _take_own_epsilon,
    "D03": _pad_bottom_and_right,
    "D05": _turn_depthwise_kernels,
    "D08": _take_own_adam,
    "D11": _reflect_at_the_border,
    "D12": _zoom_about_the_centre,
    "D13": _forget_from_logits,
    "D14": _shuffle_in_a_buffer,
    "D17": _draw_own_masks,
    "D23": _keep_biased_variance,
    "D26": _flip_both_ways,
    "D27": _trust_training_false,
    "D36": _sum_steps,
    "D47": _compute_in_bfloat16,
}


def _decode_with_tensorflow(path: Path, size: int) -> np.ndarray:
    """[D18] tf.io.decode_jpeg's default, then the matched resize."""
    import tensorflow as tf

    pixels = tf.io.decode_image(tf.io.read_file(str(path)), channels=3)
    bilinear = Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(pixels.numpy()).resize((size, size), bilinear))


def _load_nearest(path: Path, size: int) -> np.ndarray:
    """[D24] keras.utils.load_img takes the nearest pixel unless told."""
    return np.asarray(keras.utils.load_img(path, target_size=(size, size)))


# How files become pixels (H, W, 3) uint8, given a path and the side of the square.
READERS = {"D18": _decode_with_tensorflow, "D24": _load_nearest}
