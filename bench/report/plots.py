"""Draw the plots of a report, each as an inline SVG with a caption."""

from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.records import ArmRecord, Results, TimingRecord
from bench.report.blocks import Plot
from bench.report.figures import INK, PAPER, ArmStyle, arm_styles, clip, render
from bench.report.words import tested_arms

WIDTH = 4.6  # inches; two plots fit side by side on a desktop screen
LOG_FROM = 20  # ratio of slowest to fastest sample from which the scale is logarithmic


def learning_curves(results: Results, measure: Literal["loss", "accuracy"]) -> Plot:
    """Plot the training and validation curves of all arms in one figure."""
    arms = {name: arm for name, arm in results.arms.items() if arm.history}
    styles = arm_styles(results.arms)

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot(xlabel="epoch", ylabel=measure)
        axes.grid(axis="y")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        for name, arm in arms.items():
            _draw_curves(axes, name, arm, measure, styles[name])
        figure.legend(loc="outside upper center", ncols=3)

    best = [f"{name} {arm.best_epoch}" for name, arm in arms.items() if arm.best_epoch]
    caption = (
        f"{measure.capitalize()} by epoch. Dashed lines are training, and solid lines "
        "are validation."
    ) + (f" A ring marks the best epoch ({', '.join(best)})." if best else "")
    return Plot(render(draw, f"curve-{measure}", caption, (WIDTH, 3.4)), caption)


def _draw_curves(
    axes: Axes, name: str, arm: ArmRecord, measure: str, style: ArmStyle
) -> None:
    epochs = [epoch.epoch for epoch in arm.history]
    train = [getattr(epoch, f"train_{measure}") for epoch in arm.history]
    validation = [getattr(epoch, f"validation_{measure}") for epoch in arm.history]
    look: dict[str, Any] = {
        "color": style.color,
        "marker": style.marker,
        "markevery": max(1, len(epochs) // 20),
        "linewidth": style.line_width,
        "markersize": style.marker_size,
    }
    dashed: dict[str, Any] = {"linestyle": (0, (2.2, 1.4)), "alpha": 0.55}
    dashed |= {"marker": "."}
    axes.plot(epochs, train, **(look | dashed))
    axes.plot(epochs, validation, **look, label=name)
    if arm.best_epoch in epochs:
        best = validation[epochs.index(arm.best_epoch)]
        axes.plot(
            arm.best_epoch,
            best,
            "o",
            fillstyle="none",
            markersize=style.marker_size + 8,
            markeredgecolor=style.color,
        )


def confusion(results: Results, name: str) -> Plot:
    """Plot how many test images of each class got each prediction by one arm."""
    score = tested_arms(results)[name]
    position = list(results.arms).index(name)
    color = arm_styles(results.arms)[name].color
    classes = results.data.classes
    size = max(WIDTH, 1.6 + 0.25 * len(classes))

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot(title=name, xlabel="predicted", ylabel="label")
        _draw_matrix(axes, np.array(score.confusion), classes, color)

    caption = (
        f"{name}: test images by label (row) and prediction (column). A darker cell "
        "holds a larger share of its row. An empty cell holds no image."
    )
    svg = render(draw, f"confusion-{position}", caption, (size, size))
    return Plot(svg, caption, wide=size > WIDTH)


def _draw_matrix(
    axes: Axes, counts: np.ndarray, classes: list[str], color: str
) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shade = LinearSegmentedColormap.from_list("arm", [PAPER, color])
    axes.imshow(shares, cmap=shade, vmin=0, vmax=1)
    labels = [clip(name) for name in classes]
    axes.set_xticks(range(len(classes)), labels, rotation=90)
    axes.set_yticks(range(len(classes)), labels)
    axes.tick_params(length=0)
    for row, column in zip(*np.nonzero(counts), strict=True):
        ink = PAPER if shares[row, column] > 0.5 else INK
        text = str(counts[row, column])
        axes.text(column, row, text, color=ink, ha="center", va="center", fontsize=8)


def timing(results: Results, phases: list[str], group: str) -> Plot:
    """Plot all samples of some phases with their median and middle half."""
    styles = arm_styles(results.arms)

    def draw(figure: Figure) -> None:
        rows = figure.subplots(len(phases), squeeze=False)[:, 0]
        for axes, phase in zip(rows, phases, strict=True):
            _draw_phase(axes, phase, samples_of(results, phase), styles)

    caption = (
        f"{group.capitalize()} phases, each with its own scale. Dots are the samples, "
        "the bar is their middle half, and the line is the median."
    )
    arms = max(len(samples_of(results, phase)) for phase in phases)
    size = (WIDTH, (0.7 + 0.26 * arms) * len(phases))
    return Plot(render(draw, f"timing-{group}", caption, size), caption)


def samples_of(results: Results, phase: str) -> dict[str, TimingRecord]:
    """Return the samples of every arm that timed the phase."""
    return {
        name: arm.timing[phase]
        for name, arm in results.arms.items()
        if phase in arm.timing
    }


def _draw_phase(
    axes: Axes, phase: str, arms: dict[str, TimingRecord], styles: dict[str, ArmStyle]
) -> None:
    pooled = [sample for arm in arms.values() for sample in arm.samples_ms]
    scale, unit = (1000, "s") if max(pooled, default=0) >= 1000 else (1, "ms")
    for row, (name, record) in enumerate(arms.items()):
        _draw_samples(axes, row, np.array(record.samples_ms) / scale, styles[name])
    axes.set_title(f"{phase} [{unit}]", loc="left")
    axes.set_yticks(range(len(arms)), list(arms))
    axes.set_ylim(len(arms) - 0.4, -0.6)
    axes.grid(axis="x")
    if pooled and min(pooled) > 0 and max(pooled) / min(pooled) > LOG_FROM:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.set_title(f"{phase} [{unit}, log scale]", loc="left")
    else:
        axes.set_xlim(left=0)


def _draw_samples(axes: Axes, row: int, samples: np.ndarray, style: ArmStyle) -> None:
    if not samples.size:
        return
    low, median, high = np.percentile(samples, [25, 50, 75])
    axes.barh(row, high - low, left=low, height=0.6, color=style.color, alpha=0.25)
    axes.vlines(median, row - 0.36, row + 0.36, color=style.color, linewidth=2.5)
    # Multiples of the golden ratio spread the dots evenly, and equally in every run.
    spread = (np.arange(samples.size) * 0.618) % 1 - 0.5
    axes.plot(samples, row + 0.5 * spread, ".", color=style.color, markersize=4)
