"""Turn a drawing function into an inline SVG that shares a page with others."""

import io
import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib
from markupsafe import Markup, escape
from matplotlib.figure import Figure

INK = "#22272e"
FAINT = "#d0d7de"
PAPER = "#ffffff"
# Okabe and Ito's colours, which people with colour blindness can tell apart.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
MARKERS = "oDs^vP"

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # keep text as text: it is smaller and can be searched
    "svg.hashsalt": "bench",  # the same record gives the same file
    "text.parse_math": False,  # a class may be called "$5"
    "font.family": ["DejaVu Sans"],  # is part of matplotlib
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": FAINT,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class ArmStyle:
    """Look of an arm in every plot. Later arms have thinner lines and lie on top."""

    color: str
    marker: str
    line_width: float
    marker_size: float


def arm_styles(arms: Iterable[str]) -> dict[str, ArmStyle]:
    """Return a style for each arm.

    Line widths differ, so that both of two coinciding curves stay visible.
    """
    return {
        arm: ArmStyle(
            color=COLORS[i % len(COLORS)],
            marker=MARKERS[i % len(MARKERS)],
            line_width=max(4.5 / 2**i, 1.0),
            marker_size=max(9 / 1.8**i, 2.5),
        )
        for i, arm in enumerate(arms)
    }


def render(
    draw: Callable[[Figure], None], name: str, alt: str, size: tuple[float, float]
) -> Markup:
    """Draw on a fresh figure and return it as SVG markup.

    Args:
        draw: the function that draws on the figure.
        name: prefix of all ids in the SVG, unique in the page.
        alt: description of the plot for readers who cannot see it.
        size: width and height in inches.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        # The reader's browser has fonts for scripts that matplotlib's font lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure = Figure(figsize=size, layout="constrained", facecolor=PAPER)
        draw(figure)
        no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=no_metadata)
    return _for_page(buffer.getvalue(), name, alt)


def _for_page(svg: str, name: str, alt: str) -> Markup:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    label = f'<svg role="img" aria-label="{escape(alt)}" '
    return Markup(svg.replace("<svg ", label, 1))


def clip(text: str, length: int = 20) -> str:
    """Shorten a label for an axis; the tables beside the plot have the whole name.

    The middle is cut out, since names that begin alike often end differently.
    """
    text = " ".join(text.split())
    half = length // 2
    return text if len(text) <= length else f"{text[:half]}…{text[1 - half :]}"
