"""The difference ledger in a report, as a table and a plot of accuracy changes."""

from matplotlib.figure import Figure

from bench.ledger import read_document, read_titles
from bench.records import AblationRecord, DifferenceRecord, Results
from bench.report.blocks import Block, Plot, Table, Text
from bench.report.figures import COLORS, FAINT, INK, render
from bench.report.numbers import DASH, with_interval

HEADER = ["", "Difference", "Measured", "Left in", "Validation", "Test", "Verdict"]


def ledger(results: Results) -> list[Block]:
    """Return every measured difference with its size and its effect on accuracy."""
    if not results.ledger:
        return []
    titles = read_titles(read_document())
    differences = results.ledger.differences
    rows = [
        [number, titles.get(number, DASH), *ledger_cells(record)]
        for number, record in differences.items()
    ]
    seeds = len(results.ledger.seeds)
    blocks: list[Block] = [
        Text(
            "The matched program with one difference left in is compared with the "
            "matched program. The table gives the change of accuracy in points over "
            f"{seeds} seeds, with an interval paired by seed. The entries are judged "
            "together. The interval of the test accuracy decides the verdict. It "
            "covers other seeds, but not other test images. If a difference concerns "
            "augmentation, each image is augmented once for all epochs and seeds."
        ),
        Table("", "lllllll", HEADER, rows),
    ]
    ablated = {n: r.ablation for n, r in differences.items() if r.ablation}
    return [*blocks, _forest(ablated, titles)] if ablated else blocks


def ledger_cells(record: DifferenceRecord) -> list[str]:
    """Return the measured size and the ablation as cells of a row."""
    probe, ablation = record.probe, record.ablation
    if probe.value is None:
        size = f"{probe.what}: not measured, {probe.reason}"
    else:
        unit = probe.unit
        if probe.value == 1 and unit != "times":
            unit = unit.removesuffix("s")
        size = f"{probe.what}: {probe.value:.3g} {unit}".rstrip()
    if ablation is None:
        return [size, DASH, DASH, DASH, DASH]
    return [
        size,
        ablation.what,
        with_interval(ablation.validation_change, ablation.validation_interval),
        with_interval(ablation.test_change, ablation.test_interval),
        ablation.verdict,
    ]


def _forest(ablated: dict[str, AblationRecord], titles: dict[str, str]) -> Plot:
    """Plot a row for each difference with its mean, interval and single seeds."""

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot(xlabel="change of test accuracy, points")
        axes.axvline(0, color=INK, linewidth=1)
        for row, one in enumerate(ablated.values()):
            color = COLORS[1] if one.verdict == "shown" else COLORS[0]
            pairs = zip(one.matched, one.changed, strict=True)
            seeds = [100 * (after.test - before.test) for before, after in pairs]
            axes.plot(seeds, [row] * len(seeds), "|", color=FAINT, markersize=9)
            low, high = one.test_interval
            axes.hlines(row, 100 * low, 100 * high, color=color)
            axes.plot(100 * one.test_change, row, "o", color=color)
        axes.set_yticks(
            range(len(ablated)), [f"{n} {titles.get(n, DASH)}" for n in ablated]
        )
        axes.invert_yaxis()
        axes.grid(axis="x")

    caption = (
        "The effect of each difference on test accuracy. A dot is the mean over the "
        "seeds, and the line through it is its interval. Both are orange if the "
        "interval excludes 0. Grey ticks are the single seeds."
    )
    size = (7, 1 + 0.24 * len(ablated))
    return Plot(render(draw, "ledger", caption, size), caption)
