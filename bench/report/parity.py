"""The parity ladder in a report: each rung with what it allows and what was found."""

from matplotlib.figure import Figure

from bench.records import Results, RungRecord
from bench.report.blocks import Block, Fold, Plot, Table, Text
from bench.report.figures import COLORS, FAINT, render
from bench.report.numbers import tiny
from bench.report.words import ladder_result

HEADER = ["Rung", "Compared", "max_scaled_diff", "Judged", "Limit", "Verdict"]
LOWEST, HIGHEST = 1e-16, 1.0  # where the plot shows none, and what has no number


def parity(results: Results) -> list[Block]:
    """Table and plot of the ladder, and how to read it."""
    if not results.parity:
        return []
    rungs, judged = results.parity.rungs, results.parity.judged
    backend = (
        "Keras has float64 on TensorFlow alone: on JAX and PyTorch its batch norm "
        "computes in float32. The rungs that need it are not judged here."
    )
    return [
        Text(
            "From equal pixels to equal classifiers: Keras's arrays against PyTorch's, "
            "dropout included. A rung judged by norm compares whole arrays; one "
            "in float64 shows that what float32 leaves there is rounding. Where "
            "float32 moves one side alone by more than a tenth of the limit, the limit "
            "is ten times that."
        ),
        *([Text(backend)] if len(judged) < len(rungs) else []),
        Fold(
            ladder_result(results),
            [
                Table("", "llrlrl", HEADER, [rung_cells(rung) for rung in rungs]),
                _ladder(judged),
            ],
            is_open=results.parity.first_failed is not None,
        ),
    ]


def rung_cells(rung: RungRecord) -> list[str]:
    """A row of the table."""
    judged = tiny(getattr(rung, rung.measure))
    by_norm = " by norm" if rung.measure == "relative_distance" else ""
    exact = ", float64" if rung.precision == "float64" else ""
    rounded = ""
    if rung.in_float32 is not None:
        rounded = f"{tiny(rung.in_float32)} by norm in float32"
    limit = f"{rung.tolerance:.2g}"
    if rung.passed is None:
        return [rung.name, rung.compares + exact, "-", rounded, limit, "not judged"]
    return [
        rung.name,
        rung.compares + exact,
        tiny(rung.max_scaled_diff),
        judged + by_norm + (f" ({rounded})" if rounded else ""),
        limit,
        "holds" if rung.passed else f"FAILS first at {rung.first_failed}",
    ]


def _ladder(rungs: list[RungRecord]) -> Plot:
    def draw(figure: Figure) -> None:
        axes = figure.add_subplot(xscale="log", xlabel="difference")
        rows = range(len(rungs))
        values = [getattr(rung, rung.measure) for rung in rungs]
        found = [HIGHEST if v is None else max(v, LOWEST) for v in values]
        limits = [max(rung.tolerance, LOWEST) for rung in rungs]
        colors = [COLORS[0] if rung.passed else COLORS[1] for rung in rungs]
        axes.hlines(rows, LOWEST, limits, color=FAINT, linewidth=5)
        axes.scatter(found, rows, c=colors, zorder=3)
        axes.set_yticks(rows, [f"{r.name}, {r.precision}" for r in rungs])
        axes.xaxis.set_major_formatter("{x:.0e}")
        axes.invert_yaxis()
        axes.grid(axis="x")

    caption = (
        "Difference found on each rung (dot) and allowed (bar), on a logarithmic "
        "scale; at the left edge: none, at 1: as large as the values, or no number."
    )
    return Plot(render(draw, "ladder", caption, (7, 4.6)), caption)
