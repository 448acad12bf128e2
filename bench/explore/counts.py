"""Count the images of each class, and compare the shares between the splits."""

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from bench.judging.intervals import SIGNIFICANCE
from bench.report.blocks import Block, Table, Text
from bench.report.figures import COLORS, clip, render
from bench.report.numbers import p_value, percent
from bench.report.plots import WIDTH, Plot
from shared.data.cache import listed
from shared.data.dataset import ImageData
from shared.errors import UserError

LEAST_IMAGES = 2  # of a class in a split
LEAST_EXPECTED = 5  # images in a cell, for the chi-squared distribution to be close


def require_enough(data: ImageData) -> None:
    """Check that each class has enough images to be looked at.

    Raises:
        UserError: there is one class only, or a class has fewer than two images.
    """
    if len(data.classes) < 2:
        raise UserError(
            f"{data.name}: the data set has one class ({data.classes[0]}), and 2 are "
            "the least. Add a folder of images for another class."
        )
    small = [
        f"{split}/{label} has {count}"
        for split, row in zip(data.splits, count_images(data), strict=True)
        for label, count in zip(data.classes, row, strict=True)
        if count < LEAST_IMAGES
    ]
    if small:
        raise UserError(
            f"{data.name}: classes with fewer than {LEAST_IMAGES} images:\n"
            f"{listed(small)}\nAdd images to these folders, or remove the class from "
            "all three splits."
        )


def count_images(data: ImageData) -> np.ndarray:
    """Return the number of images, (splits, classes) int64."""
    return np.array(
        [
            np.bincount(split.labels, minlength=len(data.classes))
            for split in data.splits.values()
        ]
    )


def class_counts(data: ImageData) -> list[Block]:
    """Return the section on the number of images in each class and split."""
    counts = count_images(data)
    shares = counts / counts.sum(axis=1, keepdims=True)
    rows = [
        [label]
        + [f"{n:,} ({percent(share)})" for n, share in zip(*cells, strict=True)]
        + [f"{cells[0].sum():,}"]
        for label, cells in zip(
            data.classes, zip(counts.T, shares.T, strict=True), strict=True
        )
    ]
    rows.append(["all", *(f"{n:,}" for n in counts.sum(axis=1)), f"{counts.sum():,}"])
    header = ["Class", *data.splits, "All"]
    return [
        _plot_shares(data, shares),
        Text(describe_shift(data)),
        Table("", "l" + "r" * (len(header) - 1), header, rows),
    ]


def describe_shift(data: ImageData) -> str:
    """Say in words whether the shares of the classes differ between the splits.

    The chi-squared test of homogeneity (Pearson, 1900) compares the counts with those
    of splits that are drawn at random from the same images.
    """
    counts = count_images(data)
    test = stats.chi2_contingency(counts)
    figures = (
        f"chi-squared test of homogeneity: {test.statistic:.1f} with {test.dof} "
        f"degrees of freedom, p {p_value(test.pvalue)}"
    )
    if test.pvalue >= SIGNIFICANCE:
        said = (
            "The shares of the classes differ no more between the splits than those "
            f"of a random division would ({figures})."
        )
    else:
        said = (
            "The shares of the classes differ more between the splits than those of a "
            f"random division would ({figures}). {_largest_shift(data, counts)}"
        )
    if test.expected_freq.min() < LEAST_EXPECTED:
        said += (
            f" Some classes have so few images that fewer than {LEAST_EXPECTED} are "
            "expected in a split, so p is only a rough value."
        )
    return said


def _largest_shift(data: ImageData, counts: np.ndarray) -> str:
    shares = counts / counts.sum(axis=1, keepdims=True)
    widest = int(np.argmax(np.ptp(shares, axis=0)))
    each = ", ".join(
        f"{percent(share)} in {split}"
        for split, share in zip(data.splits, shares[:, widest], strict=True)
    )
    return f"The largest shift is that of “{data.classes[widest]}”: {each}."


def _plot_shares(data: ImageData, shares: np.ndarray) -> Plot:
    """Plot the share of each class, with one bar for each split."""
    height = 0.8 / len(shares)
    places = np.arange(len(data.classes))

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot(xlabel="share of the images of a split, %")
        axes.grid(axis="x")
        for row, (split, color) in enumerate(zip(data.splits, COLORS, strict=False)):
            offset = (row - (len(shares) - 1) / 2) * height
            axes.barh(
                places + offset, 100 * shares[row], height, color=color, label=split
            )
        axes.set_yticks(places, [clip(label) for label in data.classes])
        axes.set_ylim(len(places) - 0.4, -0.6)  # the first class stands at the top
        figure.legend(loc="outside upper center", ncols=3)

    caption = "Share of each class among the images of a split."
    size = (1.5 * WIDTH, 1 + 0.35 * len(places))
    return Plot(render(draw, "class-shares", caption, size), caption)
