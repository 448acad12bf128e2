"""Calibration: whether a classifier is right as often as its probabilities say."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from bench.judging.intervals import accuracy_interval
from bench.report.blocks import Block, Bullets, Fold, Plot, Row, Table
from bench.report.figures import FAINT, arm_styles, render
from bench.report.numbers import percent
from bench.report.plots import WIDTH
from shared.data.dataset import ImageData
from shared.metrics import softmax

NUM_BINS = 10


@dataclass(frozen=True)
class Bin:
    """Images whose prediction has about the same probability."""

    images: int
    confidence: float  # mean probability of the predicted class
    accuracy: float


def calibrate(probabilities: np.ndarray, labels: np.ndarray) -> list[Bin]:
    """Divide images by the probability of the predicted class into bins of equal width.

    Bins without images are left out.

    Args:
        probabilities: (N, classes).
        labels: (N,).
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    places = np.minimum((confidence * NUM_BINS).astype(int), NUM_BINS - 1)
    return [
        Bin(
            images=int(chosen.sum()),
            confidence=float(confidence[chosen].mean()),
            accuracy=float(right[chosen].mean()),
        )
        for place in range(NUM_BINS)
        if (chosen := places == place).any()
    ]


def calibration_error(bins: list[Bin]) -> float:
    """Return the expected calibration error (Naeini et al., 2015), from 0 to 1.

    It is the mean distance between confidence and accuracy, weighted by the images.
    """
    gaps = [one.images * abs(one.confidence - one.accuracy) for one in bins]
    return sum(gaps) / sum(one.images for one in bins)


def calibration(
    logits: Mapping[str, Mapping[str, np.ndarray]], data: ImageData
) -> list[Block]:
    """Return the section on whether the probabilities can be believed."""
    labels = data.splits["test"].labels
    bins = {
        arm: calibrate(softmax(found["test"]), labels) for arm, found in logits.items()
    }
    rows = [
        [
            arm,
            str(one.images),
            percent(one.confidence),
            percent(one.accuracy),
            " to ".join(map(percent, accuracy_interval(one.accuracy, one.images))),
        ]
        for arm, found in bins.items()
        for one in found
    ]
    header = ["Arm", "Images", "Mean probability", "Accuracy", "95% interval"]
    return [
        Row([_plot_calibration(arm, found, list(bins)) for arm, found in bins.items()]),
        Bullets([_describe(arm, found) for arm, found in bins.items()]),
        Fold("All bins", [Table("", "lrrrr", header, rows)]),
    ]


def _describe(arm: str, bins: list[Bin]) -> str:
    images = sum(one.images for one in bins)
    surplus = sum(one.images * (one.confidence - one.accuracy) for one in bins) / images
    direction = "higher" if surplus > 0 else "lower"
    return (
        f"{arm}: the expected calibration error is "
        f"{100 * calibration_error(bins):.1f} points. On average, the probability of "
        f"the prediction is {100 * abs(surplus):.1f} points {direction} than the "
        "accuracy."
    )


def _plot_calibration(arm: str, bins: list[Bin], arms: list[str]) -> Plot:
    """Plot accuracy by probability; a perfect classifier lies on the diagonal."""
    style = arm_styles(arms)[arm]
    confidence = np.array([one.confidence for one in bins])
    accuracy = np.array([one.accuracy for one in bins])
    ranges = np.array([accuracy_interval(one.accuracy, one.images) for one in bins])

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot(
            title=arm, xlabel="probability of the prediction", ylabel="accuracy"
        )
        axes.plot([0, 1], [0, 1], color=FAINT, linestyle="--")
        axes.vlines(confidence, *ranges.T, color=style.color, alpha=0.5)
        axes.plot(confidence, accuracy, color=style.color, marker="o", markersize=4)
        axes.set(xlim=(0, 1.02), ylim=(0, 1.02), aspect="equal")

    caption = (
        f"{arm}: accuracy on the test images by the probability of the predicted "
        "class. Each dot is a bin of images. Its line is the 95% interval of the "
        "accuracy. On the dashed diagonal, the two are equal."
    )
    name = f"calibration-{arms.index(arm)}"
    return Plot(render(draw, name, caption, (WIDTH, WIDTH)), caption)
