"""The experiments in a report: a plot, the conclusion and a table for each of them."""

import csv
import io
from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.judging.intervals import MeanDifference
from bench.records import (
    CellRecord,
    ExperimentRecord,
    ExperimentsRecord,
    Results,
)
from bench.report.blocks import Block, Bullets, Entries, Plot, Section, Table, Text
from bench.report.conclusions import WORKSHOP, WORKSHOP_ENTRIES, conclude
from bench.report.figures import INK, ArmStyle, arm_styles, clip, render
from bench.report.numbers import DASH, p_value, percent, short, with_interval
from bench.report.titles import read_entry

TIMED = ("epochs-to-accuracy", "divisions")
LEVELS = (0.80, 0.85)  # validation accuracies
SHARED_OUT = (
    "Where images pass through the network in every epoch, both arms trained seed 0, "
    "and shared out the other seeds. In float32, rounding lets two equal programs part "
    "a little after many steps."
)
CSV_COLUMNS = (
    "experiment", "setting", "arm", "seed", "status", "best_epoch", "train",
    "validation", "test", "last_train", "last_validation", "last_test", "seconds",
)  # fmt: skip


def make_experiments(results: Results) -> list[Section]:
    """Return a section for each experiment of a run."""
    record = results.experiments
    if not record:
        return []
    return [
        Section(f"Experiment {name}", make_blocks(name, experiment, record))
        for name, experiment in record.experiments.items()
    ]


def make_blocks(
    name: str, experiment: ExperimentRecord, record: ExperimentsRecord
) -> list[Block]:
    """Return question, plot, conclusion and table of one experiment."""
    blocks: list[Block] = [Text(experiment.question)]
    cells = [record.find(one, record.seeds[name]) for one in experiment.settings]
    if any(cells):
        blocks.append(_plot(name, experiment, record))
    summary, *details = conclude(name, experiment, record)
    blocks.append(Text(summary))
    if details:
        blocks.append(Bullets(details))
    blocks.append(_table(name, experiment, record))
    if name in TIMED:
        blocks.append(_times(name, experiment, record))
    if any(map(_is_shared_out, cells)):
        blocks.append(Text(SHARED_OUT))
    if name in WORKSHOP:
        blocks.append(Text(WORKSHOP[name]))
    if titles := WORKSHOP_ENTRIES.get(name):
        blocks.append(Entries({title: read_entry(title) for title in titles}))
    return blocks


def _is_shared_out(cells: list[CellRecord]) -> bool:
    """Return whether each arm trained only some of the seeds."""
    arms = {cell.arm for cell in cells}
    return len(arms) > 1 and len(cells) < len(arms) * len({c.seed for c in cells})


def _times(name: str, experiment: ExperimentRecord, record: ExperimentsRecord) -> Table:
    """Return how many epochs and seconds each arm needs to reach an accuracy."""
    rows = []
    for setting in experiment.settings:
        cells = record.find(setting, record.seeds[name])
        for arm in dict.fromkeys(cell.arm for cell in cells):
            own = [cell for cell in cells if cell.arm == arm]
            found = [_reach(own, level) for level in LEVELS]
            rows.append([setting.name, arm, *(text for pair in found for text in pair)])
    header = ["Setting", "Arm"]
    for level in LEVELS:
        header += [f"Epochs to {level:.0%}", f"Seconds to {level:.0%}"]
    title = "Epochs, and seconds of these epochs, until validation accuracy is reached"
    return Table(title, "llrrrr", header, rows)


def _reach(cells: list[CellRecord], level: float) -> tuple[str, str]:
    """Return the mean epochs and seconds to a validation accuracy."""
    found = []
    for cell in cells:
        accuracies = [epoch.validation_accuracy for epoch in cell.history]
        if max(accuracies) >= level:
            count = next(i for i, a in enumerate(accuracies, 1) if a >= level)
            seconds = sum(epoch.seconds for epoch in cell.history[:count])
            found.append((count, seconds))
    if not found:
        return "never", DASH
    epochs, seconds = np.mean(found, axis=0)
    note = f" ({len(found)} of {len(cells)} seeds)" if len(found) < len(cells) else ""
    return f"{epochs:.1f}{note}", short(float(seconds))


def _table(name: str, experiment: ExperimentRecord, record: ExperimentsRecord) -> Table:
    arms = list(dict.fromkeys(cell.arm for cell in record.cells))
    header = [
        "Setting",
        "Verdict",
        "Train",
        "Validation",
        "Gap",
        *(f"Test, {a}" for a in arms),
    ]
    header += ["Test, last epoch", "Best epoch"]
    header += ["Change from the base, points", "p", "p of “equal”"]
    rows = []
    for place, setting in enumerate(experiment.settings):
        cells = record.find(setting, record.seeds[name])
        verdict = setting.verdict or ("base" if place == 0 else DASH)
        row = [setting.name, verdict, *_figures(cells, arms)]
        if setting.verdict:
            change = with_interval(setting.change, setting.interval)
            tests = p_value(setting.p), p_value(setting.p_equal)
            row += [change, *(p.removeprefix("= ") for p in tests)]
        else:
            row += [DASH, DASH, DASH]
        rows.append(row)
    title = "Mean and standard deviation over the seeds"
    return Table(title, "ll" + "r" * (len(header) - 2), header, rows)


def _figures(cells: list[CellRecord], arms: Sequence[str]) -> list[str]:
    """Return the accuracies of one setting as cells of a row."""
    if not cells:
        return [DASH] * (5 + len(arms))
    gaps = [100 * (cell.best.train - cell.best.validation) for cell in cells]
    tests = [
        _spread([cell.best.test for cell in cells if cell.arm == arm]) for arm in arms
    ]
    return [
        _spread([cell.best.train for cell in cells]),
        _spread([cell.best.validation for cell in cells]),
        f"{np.mean(gaps):+.1f}",
        *tests,
        _spread([cell.last.test for cell in cells]),
        f"{np.mean([cell.best_epoch for cell in cells]):.1f}",
    ]


def _spread(shares: list[float]) -> str:
    """Return mean and standard deviation, such as "87.6% ± 0.4"."""
    if not shares:
        return DASH
    if len(shares) == 1:
        return percent(shares[0])
    return f"{percent(float(np.mean(shares)))} ± {100 * np.std(shares, ddof=1):.1f}"


def _plot(name: str, experiment: ExperimentRecord, record: ExperimentsRecord) -> Plot:
    # What is compared with another setting than the first one is shown already.
    shown = [setting for setting in experiment.settings if not setting.against]
    cells = {
        setting.name: record.find(setting, record.seeds[name])
        for setting in sorted(shown, key=lambda one: _natural_order(one.name))
    }
    caption = (
        "Test accuracy at the epoch with the highest validation accuracy. A large mark "
        "is the mean over the seeds, with its 95% interval. Small dots are the single "
        "seeds."
    )
    draw = partial(_draw, cells=cells)
    size = (max(4.6, 1.2 * len(cells)), 3.2)
    return Plot(render(draw, f"experiment-{name}", caption, size), caption)


def _natural_order(name: str) -> tuple[int, float]:
    """Rank names that are numbers from small to large, before all others."""
    try:
        return 0, float(name)
    except ValueError:
        return 1, 0.0


def _draw(figure: Figure, cells: dict[str, list[CellRecord]]) -> None:
    axes = figure.add_subplot(ylabel="test accuracy, %")
    arms = list(dict.fromkeys(cell.arm for own in cells.values() for cell in own))
    shared_out = any(map(_is_shared_out, cells.values()))
    for number, (arm, style) in enumerate(arm_styles(arms).items()):
        shift = 0.12 * (number - (len(arms) - 1) / 2)
        values = [
            [100 * cell.best.test for cell in own if cell.arm == arm]
            for own in cells.values()
        ]
        _draw_seeds(axes, values, shift, style.color, arm if shared_out else None)
        if not shared_out:
            _draw_means(axes, values, shift, style, arm)
    if shared_out:  # an arm has too few seeds for an interval of its own
        values = [*map(_by_seed, cells.values())]
        _draw_means(axes, values, 0.0, ArmStyle(INK, "o", 1.5, 6), "both arms")
    axes.set_xticks(range(len(cells)), [*map(clip, cells)])
    axes.set_xlim(-0.5, len(cells) - 0.5)
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, 0), min(high, 100))
    axes.grid(axis="y")
    figure.legend(loc="outside upper center", ncols=len(arms) + shared_out)


def _by_seed(cells: list[CellRecord]) -> list[float]:
    """Return the test accuracy of each seed in percent, as a mean over its arms."""
    return [
        float(np.mean([100 * cell.best.test for cell in cells if cell.seed == seed]))
        for seed in sorted({cell.seed for cell in cells})
    ]


def _draw_seeds(
    axes: Axes, values: list[list[float]], shift: float, color: str, label: str | None
) -> None:
    points = [(place + shift, y) for place, found in enumerate(values) for y in found]
    x, y = zip(*points, strict=True)
    axes.plot(x, y, ".", color=color, alpha=0.5, markersize=5, label=label)


def _draw_means(
    axes: Axes, values: list[list[float]], shift: float, style: ArmStyle, label: str
) -> None:
    means = {
        place + shift: np.mean(found) for place, found in enumerate(values) if found
    }
    for place, found in enumerate(values):
        if len(found) > 1:
            low, high = MeanDifference(np.array(found)).interval(0.95)
            axes.vlines(place + shift, low, high, color=style.color, linewidth=1.5)
    x, y = [*means], [*means.values()]
    axes.plot(x, y, style.marker, color=style.color, markersize=6, label=label)


def make_csv(record: ExperimentsRecord) -> str:
    """Return all cells as a CSV; those that experiments share come once for each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for name, experiment in record.experiments.items():
        for setting in experiment.settings:
            for cell in record.cells:
                same = cell.changes == setting.changes and cell.share == setting.share
                if same and cell.seed < record.seeds[name]:
                    writer.writerow([name, setting.name, *_csv_cells(cell)])
    return text.getvalue()


def _csv_cells(cell: CellRecord) -> list[object]:
    accuracies: list[object] = []
    for one in (cell.best, cell.last):
        accuracies += [one.train, one.validation, one.test] if one else ["", "", ""]
    found = [cell.arm, cell.seed, cell.status, cell.best_epoch or "", *accuracies]
    return [*found, round(cell.seconds, 3)]
