"""MobileNetV2 with a new head: a frozen backbone, and dense layers with dropout."""

import keras
from keras import layers, ops

from keras_impl.matched.device import BACKEND
from keras_impl.weights import load_arrays
from shared.config import Config
from shared.model.architecture import NUM_FEATURES, conv_layers
from shared.model.checkpoints import Description
from shared.model.weights import Arrays


class Classifier(keras.Model):
    """Backbone: images to features (N, 1280); head: features to logits (N, classes).

    Images are (N, H, W, 3), normalised. [D04]
    """

    def __init__(self, num_classes: int, config: Config) -> None:
        size = config.image_size_px
        backbone = _build_backbone(config)
        hidden_layer: list[layers.Layer] = []
        if config.inner_size:
            hidden_layer = [layers.Dense(config.inner_size, name="inner")]
            hidden_layer.append(layers.ReLU())
        head = keras.Sequential(
            [
                keras.Input((NUM_FEATURES,)),
                *hidden_layer,
                # [D17] Its own masks; the matched training goes around it.
                layers.Dropout(config.dropout, seed=config.seed, name="dropout"),
                # Logits in float32, also where the policy is mixed.
                layers.Dense(num_classes, dtype=keras.config.floatx(), name="output"),
            ],
            name="head",
        )
        images = keras.Input((size, size, 3), name="input")
        super().__init__(images, head(backbone(images)))
        self.backbone = backbone
        self.head = head
        for network in (self, backbone, head):
            # [D16] "auto" would differ between CPU and GPU. JAX has XLA alone.
            network.jit_compile = config.compile or BACKEND == "jax"


class _BatchNorm(layers.BatchNormalization):
    """[D01] Batch norm that stays in inference mode, unless it is to learn.

    trainable=False does it as well, but would freeze gamma and beta; [D27] backbone(
    images, training=False) does not reach the layers when fit() calls the outer model
    with training=True. In PyTorch eval() is enough, see Classifier.train there.
    """

    learns = False

    def call(self, inputs, training=None, mask=None):
        if not (training and self.learns):
            return super().call(inputs, training=False, mask=mask)
        kept = self.momentum * self.moving_variance
        outputs = super().call(inputs, training=True, mask=mask)
        # [D23] Of the variance of n values Keras keeps the mean square, PyTorch
        # n / (n - 1) times it.
        n = ops.cast(ops.size(inputs) // inputs.shape[-1], kept.dtype)
        self.moving_variance.assign_add((self.moving_variance - kept) / (n - 1))
        return outputs


def _build_backbone(config: Config) -> keras.Model:
    """keras.applications' MobileNetV2, made equal to torchvision's."""
    size = config.image_size_px
    images = keras.Input((size, size, 3), name="images")
    network = keras.applications.MobileNetV2(
        # [D03] The first convolution pads inside; here it gets its padding in front.
        input_tensor=layers.ZeroPadding2D(1, name="Conv1_pad")(images),
        weights=None,
        include_top=False,
        pooling="avg",
        name="backbone",
    )

    def clone(layer: layers.Layer) -> layers.Layer:
        settings = layer.get_config()
        if isinstance(layer, layers.ZeroPadding2D):
            settings["padding"] = 1  # [D03] Keras: bottom and right only
        elif layer.name == "Conv1":
            settings["padding"] = "valid"  # [D03]
        elif isinstance(layer, layers.BatchNormalization):
            settings["epsilon"] = config.batch_norm_epsilon  # [D02] Keras: 1e-3
            settings["momentum"] = 1 - config.batch_norm_momentum  # [D02]
            return _BatchNorm.from_config(settings)
        return type(layer).from_config(settings)

    return keras.models.clone_model(network, clone_function=clone)


def build_model(arrays: Arrays, description: Description) -> Classifier:
    """Build the classifier with the given values; its backbone is frozen.

    Its batch norm drifts all the same where the configuration says so. [D01]

    Args:
        arrays: backbone and head in torchvision's names and layout.
    """
    config = description.config
    model = Classifier(len(description.classes), config)
    load_arrays(model, arrays)
    set_backbone_trainable(model, False, config.batch_norm_drifts)
    return model


def set_backbone_trainable(
    model: Classifier,
    trainable: bool,
    batch_norm_learns: bool = False,
    first_block: int = 0,
) -> None:
    """Freeze or unfreeze the backbone for the updates to come.

    Args:
        batch_norm_learns: normalise by each batch and move the running statistics,
            in a frozen backbone too; else batch norm stays in inference mode. [D01]
        first_block: blocks below this one stay frozen, and their batch norm too;
            torchvision's index in `features`.
    """
    model.backbone.trainable = trainable
    for layer in conv_layers():
        convolution = model.backbone.get_layer(layer.keras_conv)
        norm = model.backbone.get_layer(layer.keras_norm)
        reached = layer.block >= first_block
        convolution.trainable = trainable and reached
        norm.learns = batch_norm_learns and reached
        # [D01] With trainable=False it would not take the batch's statistics.
        norm.trainable = norm.learns or convolution.trainable
        norm.gamma.trainable = norm.beta.trainable = convolution.trainable


def fold_batch_norm(model: Classifier) -> keras.Model:
    """Return the frozen backbone with batch norm folded into its convolutions.

    With fixed statistics batch norm is a factor and a sum for each channel, which the
    convolution before it can do as well: equal features to rounding, in less time.
    """
    # PyTorch has a function for it; here the model is cloned without batch norm.
    folded = keras.models.clone_model(
        model.backbone, clone_function=_clone_with_bias, call_function=_pass_batch_norm
    )
    for layer in conv_layers():
        convolution = model.backbone.get_layer(layer.keras_conv)
        norm = model.backbone.get_layer(layer.keras_norm)
        scale = norm.gamma / ops.sqrt(norm.moving_variance + norm.epsilon)
        bias = norm.beta - norm.moving_mean * scale
        # (H, W, in, out), but depthwise (H, W, channels, 1)
        depthwise = isinstance(convolution, layers.DepthwiseConv2D)
        kernel = convolution.kernel * (scale[:, None] if depthwise else scale)
        copy = folded.get_layer(layer.keras_conv)
        copy.kernel.assign(kernel)
        copy.bias.assign(bias)
    folded.jit_compile = model.backbone.jit_compile
    return folded


def _clone_with_bias(layer: layers.Layer) -> layers.Layer:
    settings = layer.get_config()
    return type(layer).from_config(
        settings | {"use_bias": True} if "use_bias" in settings else settings
    )


def _pass_batch_norm(layer: layers.Layer, inputs, *rest, **options):
    if isinstance(layer, layers.BatchNormalization):
        return inputs
    return layer(inputs, *rest, **options)


def fold_classifier(model: Classifier) -> keras.Model:
    """Return the classifier's own head on its frozen backbone with batch norm folded.

    Training it trains the classifier's head; images pass in less time.
    """
    backbone = fold_batch_norm(model)
    backbone.trainable = False  # PyTorch: the copy is as frozen as what it copies
    images = keras.Input(backbone.input_shape[1:], name="input")
    network = keras.Model(images, model.head(backbone(images)))
    network.jit_compile = model.jit_compile
    return network
