"""The parity ladder in a report: each rung with its difference and its limit."""

from matplotlib.figure import Figure

from bench.records import Results, RungRecord
from bench.report.blocks import Block, Fold, Plot, Table, Text
from bench.report.figures import COLORS, FAINT, render
from bench.report.numbers import tiny
from bench.report.words import ladder_result

HEADER = ["Rung", "Compared", "max_scaled_diff", "Judged", "Limit", "Verdict"]
# The plot shows no difference at the lowest value, and a missing number at the highest.
LOWEST, HIGHEST = 1e-16, 1.0


def parity(results: Results) -> list[Block]:
    """Return the table and the plot of the ladder, and how to read them."""
    if not results.parity:
        return []
    rungs, judged = results.parity.rungs, results.parity.judged
    backend = (
        "Keras supports float64 only on TensorFlow. On JAX and PyTorch its batch norm "
        "computes in float32. The rungs that need float64 are not judged here."
    )
    return [
        Text(
            "The ladder compares Keras's arrays with PyTorch's, from equal pixels to "
            "equal classifiers, including dropout. A rung that is judged by norm "
            "compares whole arrays. A rung in float64 shows that the difference in "
            "float32 is rounding alone. In float32 even one program may train two "
            "heads if its features move by rounding. If float32 itself changes the "
            "arrays of one side by more than a tenth of the limit, the limit is ten "
            "times this change."
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
    """Return the row of a rung in the table."""
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
        "Difference of each rung (dot) and its limit (bar), on a logarithmic scale. A "
        "dot at the left edge means no difference. A dot at 1 means a difference as "
        "large as the values, or no number at all."
    )
    return Plot(render(draw, "ladder", caption, (7, 4.6)), caption)
