"""Traps of Keras code that the ledger knows."""

import ast
import re
from collections.abc import Iterator

from bench.lesson.check.program import (
    Finding,
    Program,
    keyword,
    last_name,
    number,
    owner,
    with_argument,
)

LOSSES = {
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    "categorical_crossentropy": "CategoricalCrossentropy",
    "binary_crossentropy": "BinaryCrossentropy",
}
# Modules of keras.applications: their networks, and the pixels that the weights expect.
UNIT, WHOLE, CAFFE = "-1 to 1", "0 to 255", "BGR with the means of ImageNet taken off"
NETWORKS = {
    "mobilenet_v2": (r"MobileNetV2", UNIT),
    "mobilenet_v3": (r"MobileNetV3(Small|Large)", WHOLE),
    "mobilenet": (r"MobileNet", UNIT),
    "xception": (r"Xception", UNIT),
    "inception_v3": (r"InceptionV3", UNIT),
    "inception_resnet_v2": (r"InceptionResNetV2", UNIT),
    "resnet_v2": (r"ResNet\d+V2", UNIT),
    "resnet": (r"ResNet\d+", CAFFE),
    "vgg16": (r"VGG16", CAFFE),
    "vgg19": (r"VGG19", CAFFE),
    "densenet": (r"DenseNet\d+", "ImageNet's mean and standard deviation"),
    "nasnet": (r"NASNet\w+", UNIT),
    "efficientnet": (r"EfficientNetB\d", WHOLE),
    "efficientnet_v2": (r"EfficientNetV2\w+", WHOLE),
    "convnext": (r"ConvNeXt\w+", WHOLE),
}


def loss_of_logits(program: Program) -> Iterator[Finding]:
    """[D13] The loss takes probabilities, and the network gives logits, or reverse."""
    ends = _ends_in(program)
    for call in program.calls("compile"):
        loss = keyword(call, "loss")
        if isinstance(loss, ast.Name):
            loss = _assigned(program, loss.id)
        if ends == "logits" and (finding := _without_logits(loss)):
            yield finding
        if (
            ends == "probabilities"
            and isinstance(loss, ast.Call)
            and _is_true(keyword(loss, "from_logits"))
        ):
            yield Finding(
                loss.lineno,
                "D13",
                "from_logits=True, but the network ends in probabilities",
                with_argument(loss, "from_logits", "False"),
            )


def _ends_in(program: Program) -> str:
    """Return "logits", "probabilities", or "" where the last layer is not seen."""
    source = ast.unparse(program.tree)
    if re.search(r"softmax|sigmoid|classifier_activation", source, re.IGNORECASE):
        named = [keyword(call, "activation") for call in program.calls("Dense")]
        ends = {one.value for one in named if isinstance(one, ast.Constant)}
        return "probabilities" if ends & {"softmax", "sigmoid"} else ""
    dense = [*program.calls("Dense")]
    activated = (
        len(dense[-1].args) > 1 or keyword(dense[-1], "activation") if dense else 1
    )
    return "" if activated else "logits"


def _assigned(program: Program, name: str) -> ast.expr | None:
    values = [
        node.value
        for node in ast.walk(program.tree)
        if isinstance(node, ast.Assign)
        and any(last_name(target) == name for target in node.targets)
    ]
    return values[-1] if values else None


def _without_logits(loss: ast.expr | None) -> Finding | None:
    message = "the network ends in logits, and Keras's loss takes probabilities"
    if isinstance(loss, ast.Constant) and loss.value in LOSSES:
        mended = f"loss=keras.losses.{LOSSES[loss.value]}(from_logits=True)"
        return Finding(loss.lineno, "D13", message, mended)
    if not isinstance(loss, ast.Call) or keyword(loss, "from_logits") is not None:
        return None
    if last_name(loss.func) not in LOSSES.values():
        return None
    return Finding(
        loss.lineno, "D13", message, with_argument(loss, "from_logits", "True")
    )


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def wrong_scale(program: Program) -> Iterator[Finding]:
    """[D06] Pixels on another scale than the pretrained weights expect."""
    networks = {one for call in program.calls() for one in _pretrained(call)}
    if len(networks) != 1:
        return
    (network,) = networks
    for node, module in _preprocessing(program):
        if module != network and module in NETWORKS:
            yield Finding(
                node.lineno,
                "D06",
                f"preprocess_input is that of {module}, the weights are those of "
                f"{network}",
                f"from keras.applications.{network} import preprocess_input",
            )
    for call in program.calls("Rescaling", "ImageDataGenerator"):
        name = "scale" if last_name(call.func) == "Rescaling" else "rescale"
        scale = number(keyword(call, name) or (call.args or [None])[0])
        if scale and abs(255 * scale - 1) < 0.01 and not _offset(call):
            yield Finding(
                call.lineno,
                "D06",
                f"pixels from 0 to 1, but the weights of {network} expect "
                f"{NETWORKS[network][1]}",
                f"images = keras.applications.{network}.preprocess_input(images)",
            )


def _pretrained(call: ast.Call) -> Iterator[str]:
    """Give the module of the network that a call builds with ImageNet's weights."""
    weights = keyword(call, "weights")
    if weights is None or ast.unparse(weights) == "'imagenet'":
        for module, (pattern, _) in NETWORKS.items():
            if re.fullmatch(pattern, last_name(call.func)):
                yield module


def _offset(call: ast.Call) -> bool:
    return keyword(call, "offset") is not None or len(call.args) > 1


def _preprocessing(program: Program) -> Iterator[tuple[ast.stmt | ast.expr, str]]:
    """Give the modules whose preprocess_input is used, and where."""
    for node in ast.walk(program.tree):
        if isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            if "preprocess_input" in names and node.module:
                yield node, node.module.rpartition(".")[2]
        elif isinstance(node, ast.Attribute) and node.attr == "preprocess_input":
            yield node, last_name(node.value)


def rotation_in_degrees(program: Program) -> Iterator[Finding]:
    """[D11] An angle in turns is given in degrees."""
    for call in program.calls("RandomRotation"):
        turn = number(keyword(call, "factor") or (call.args or [None])[0])
        if turn is not None and abs(turn) > 1:
            yield Finding(
                call.lineno,
                "D11",
                f"Keras takes a share of a turn: {turn:g} is {turn:g} whole turns, "
                "and so any angle; torchvision takes degrees",
                f"{ast.unparse(call.func)}({turn:g} / 360)",
            )


def flip_upside_down(program: Program) -> Iterator[Finding]:
    """[D26] The default of RandomFlip turns images upside down too."""
    for call in program.calls("RandomFlip"):
        if not call.args and keyword(call, "mode") is None:
            yield Finding(
                call.lineno,
                "D26",
                "by default RandomFlip also turns images upside down",
                f"{ast.unparse(call.func)}('horizontal')",
            )


def nearest_pixel(program: Program) -> Iterator[Finding]:
    """[D24] load_img takes the nearest pixel unless it is told otherwise."""
    for call in program.calls("load_img"):
        if keyword(call, "target_size") and keyword(call, "interpolation") is None:
            yield Finding(
                call.lineno,
                "D24",
                "load_img resizes by the nearest pixel unless it is told otherwise",
                with_argument(call, "interpolation", "'bilinear'"),
            )


def swapped_axes(program: Program) -> Iterator[Finding]:
    """[D04] Two axes are swapped where the channels should move."""
    orders = {(1.0, 3.0): "(0, 2, 3, 1)", (0.0, 2.0): "(1, 2, 0)"}
    for call in program.calls("swapaxes"):
        inside = owner(call) in ("np", "numpy", "ops", "keras.ops", "jnp")
        axes = [number(one) for one in call.args[1 if inside else 0 :]]
        pair = tuple(sorted(one for one in axes if one is not None))
        if pair in orders:
            name = ast.unparse(call.args[0]) if inside else owner(call)
            yield Finding(
                call.lineno,
                "D04",
                "swapping two axes moves the channels and transposes the image as well",
                f"np.transpose({name}, {orders[pair]})  # channels last",
            )


RULES = (
    loss_of_logits,
    wrong_scale,
    rotation_in_degrees,
    flip_upside_down,
    nearest_pixel,
    swapped_axes,
)
