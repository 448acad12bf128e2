"""A pen that draws garments from outlines, lines and discs.

A garment is drawn in its own units: x to the right and y down, both about -1 to 1.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Points = Sequence[tuple[float, float]] | np.ndarray  # (N, 2), garment units
Material = tuple[int, int, int, int]

# A garment is drawn in materials, coloured afterwards: how much shows of the fabric, of
# the trim and of the line colour, and whether the backdrop is covered; each of 255.
FABRIC = (255, 0, 0, 255)
SHADE = (165, 0, 0, 255)  # an edge or a fold
INSIDE = (110, 0, 0, 255)  # seen through the neck opening
TRIM = (0, 255, 0, 255)
LINE = (60, 0, 195, 255)  # stitches, zips and laces

OVERSAMPLING = 2  # drawn this much larger, then averaged: Pillow draws jagged edges


@dataclass
class _Stroke:
    points: np.ndarray  # (N, 2), garment units
    material: Material
    width: float | None = None  # garment units; None fills the outline


class Sketch:
    """Strokes in the order they are drawn; later ones hide earlier ones."""

    def __init__(self) -> None:
        self.strokes: list[_Stroke] = []

    def area(
        self, outline: Points, material: Material = FABRIC, radius: float = 0.05
    ) -> None:
        """Fill a closed outline, corners rounded by `radius`, with a darker edge."""
        curve = _rounded(outline, radius)
        edge = (*(int(share * 0.6) for share in material[:3]), 255)
        self.strokes.append(_Stroke(curve, material))
        self.line(np.concatenate([curve, curve[:1]]), edge)

    def symmetric(
        self, right: Points, material: Material = FABRIC, radius: float = 0.05
    ) -> None:
        """Fill an outline whose right half is given from top to bottom."""
        right = np.asarray(right, float)
        outline = np.concatenate([right, right[::-1] * [-1, 1]])
        self.area(outline, material, radius)

    def pair(
        self, outline: Points, material: Material = FABRIC, radius: float = 0.01
    ) -> None:
        """Fill an outline on the left and again on the right."""
        for side in (-1, 1):
            self.area(np.multiply(outline, [side, 1]), material, radius)

    def line(
        self, points: Points, material: Material = SHADE, width: float = 0.012
    ) -> None:
        self.strokes.append(_Stroke(np.asarray(points, float), material, width))

    def disc(
        self, centre: tuple[float, float], radius: float, material: Material = LINE
    ) -> None:
        angles = np.linspace(0, 2 * math.pi, 16, endpoint=False)
        circle = np.stack([np.cos(angles), np.sin(angles)], 1) * radius
        self.strokes.append(_Stroke(circle + centre, material))


def render(
    sketch: Sketch, width: int, height: int, rng: np.random.Generator
) -> np.ndarray:
    """Pose and draw: (4, H, W) in [0, 1], the shares of each material and cover."""
    size = np.array([width, height]) * OVERSAMPLING
    bend_and_turn = _pose(rng)
    outlines = [bend_and_turn(stroke.points) for stroke in sketch.strokes]
    corners = np.concatenate(outlines)
    low, extent = corners.min(0), np.ptp(corners, 0)
    # Every garment fills its photo alike, or the size would tell shorts from pants.
    scale = (size / extent).min() * rng.uniform(0.75, 0.98)
    offset = (size - scale * extent) * rng.uniform(0.2, 0.8, 2)
    canvas = Image.new("RGBA", tuple(size.tolist()))
    pen = ImageDraw.Draw(canvas)
    for stroke, outline in zip(sketch.strokes, outlines, strict=True):
        pixels = [tuple(point) for point in ((outline - low) * scale + offset).tolist()]
        if stroke.width is None:
            pen.polygon(pixels, fill=stroke.material)
        else:
            pen.line(pixels, stroke.material, max(2, round(stroke.width * scale)))
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


def _rounded(outline: Points, radius: float) -> np.ndarray:
    """Replace each corner of a closed outline by a quadratic Bézier curve."""
    corner = np.asarray(outline, float)
    steps = np.linspace(0, 1, 6)[None, :, None]

    def towards(neighbour: np.ndarray) -> np.ndarray:
        way = neighbour - corner
        length = np.linalg.norm(way, axis=1, keepdims=True) + 1e-9
        return (corner + way * np.minimum(0.5, radius / length))[:, None]

    start, end = towards(np.roll(corner, 1, 0)), towards(np.roll(corner, -1, 0))
    control = corner[:, None]
    curve = (
        (1 - steps) ** 2 * start + 2 * steps * (1 - steps) * control + steps**2 * end
    )
    return curve.reshape(-1, 2)


def sag(half_width: float, y: float, depth: float) -> np.ndarray:
    """A curve from left to right that hangs `depth` below `y` in its middle."""
    t = np.linspace(-1, 1, 13)
    return np.stack([t * half_width, y + depth * (1 - t**2)], 1)
