"""A pen that draws garments from outlines and lines.

A garment is drawn in its own units: x to the right and y down, both about -1 to 1.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw

Points = Sequence[tuple[float, float]] | np.ndarray  # (N, 2), garment units
Material = tuple[int, int, int, int]

# A garment is drawn in materials, coloured afterwards: how much shows of the fabric, of
# the trim and of the line colour, and whether the backdrop is covered; each of 255.
FABRIC = (255, 0, 0, 255)
SHADE = (155, 0, 0, 255)  # an edge or a fold
INSIDE = (110, 0, 0, 255)  # seen through the neck opening
TRIM = (0, 255, 0, 255)
LINE = (60, 0, 195, 255)  # buttons, zips and laces

OVERSAMPLING = 2  # drawn this much larger, then averaged: Pillow draws jagged edges


class Sketch:
    """Strokes in the order they are drawn; later ones hide earlier ones."""

    def __init__(self) -> None:
        # Points, material, and the width of a line; None fills the outline.
        self.strokes: list[tuple[np.ndarray, Material, float | None]] = []

    def area(self, outline: Points, material: Material = FABRIC) -> None:
        """Fill a closed outline, with a darker edge."""
        outline = np.asarray(outline, float)
        red, green, blue = (int(share * 0.6) for share in material[:3])
        self.strokes.append((outline, material, None))
        self.line([*outline, outline[0]], (red, green, blue, 255))

    def symmetric(self, right: Points, material: Material = FABRIC) -> None:
        """Fill an outline whose right half is given from top to bottom."""
        self.area([*right, *np.multiply(right, [-1, 1])[::-1]], material)

    def pair(self, outline: Points, material: Material = FABRIC) -> None:
        """Fill an outline on the left and again on the right."""
        for side in (-1, 1):
            self.area(np.multiply(outline, [side, 1]), material)

    def line(
        self, points: Points, material: Material = SHADE, width: float = 0.012
    ) -> None:
        """Draw a line through the points."""
        self.strokes.append((np.asarray(points, float), material, width))

    def button(self, x: float, y: float) -> None:
        """Draw a small disc."""
        self.area(arc(x, y, 0.035, 0.035), LINE)


def arc(
    x: float, y: float, across: float, down: float, start: float = 0, end: float = 1
) -> np.ndarray:
    """A part of an ellipse about (x, y), (N, 2).

    Args:
        across, down: its half axes.
        start, end: in turns, clockwise from the right.
    """
    angles = 2 * math.pi * np.linspace(start, end, 24)
    return np.stack([x + across * np.cos(angles), y + down * np.sin(angles)], axis=1)


def render(
    sketch: Sketch, width: int, height: int, rng: np.random.Generator
) -> np.ndarray:
    """Pose and draw: (4, H, W) in [0, 1], the shares of each material and cover."""
    size = np.array([width, height]) * OVERSAMPLING
    bend_and_turn = _pose(rng)
    outlines = [bend_and_turn(points) for points, _, _ in sketch.strokes]
    corners = np.concatenate(outlines)
    low, extent = corners.min(0), np.ptp(corners, 0)
    # Every garment fills its photo alike, or the size would tell shorts from pants.
    scale = (size / extent).min() * rng.uniform(0.75, 0.98)
    offset = (size - scale * extent) * rng.uniform(0.2, 0.8, 2)
    canvas = Image.new("RGBA", tuple(size.tolist()))
    pen = ImageDraw.Draw(canvas)
    for outline, (_, material, line) in zip(outlines, sketch.strokes, strict=True):
        pixels = [tuple(point) for point in ((outline - low) * scale + offset).tolist()]
        if line is None:
            pen.polygon(pixels, fill=material)
        else:
            pen.line(pixels, material, max(2, round(line * scale)))
    layers = np.asarray(canvas.reduce(OVERSAMPLING), np.float32) / 255
    layers[..., :3] *= layers[..., 3:]  # Pillow divides by the cover
    return layers.transpose(2, 0, 1).copy()


def _pose(rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """A map of points: a gentle bend, a flip, uneven stretch, shear and a turn."""
    sway, bend = rng.uniform(0, 2 * math.pi, 2), rng.uniform(0, 0.03)
    stretch = np.diag(rng.uniform(0.9, 1.1, 2) * [rng.choice([-1, 1]), 1])
    shear = np.array([[1, rng.normal(0, 0.05)], [0, 1]])
    angle = rng.normal(0, 0.15)
    cos, sin = math.cos(angle), math.sin(angle)
    matrix = np.array([[cos, -sin], [sin, cos]]) @ shear @ stretch
    return lambda points: (
        (points + bend * np.sin(3 * points[:, ::-1] + sway)) @ matrix.T
    )
