"""The cases: where they come from, what is measured, and what is left in."""

from dataclasses import dataclass, replace

BACKENDS = {"pytorch": "torch", "keras": "tensorflow"}  # of Keras, on each side
EQUAL = "nothing"  # what is left in where both sides have to be equal


@dataclass(frozen=True)
class Difference:
    """What a case leaves in, as users of the two frameworks write it.

    Attributes:
        says: what it means on each side.
        entry: number in docs/differences.md; "" where it has none.
        suspected: the thread names it as a possible cause.
    """

    name: str
    says: str
    entry: str = ""
    suspected: bool = False


@dataclass(frozen=True)
class Case:
    """A public thread, and how it is rebuilt.

    Attributes:
        figure: what a run measures.
        unit: of the figure, "" if it has none.
        cause: the name of the difference that the measurements find; "" if none.
        behind: the side whose result is the worse one in the thread; "" if the thread
            does not say so.
        rounding: outputs of sides that compute the same differ by less than this.
        compares_outputs: a run gives many values, and a change is the largest one.
    """

    name: str
    title: str
    threads: tuple[str, ...]
    figure: str
    differences: tuple[Difference, ...]
    cause: str
    unit: str = ""
    behind: str = ""
    rounding: float = 1e-9
    compares_outputs: bool = False


FIRST_VALUES = Difference(
    "first values",
    "each framework draws the first weights by itself, instead of equal ones",
    "D07",
    suspected=True,
)
KERAS_ADAM = Difference(
    "Keras's Adam",
    "Keras's own Adam on the Keras side, instead of PyTorch's formula on both",
    "D08",
    suspected=True,
)

_CASES = (
    Case(
        "broadcast-loss",
        "The same Adam, but a larger error",
        (
            "https://discuss.pytorch.org/t/400-higher-error-with-pytorch-compared-with-"
            "identical-keras-model-with-adam-optimizer/160720",
        ),
        "mean squared error on new data",
        (
            FIRST_VALUES,
            KERAS_ADAM,
            Difference(
                "targets (N,)",
                "both losses get outputs of shape (N, 1) and targets of shape (N,)",
                "D43",
                suspected=True,
            ),
        ),
        cause="targets (N,)",
        behind="pytorch",
    ),
    Case(
        "plain-cnn",
        "A plain CNN stays behind",
        (
            "https://discuss.pytorch.org/t/significant-differences-between-keras-"
            "tensorflow-and-torch/181932",
        ),
        "accuracy on test images",
        (
            replace(FIRST_VALUES, suspected=False),
            replace(KERAS_ADAM, suspected=False),
            Difference(
                "softmax in the model",
                "the last layer is a softmax, and each side has its usual loss",
                "D13",
            ),
            Difference(
                "order by default",
                "the images are sorted by class; DataLoader keeps their order, and "
                "fit() shuffles them",
                "D14",
            ),
        ),
        cause="order by default",
        unit="points",
        behind="pytorch",
    ),
    Case(
        "conv3d-regression",
        "Convolutions on volumes, made equal but for two layers",
        (
            "https://discuss.pytorch.org/t/recreating-keras-performance-in-pytorch/"
            "183856",
        ),
        "mean absolute error on new data",
        (
            Difference(
                "batch norm's momentum",
                "0.99 in Keras, its default, instead of 0.9, which is PyTorch's",
                "D02",
                suspected=True,
            ),
            Difference(
                "running variance",
                "PyTorch keeps the unbiased variance of a batch, Keras the biased one",
                "D23",
            ),
            Difference(
                "dropout layer",
                "Dropout3d in PyTorch, which drops whole channels, and Dropout in "
                "Keras, which drops single values, instead of a common plan",
                "D44",
                suspected=True,
            ),
        ),
        cause="",
        behind="pytorch",
    ),
    Case(
        "keras-backends",
        "One Keras program, other results on its PyTorch backend",
        ("https://github.com/keras-team/keras/issues/20713",),
        "accuracy on test images",
        (
            Difference(
                "first values", "each backend draws the first weights by itself", "D07"
            ),
            Difference(
                "shuffling", "each backend shuffles the images by itself", "D14"
            ),
            Difference("Adam", "Adam as on both backends, instead of SGD", "D08"),
            Difference(
                "dropout", "a dropout of 0.25, whose masks each backend draws", "D17"
            ),
        ),
        cause="",
        unit="points",
        rounding=1e-4,  # Keras computes some things in float32 on PyTorch
    ),
    Case(
        "other-resize",
        "The published accuracy is not reached",
        (
            "https://github.com/mlcommons/inference/issues/201",
            "https://github.com/mlcommons/inference/pull/243",
            "https://github.com/mlcommons/inference/pull/273",
        ),
        "accuracy on test photos",
        (
            Difference(
                "squeezed, not cropped",
                "the test photos are squeezed into the square; those of the training "
                "kept their shape",
                "D25",
                suspected=True,
            ),
            Difference(
                "without antialias",
                "each framework resizes the test photos bilinearly, without antialias",
                "D24",
                suspected=True,
            ),
            Difference(
                "nearest pixel",
                "each framework takes the nearest pixel of the test photos",
                "D24",
                suspected=True,
            ),
        ),
        cause="nearest pixel",
        unit="points",
    ),
    Case(
        "unscaled-pixels",
        "fit() and evaluate() disagree",
        ("https://github.com/keras-team/keras/issues/13517",),
        "accuracy when the same images are validated again",
        (
            Difference("other order", "the images come in another order", "D14"),
            Difference(
                "pixels not scaled",
                "the pixels go from 0 to 255; in the training they went from 0 to 1",
                "D06",
                suspected=True,
            ),
        ),
        cause="",
        unit="points",
    ),
    Case(
        "other-weights",
        "Features of other ranges",
        ("https://stackoverflow.com/questions/67365237",),
        "largest feature of the test images",
        (
            Difference(
                "pixel scale",
                "each side scales the pixels as its published networks expect it",
                "D06",
                suspected=True,
            ),
            Difference(
                "weights",
                "each side has the weights of a training of its own",
                suspected=True,
            ),
        ),
        cause="pixel scale",
    ),
    Case(
        "softmax-twice",
        "A tagger that learns in Keras alone",
        ("https://stackoverflow.com/questions/53475803",),
        "right tags in new sentences",
        (
            Difference(
                "softmax over the tags",
                "the last layer is a softmax, and each side has its usual loss",
                "D13",
                suspected=True,
            ),
            Difference(
                "softmax over the words",
                "the same, but in PyTorch softmax(dim=1) runs over the words",
                "D13",
            ),
            Difference(
                "second bias",
                "PyTorch's LSTM learns two biases, Keras's LSTM has one",
                "D46",
            ),
            Difference(
                "own RMSprop",
                "each framework's RMSprop at its defaults, instead of the same Adam",
                "D45",
            ),
        ),
        cause="softmax over the words",
        unit="points",
        behind="pytorch",
    ),
    Case(
        "converted-resnet",
        "A converted network gives other outputs",
        (
            "https://github.com/gmalivenko/pytorch2keras/issues/95",
            "https://github.com/gmalivenko/pytorch2keras/issues/13",
            "https://github.com/gzuidhof/nn-transfer/pull/3",
        ),
        "logits of four images",
        (
            Difference(
                "padding",
                '"same" in Keras: at the bottom and at the right only',
                "D03",
                suspected=True,
            ),
            Difference(
                "batch norm's epsilon",
                "1e-3 in Keras, its default, instead of 1e-5, which is PyTorch's",
                "D02",
                suspected=True,
            ),
            Difference(
                "training mode",
                "eval() is not called in PyTorch: batch norm takes the statistics of "
                "the batch",
                "D20",
                suspected=True,
            ),
        ),
        cause="training mode",
        compares_outputs=True,
    ),
)
CASES = {case.name: case for case in _CASES}
