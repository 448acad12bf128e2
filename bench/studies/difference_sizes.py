"""Measure the size of each difference: one number from the arrays of both sides.

The probes in differences/probes.py of each side describe the arrays.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.processes.agreed import below
from bench.processes.arms import PAIR
from bench.records import ProbeRecord
from shared.metrics import relative_distance
from shared.model.weights import Arrays

Measure = Callable[[Arrays, Arrays], float]  # takes PyTorch's and Keras's arrays
GPU = "needs a GPU"
TIME = "it changes time alone"
JPEG = "needs JPEG files in colour among the test images"


@dataclass(frozen=True)
class Probe:
    """Measurement of the size of one difference.

    Attributes:
        needs: what is missing if a side has no arrays.
    """

    what: str
    unit: str
    measure: Measure
    needs: str = ""


def measure(
    arrays_by_arm: dict[str, Arrays], differences: tuple[str, ...]
) -> dict[str, ProbeRecord]:
    """Measure each difference from the arrays that both arms' probes stored.

    Args:
        arrays_by_arm: arrays of "pytorch" and "keras", named "D01/name".
        differences: numbers of the differences that were probed.
    """
    return {number: _measure_one(number, arrays_by_arm) for number in differences}


def _measure_one(difference: str, arrays_by_arm: dict[str, Arrays]) -> ProbeRecord:
    probe = PROBES[difference]
    sides = [below(f"{difference}/", arrays_by_arm[arm]) for arm in PAIR]
    found = all(sides)
    if not found and not probe.needs:
        raise ValueError(f"{difference}: a side stored nothing to measure")
    return ProbeRecord(
        what=probe.what,
        value=probe.measure(*sides) if found else None,
        unit=probe.unit,
        reason=None if found else probe.needs,
    )


def _off(name: str) -> Measure:
    """Measure the distance of Keras's array from PyTorch's by norm, in percent."""
    return lambda pytorch, keras: 100 * relative_distance(keras[name], pytorch[name])


def _head(pytorch: Arrays, keras: Arrays) -> float:
    """Return the distance by norm over all arrays of the head, in percent."""
    values, reference = (
        np.concatenate([side[name].ravel() for name in sorted(pytorch)])
        for side in (keras, pytorch)
    )
    return 100 * relative_distance(values, reference)


def _pixels(pytorch: Arrays, keras: Arrays) -> float:
    """Return the mean absolute difference over the pixels of all images."""
    differences = [
        np.abs(keras[name] - pytorch[name].astype(np.float64)).ravel()
        for name in pytorch
    ]
    return float(np.concatenate(differences).mean())


def _gap(of: Callable[[Arrays], float | np.ndarray]) -> Measure:
    """Measure the absolute difference of a number between the two sides."""
    return lambda pytorch, keras: float(abs(of(pytorch) - of(keras)))


def _displacement(side: Arrays) -> float:
    """Return the mean distance of an image's places in two epochs, in percent."""
    first, second = (np.argsort(order) for order in side["order"])
    return 100 * np.abs(first - second).mean() / len(first)


def _area_seen(side: Arrays) -> float:
    """Return how much of a picture is seen, in percent, from `Sample.ramp`'s slopes."""
    height, width = side["ramp"].shape[:2]
    middle = side["ramp"][height // 4 : -height // 4, width // 4 : -width // 4]
    across = np.diff(middle[..., 0], axis=1).mean() * width
    down = np.diff(middle[..., 1], axis=0).mean() * height
    return 100 * float(across * down)


def _upside_down(side: Arrays) -> float:
    """Return how many ramps are brighter at the top than at the bottom, in percent."""
    ramps = side["ramps"]  # (N, H, W, 3)
    return 100 * float(np.mean(ramps[:, 0, 0, 1] > ramps[:, -1, 0, 1]))


def _freed_pages(side: Arrays) -> float:
    return float(side["glibc/page_faults"] - side["page_faults"])


PROBES: dict[str, Probe] = {
    "D01": Probe(
        "batch-norm buffers of a frozen backbone that three training batches move in "
        "PyTorch and not in Keras",
        "buffers",
        _gap(lambda side: side["moved"].sum()),
    ),
    "D02": Probe("pooled features, epsilon alone different", "%", _off("features")),
    "D03": Probe("pooled features, padding alone different", "%", _off("features")),
    "D04": Probe(
        "images after swapaxes(1, 3), mean pixel difference", "of 255", _pixels
    ),
    "D05": Probe(
        "first convolution with its kernel copied by .T", "%", _off("outputs")
    ),
    "D06": Probe("inputs in each side's usual scale", "%", _off("images")),
    "D07": Probe(
        "standard deviation of a dense layer's first weights, Keras's / PyTorch's",
        "times",
        lambda pytorch, keras: float(keras["weight"].std() / pytorch["weight"].std()),
    ),
    "D08": Probe("head after 300 steps of each side's own Adam", "%", _head),
    "D09": Probe("head after 300 steps of Adam(weight_decay=0.01)", "%", _head),
    "D10": Probe(
        "loss of two whole batches and a rest of five, mean of batches against mean "
        "of samples",
        "%",
        _off("loss"),
    ),
    "D11": Probe(
        "images turned by 10 degrees, mean pixel difference", "of 255", _pixels
    ),
    "D12": Probe(
        "picture left by a zoom to 0.9, share of its area", "points", _gap(_area_seen)
    ),
    "D13": Probe(
        "loss with from_logits forgotten, off by", "nats", _gap(lambda s: s["loss"])
    ),
    "D14": Probe(
        "mean distance between an image's places in two epochs, share of the epoch",
        "points",
        _gap(_displacement),
    ),
    "D15": Probe(
        "epoch of lowest validation loss against epoch of best accuracy, distance",
        "epochs",
        _gap(lambda side: side["epoch"]),
    ),
    "D16": Probe(
        "pooled features under XLA against those of Keras's graph",
        "%",
        lambda _pytorch, keras: (
            100 * relative_distance(keras["compiled"], keras["features"])
        ),
    ),
    "D17": Probe(
        "units that dropout keeps on one side alone, same seed",
        "%",
        lambda pytorch, keras: 100 * float(np.mean(pytorch["kept"] != keras["kept"])),
    ),
    "D18": Probe("decoded JPEG files, mean pixel difference", "of 255", _pixels, JPEG),
    "D19": Probe(
        "of one new array, how many lie on the GPU in Keras and not in PyTorch",
        "arrays",
        _gap(lambda side: side["on_gpu"]),
        GPU,
    ),
    "D20": Probe("logits with eval() forgotten", "%", _off("logits")),
    "D21": Probe(
        "page faults of a batch of 32 images that glibc left alone costs PyTorch more "
        "than Keras",
        "page faults",
        _gap(_freed_pages),
        "needs glibc's malloc",
    ),
    "D22": Probe("matrix product, float32 against TF32", "%", _off("product"), GPU),
    "D23": Probe(
        "variance that batch norm keeps of 8 images of 7x7 pixels",
        "%",
        _off("variance"),
    ),
    "D24": Probe(
        "photos in 224x224 pixels, mean pixel difference", "of 255", _pixels, JPEG
    ),
    "D25": Probe(
        "upright picture (3:4) that the usual recipe shows, share of its area",
        "points",
        _gap(_area_seen),
    ),
    "D26": Probe(
        "pictures that the default flip turns upside down",
        "points",
        _gap(_upside_down),
    ),
    "D27": Probe(
        "batch-norm buffers that fit() moves in Keras in spite of training=False",
        "buffers",
        _gap(lambda side: side["moved"].sum()),
    ),
    "D28": Probe("head after 300 steps of AdamW's default decay", "%", _head),
    "D29": Probe(
        "learning rate that a forgotten step() leaves, share of the first",
        "%",
        lambda pytorch, keras: (
            100 * float(1 - keras["learning_rate"] / pytorch["learning_rate"])
        ),
    ),
    # Neither side has a probe for D30 and D31, which change only the time.
    "D30": Probe("order of the axes in memory", "", _gap(len), TIME),
    "D31": Probe("loading ahead of the steps", "", _gap(len), TIME),
    "D32": Probe(
        "endings of file names that one folder loader alone takes",
        "endings",
        lambda pytorch, keras: float(len({*pytorch["endings"]} ^ {*keras["endings"]})),
    ),
    "D33": Probe(
        "moments of Adam in the saved weights of a head, Keras's and PyTorch's",
        "arrays",
        _gap(lambda side: side["moments"]),
    ),
    "D34": Probe(
        "longest wait for the end of a pass of 0.4 s",
        "s",
        _gap(lambda side: side["waited"]),
        "no pass was held up here",
    ),
    "D35": Probe(
        "time of a depthwise convolution of a batch on the CPU, Keras on JAX / PyTorch",
        "times",
        lambda pytorch, keras: float(keras["seconds"] / pytorch["seconds"]),
        "needs JAX",
    ),
    "D36": Probe(
        "head after 300 steps of SGD with momentum under a cosine schedule", "%", _head
    ),
    "D37": Probe(
        "loss of a batch of 16 images with weights for the classes", "%", _off("loss")
    ),
    "D38": Probe(
        "images made brighter by 0.2, mean pixel difference", "of 255", _pixels
    ),
    "D39": Probe(
        "loss of a batch of 16 images with weights for the classes and labels that are "
        "smoothed by 0.1",
        "%",
        _off("loss"),
    ),
    "D40": Probe("head after 300 steps without zero_grad()", "%", _head),
    "D41": Probe(
        "files that run code of theirs while they are read, PyTorch's with "
        "weights_only=False and Keras's",
        "files",
        _gap(lambda side: float(side["has_run"])),
    ),
    "D42": Probe(
        "size of the batches that the usual export fixes in PyTorch and not in Keras",
        "images",
        _gap(lambda side: side["size"]),
    ),
    "D43": Probe(
        "squared error of outputs (N, 1) that equal their targets (N,), whose variance "
        "is 1",
        "",
        _gap(lambda side: side["loss"]),
    ),
    "D44": Probe(
        "feature maps that Dropout2d drops whole and Dropout does not, at a rate of "
        "0.5",
        "points",
        _gap(lambda side: 100 * side["dropped"].mean()),
    ),
    "D45": Probe("head after 300 steps of each side's own RMSprop", "%", _head),
    "D46": Probe(
        "change of an LSTM's bias in one step of SGD, PyTorch's / Keras's",
        "times",
        lambda pytorch, keras: float(
            np.linalg.norm(pytorch["change"]) / np.linalg.norm(keras["change"])
        ),
    ),
    "D47": Probe(
        "weights with gradients of about 1e-9 that a step in float16 moves in Keras "
        "and not in PyTorch without a GradScaler",
        "points",
        _gap(lambda side: 100 * side["moved"].mean()),
    ),
}
