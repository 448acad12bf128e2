"""The embedded data set: ten kinds of clothing, drawn, for where there is no network.

Only the outline of a garment and its details tell its class. Size, backdrop, fabric and
colours are chosen before the class is looked at; pose and light do not depend on it.

A garment is drawn in its own units: x to the right and y down, both about -1 to 1.
Random numbers are taken in a fixed order: a draw added anywhere changes what follows.
"""

import colorsys
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SYNTHETIC_VERSION: int = 1  # goes up whenever a pixel changes, so that caches notice

CLASSES: tuple[str, ...] = (
    "dress",
    "hat",
    "longsleeve",
    "outwear",
    "pants",
    "shirt",
    "shoes",
    "shorts",
    "skirt",
    "t-shirt",
)
COUNTS = {"train": 40, "validation": 10, "test": 10}  # images of each class

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


def write_dataset(folder: Path, seed: int = 0) -> None:
    """Write `folder`/{train,validation,test}/<class>/<class>-0001.jpg and so on.

    Each image has its own stream of random numbers, so that it does not depend on
    which others are drawn, nor on their order.
    """
    for split_index, (split, count) in enumerate(COUNTS.items()):
        for label, class_name in enumerate(CLASSES):
            class_folder = Path(folder) / split / class_name
            class_folder.mkdir(parents=True, exist_ok=True)
            for number in range(1, count + 1):
                key = (seed, split_index, label, number)
                rng = np.random.Generator(np.random.Philox(key))
                image = draw_image(class_name, rng)
                path = class_folder / f"{class_name}-{number:04d}.jpg"
                image.save(path, quality=int(rng.integers(70, 96)))


def draw_image(class_name: str, rng: np.random.Generator) -> Image.Image:
    """Draw one RGB photo of a garment, about 240x320 pixels and never square.

    `rng` may be any generator; the image is a function of its state and the class.

    Raises:
        KeyError: `class_name` is not one of CLASSES.
    """
    draw_garment = _GARMENTS[class_name]
    width, height = _size(rng)
    backdrop = _backdrop(width, height, rng)
    colours = _fabric(width, height, rng), _colour(rng), _colour(rng)
    sketch = _Sketch()
    draw_garment(sketch, rng)
    layers = _render(sketch, width, height, rng)
    return _photograph(backdrop, layers, colours, rng)


def _size(rng: np.random.Generator) -> tuple[int, int]:
    """Width and height in pixels: mostly portrait, as photos of clothing are."""
    short = int(rng.integers(216, 265))
    long = int(short * rng.uniform(1.2, 1.45))
    return (short, long) if rng.random() < 0.8 else (long, short)


# --- colours, fabrics and backdrops: arrays (3, H, W) in [0, 1] ---


def _colour(rng: np.random.Generator, most_saturated: float = 0.8) -> np.ndarray:
    """(3, 1, 1): any hue; greyish ones are more common, as they are in wardrobes."""
    saturation = most_saturated * rng.beta(1.2, 1.8)
    hue, value = rng.random(), rng.uniform(0.2, 0.95)
    rgb = colorsys.hsv_to_rgb(hue, saturation, value)
    return np.array(rgb, np.float32)[:, None, None]


def _muted(rng: np.random.Generator) -> np.ndarray:
    """A colour for walls and floors."""
    return _colour(rng, most_saturated=0.45)


def _fabric(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Two colours mixed by a repeating pattern at any angle."""
    period_px, angle = rng.uniform(7, 26), rng.uniform(0, math.pi)
    y, x = np.mgrid[:height, :width].astype(np.float32) * (2 * math.pi / period_px)
    u = np.sin(x * math.cos(angle) + y * math.sin(angle))
    v = np.sin(y * math.cos(angle) - x * math.sin(angle))
    patterns = {
        "plain": lambda: 0 * u,
        "stripes": lambda: u * 4,
        "checks": lambda: (u > 0).astype(np.float32) + (v > 0) - 0.5,
        "dots": lambda: (u + v - 1.2) * 3,
        "weave": lambda: u * v * 0.5 + 0.5,
    }
    share = np.clip(patterns[rng.choice(list(patterns))](), 0, 1)
    return _mix(_colour(rng), _colour(rng), share * rng.uniform(0.2, 0.8))


def _backdrop(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    kinds = (_wall, _planks, _tiles, _rug, _clutter)
    return kinds[rng.integers(len(kinds))](width, height, rng)


def _wall(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Plain, or running from one colour to another."""
    slope = np.linspace(0, rng.choice([0.0, 0.6]), height, dtype=np.float32)
    share = np.broadcast_to(slope[:, None], (height, width))
    return _mix(_muted(rng), _muted(rng), share)


def _planks(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Boards: grain is noise stretched along the board, each board has its tone."""
    boards = int(rng.integers(4, 9))
    board, position = np.divmod(np.linspace(0, boards, width, endpoint=False), 1)
    tone = rng.uniform(-0.12, 0.12, boards)[board.astype(int)] - 0.3 * (position < 0.04)
    grain = 0.05 * _smooth_noise(width, height, width // 4, 5, rng)
    return np.clip(_muted(rng) + (tone + grain).astype(np.float32), 0, 1)


def _tiles(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    side_px = rng.integers(30, 80)
    y, x = np.mgrid[:height, :width]
    joint = ((x % side_px < 3) | (y % side_px < 3)).astype(np.float32)
    return _mix(_muted(rng), _muted(rng), joint * 0.7)


def _rug(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    noise = _smooth_noise(width, height, width // 3, height // 3, rng)
    return _mix(_muted(rng), _muted(rng), np.clip(0.4 + 0.15 * noise, 0, 1))


def _clutter(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Things lying about: boxes, discs and cables, out of focus."""
    image = _to_image(_wall(width, height, rng))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(4, 10)):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        w, h = rng.uniform(15, 90, 2)
        shape = (draw.rectangle, draw.ellipse, draw.line)[rng.integers(3)]
        style = {"width": 4} if shape == draw.line else {}
        colour = tuple(_as_bytes(_colour(rng)).ravel().tolist())
        shape([x, y, x + w, y + h], colour, **style)
    blurred = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2)))
    return np.asarray(blurred, np.float32).transpose(2, 0, 1) / 255


def _smooth_noise(
    width: int, height: int, columns: int, rows: int, rng: np.random.Generator
) -> np.ndarray:
    """(H, W), about standard normal: `rows` x `columns` random values, interpolated."""
    coarse = rng.standard_normal((rows, columns), np.float32)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.BICUBIC))


def _mix(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    return first + (second - first) * share


def _as_bytes(values: np.ndarray) -> np.ndarray:
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def _to_image(picture: np.ndarray) -> Image.Image:
    """(3, H, W) in [0, 1] to an RGB image."""
    return Image.merge("RGB", [Image.fromarray(plane) for plane in _as_bytes(picture)])


# --- from drawing to photo ---


def _photograph(
    backdrop: np.ndarray,
    layers: np.ndarray,
    colours: tuple[np.ndarray, np.ndarray, np.ndarray],
    rng: np.random.Generator,
) -> Image.Image:
    """Colour the layers (4, H, W), put them on the backdrop and light the scene."""
    fabric, trim, line = colours
    # Stitches must be seen on any fabric: dark ones on light cloth and the reverse.
    line = line * 0.3 + (0.7 if fabric.mean() < 0.45 else 0)
    fabric_share, trim_share, line_share, cover = layers
    height, width = cover.shape
    cloth = fabric_share * fabric + trim_share * trim + line_share * line
    folds = 1 + 0.07 * _smooth_noise(width, height, 7, 7, rng)
    relief, shadow = _relief_and_shadow(cover, rng)
    picture = backdrop * ((1 - cover) * shadow) + cloth * (folds + relief)
    light = 1 + 0.1 * _smooth_noise(width, height, 2, 2, rng)
    noise = rng.standard_normal((height, width), np.float32) * rng.uniform(0.005, 0.025)
    blur = ImageFilter.GaussianBlur(rng.uniform(0, 0.8))
    return _to_image(picture * light + noise).filter(blur)


def _relief_and_shadow(
    cover: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Light from one side: what cloth gains by it, and what is left beside it."""
    blurred = Image.fromarray(_as_bytes(cover)).filter(ImageFilter.GaussianBlur(6))
    soft = np.asarray(blurred, np.float32) / 255
    dx, dy = rng.integers(-6, 7), rng.integers(2, 7)  # pixels
    behind = np.roll(soft, (dy, dx), (0, 1))
    return 0.5 * (soft - behind), 1 - rng.uniform(0.2, 0.6) * behind


# --- the pen ---


@dataclass
class _Stroke:
    points: np.ndarray  # (N, 2), garment units
    material: Material
    width: float | None = None  # garment units; None fills the outline


class _Sketch:
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


def _render(
    sketch: _Sketch, width: int, height: int, rng: np.random.Generator
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


def _sag(half_width: float, y: float, depth: float) -> np.ndarray:
    """A curve from left to right that hangs `depth` below `y` in its middle."""
    t = np.linspace(-1, 1, 13)
    return np.stack([t * half_width, y + depth * (1 - t**2)], 1)


# --- tops ---


@dataclass
class _Cut:
    """Measures of an upper garment, in garment units."""

    sleeve: float
    cuff: float  # width of the sleeve's end
    shoulder: float = 0.46
    waist: float = 0.42
    hem: float = 0.44
    bottom: float = 0.78
    neck: float = 0.19
    neck_depth: float = 0.14


def _top(sketch: _Sketch, cut: _Cut, rng: np.random.Generator) -> None:
    """Sleeves, body and neck opening: what all tops have in common."""
    for side in (-1, 1):
        _sleeve(sketch, cut, side, rng.uniform(0.12, 0.6))
    body = [
        (cut.neck, -0.78),
        (cut.shoulder, -0.68),
        (cut.shoulder - 0.05, -0.25),
        (cut.waist, 0.2),
        (cut.hem, cut.bottom),
        (0.0, cut.bottom + 0.03),
    ]
    sketch.symmetric(body)
    _neckline(sketch, cut.neck, -0.78, cut.neck_depth)
    _folds(sketch, cut.waist, -0.1, cut.bottom - 0.1, rng)


def _neckline(sketch: _Sketch, half_width: float, y: float, depth: float) -> None:
    """The opening between the front, cut lower, and the back."""
    front, back = _sag(half_width, y, depth), _sag(half_width, y, 0.03)
    sketch.area(np.concatenate([front, back[::-1]]), INSIDE, radius=0)


def _sleeve(sketch: _Sketch, cut: _Cut, side: int, angle: float) -> None:
    """A sleeve hanging `angle` radians off the vertical; side is -1 or 1."""
    down = np.array([math.sin(angle) * side, math.cos(angle)])
    inward = np.array([-math.cos(angle) * side, math.sin(angle)])
    shoulder = np.array([side * cut.shoulder, -0.68])
    end = shoulder + down * cut.sleeve + [side * 0.04, 0]
    armpit = np.array([side * (cut.shoulder - 0.06), -0.24])
    top = np.array([side * (cut.shoulder - 0.1), -0.7])
    sketch.area([top, shoulder, end, end + inward * cut.cuff, armpit])
    sketch.line(np.stack([end, end + inward * cut.cuff]) - down * 0.07)


def _folds(
    sketch: _Sketch,
    half_width: float,
    top: float,
    bottom: float,
    rng: np.random.Generator,
) -> None:
    """A few soft creases."""
    for _ in range(rng.integers(1, 5)):
        x, y = rng.uniform(-0.8, 0.8) * half_width, rng.uniform(top, bottom)
        dx, dy = rng.uniform(-0.1, 0.1), rng.uniform(0.05, 0.2)
        sketch.line([(x, y), (x + dx / 3, y + dy / 2), (x + dx, y + dy)], width=0.012)


def _print(sketch: _Sketch, rng: np.random.Generator) -> None:
    """A badge or some lines of words on the chest, on half of the garments."""
    kind = rng.choice(["none", "none", "badge", "words"])
    if kind == "badge":
        sketch.disc((0, -0.12), rng.uniform(0.1, 0.2), TRIM)
    elif kind == "words":
        for y in (-0.25, -0.13, -0.01)[: rng.integers(1, 4)]:
            half = rng.uniform(0.12, 0.26)
            sketch.line([(-half, y), (half, y)], TRIM, width=0.06)


def _t_shirt(sketch: _Sketch, rng: np.random.Generator) -> None:
    _knit_top(sketch, rng.uniform(0.28, 0.44), rng.uniform(0.26, 0.34), rng)


def _longsleeve(sketch: _Sketch, rng: np.random.Generator) -> None:
    _knit_top(sketch, rng.uniform(1.0, 1.3), rng.uniform(0.13, 0.19), rng)


def _knit_top(
    sketch: _Sketch, sleeve: float, cuff: float, rng: np.random.Generator
) -> None:
    waist, depth = rng.uniform(0.37, 0.45), rng.uniform(0.1, 0.24)
    cut = _Cut(sleeve, cuff, waist=waist, neck_depth=depth)
    _top(sketch, cut, rng)
    ribbing = TRIM if rng.random() < 0.3 else SHADE
    sketch.line(_sag(cut.neck + 0.02, -0.77, depth + 0.03), ribbing, width=0.03)
    _print(sketch, rng)


def _shirt(sketch: _Sketch, rng: np.random.Generator) -> None:
    long = rng.random() < 0.6
    cut = _Cut(
        sleeve=rng.uniform(0.95, 1.2) if long else rng.uniform(0.36, 0.46),
        cuff=0.17 if long else 0.3,
        waist=rng.uniform(0.38, 0.45),
        bottom=rng.uniform(0.72, 0.82),
    )
    _top(sketch, cut, rng)
    contrast = TRIM if rng.random() < 0.3 else FABRIC
    sketch.symmetric([(0.055, -0.64), (0.055, cut.bottom)], contrast, radius=0)
    for y in np.linspace(-0.5, cut.bottom - 0.1, rng.integers(5, 8)):
        sketch.disc((0, y), 0.028)
    collar = [(0, -0.6), (0.17, -0.88), (0.28, -0.72), (0.17, -0.45)]
    sketch.pair(collar, contrast)
    if rng.random() < 0.6:
        left, right, top, bottom = 0.14, 0.34, -0.3, -0.08
        tip = ((left + right) / 2, bottom + 0.05)
        pocket = [(left, top), (right, top), (right, bottom), tip, (left, bottom)]
        (sketch.pair if rng.random() < 0.5 else sketch.area)(pocket, FABRIC, 0.01)


def _outwear(sketch: _Sketch, rng: np.random.Generator) -> None:
    cut = _Cut(
        sleeve=rng.uniform(1.0, 1.25),
        cuff=rng.uniform(0.21, 0.27),
        shoulder=rng.uniform(0.5, 0.56),
        waist=rng.uniform(0.48, 0.56),
        hem=rng.uniform(0.5, 0.6),
        bottom=rng.uniform(0.7, 1.05),
    )
    if hooded := rng.random() < 0.5:
        hood = [(0.14, -1.1), (0.32, -0.95), (0.36, -0.7), (0.2, -0.5)]
        sketch.symmetric(hood, radius=0.12)
    _top(sketch, cut, rng)
    (_zipped if hooded else _lapelled)(sketch, cut, rng)
    for side in (-1, 1):
        pocket = [(side * 0.22, 0.2), (side * 0.36, 0.42)]
        sketch.line(pocket, LINE, width=0.04)


def _zipped(sketch: _Sketch, cut: _Cut, rng: np.random.Generator) -> None:
    """A jacket's front, often quilted."""
    if rng.random() < 0.6:
        for y in np.arange(-0.42, cut.bottom - 0.05, 0.2):
            sketch.line(_sag(cut.waist - 0.02, y, 0.04), width=0.03)
    sketch.line([(0, -0.64), (0, cut.bottom)], LINE, width=0.05)
    band = [(-cut.hem, cut.bottom - 0.1), (cut.hem, cut.bottom - 0.1)]
    sketch.line(band, width=0.03)


def _lapelled(sketch: _Sketch, cut: _Cut, rng: np.random.Generator) -> None:
    """A coat's front: worn open, or double-breasted."""
    end = rng.uniform(-0.2, 0.1)
    gap = rng.choice([0.0, rng.uniform(0.08, 0.18)])
    opening = [(0.17, -0.76), (gap + 0.01, end), (gap, cut.bottom + 0.01)]
    sketch.symmetric(opening, INSIDE, radius=0)
    lapel = [(gap, end), (0.1, -0.84), (0.24, -0.88), (0.42, -0.5), (0.3, -0.42)]
    sketch.pair(lapel, TRIM if rng.random() < 0.3 else FABRIC)
    for side in (-1, 1):
        sketch.line([(side * 0.12, -0.6), (side * 0.36, -0.6)], width=0.02)
        for y in np.linspace(end + 0.12, cut.bottom - 0.3, 3):
            sketch.disc((side * (gap + 0.09), y), 0.045)


# --- dresses, skirts and trousers ---


def _dress(sketch: _Sketch, rng: np.random.Generator) -> None:
    waist, hem = rng.uniform(0.22, 0.3), rng.uniform(0.42, 0.68)
    waist_y, strap = rng.uniform(-0.25, -0.05), rng.uniform(0.14, 0.24)
    if rng.random() < 0.5:
        cut = _Cut(sleeve=rng.uniform(0.2, 0.4), cuff=0.2, shoulder=0.38)
        for side in (-1, 1):
            _sleeve(sketch, cut, side, rng.uniform(0.3, 0.8))
    right = [
        (strap, -0.88),
        (strap + 0.1, -0.86),
        (0.33, -0.5),
        (waist, waist_y),
        (hem, 0.9),
        (0, 0.94),
    ]
    sketch.symmetric(right)
    _neckline(sketch, strap, -0.88, rng.uniform(0.15, 0.35))
    _pleats(sketch, waist, hem, waist_y, 0.9, rng)
    belt = TRIM if rng.random() < 0.4 else SHADE
    sketch.line(_sag(waist, waist_y, 0.02), belt, width=rng.uniform(0.02, 0.07))


def _skirt(sketch: _Sketch, rng: np.random.Generator) -> None:
    waist, hem = rng.uniform(0.28, 0.4), rng.uniform(0.5, 0.8)
    top, bottom = rng.uniform(-0.75, -0.55), rng.uniform(0.4, 0.8)
    hip = (waist + hem) / 2 + rng.uniform(-0.05, 0.08)
    right = [(waist, top), (hip, (top + bottom) / 2), (hem, bottom), (0, bottom + 0.08)]
    sketch.symmetric(right)
    _pleats(sketch, waist, hem, top, bottom, rng)
    band = [(waist, top - 0.04), (waist + 0.01, top + 0.08)]
    sketch.symmetric(band, TRIM if rng.random() < 0.3 else FABRIC, radius=0.02)


def _pleats(
    sketch: _Sketch,
    waist: float,
    hem: float,
    top: float,
    bottom: float,
    rng: np.random.Generator,
) -> None:
    """Folds that fan out from the waist to the hem."""
    for share in np.linspace(-0.85, 0.85, rng.integers(3, 9)):
        start = top + rng.uniform(0.02, 0.4) * (bottom - top)
        x = np.interp(start, [top, bottom], [waist, hem]) * share
        sketch.line([(x, start), (hem * share, bottom - 0.02)], width=0.018)


def _pants(sketch: _Sketch, rng: np.random.Generator) -> None:
    _trousers(sketch, rng.uniform(0.75, 0.95), rng.uniform(0.13, 0.24), rng)


def _shorts(sketch: _Sketch, rng: np.random.Generator) -> None:
    _trousers(sketch, rng.uniform(-0.02, 0.2), rng.uniform(0.34, 0.42), rng)


def _trousers(
    sketch: _Sketch, bottom: float, cuff: float, rng: np.random.Generator
) -> None:
    """Two legs of width `cuff` down to y = `bottom`, waistband, fly and pockets."""
    waist, hip, spread = rng.uniform(0.28, 0.34), 0.4, rng.uniform(0.05, 0.16)
    crotch = rng.uniform(-0.3, -0.2)
    ankle = [(spread + cuff, bottom), (spread, bottom + 0.02)]
    leg = [(0, -0.85), (waist, -0.85), (hip, -0.45), *ankle, (0, crotch)]
    sketch.pair(leg, radius=0.03)
    for side in (-1, 1):
        pocket = np.array([(0.2, -0.72), (0.26, -0.6), (0.37, -0.55)])
        sketch.line(pocket * [side, 1], LINE)
        sketch.line((np.array(ankle) - [0, 0.07]) * [side, 1])
    sketch.line([(0, -0.75), (0.06, -0.72), (0.05, -0.45), (0, -0.4)])
    band = [(waist, -0.88), (waist + 0.02, -0.75)]
    sketch.symmetric(band, TRIM if rng.random() < 0.25 else FABRIC, radius=0.02)
    for x in (-0.2, 0.2):
        sketch.line([(x, -0.89), (x, -0.74)], width=0.03)
    sketch.disc((0, -0.815), 0.03)


# --- hats and shoes ---


def _hat(sketch: _Sketch, rng: np.random.Generator) -> None:
    (_brimmed_hat, _cap, _beanie)[rng.integers(3)](sketch, rng)


def _brimmed_hat(sketch: _Sketch, rng: np.random.Generator) -> None:
    brim, crown = rng.uniform(0.7, 0.95), rng.uniform(0.36, 0.46)
    top = rng.uniform(-0.5, -0.3)
    sketch.area([(-brim, 0.3), (0, 0.02), (brim, 0.3), (0, 0.6)], radius=0.6)
    sides = [(crown * 0.8, top), (crown, 0.26), (crown * 0.5, 0.34), (0, 0.36)]
    sketch.symmetric([(0.1, top + 0.06), *sides], radius=0.1)
    band = [_sag(crown, 0.24, 0.11), _sag(crown * 0.96, 0.08, 0.1)[::-1]]
    sketch.area(np.concatenate(band), TRIM, radius=0)


def _cap(sketch: _Sketch, rng: np.random.Generator) -> None:
    height, peak = rng.uniform(0.5, 0.65), rng.uniform(0.85, 1.0)
    dome = [(-0.6, 0.25), (-0.58, -0.1), (-0.35, 0.25 - height), (0.1, 0.2 - height)]
    sketch.area([*dome, (0.42, -0.1), (0.48, 0.25)], radius=0.25)
    visor = [(0.1, 0.2), (0.5, 0.12), (peak, 0.3), (peak - 0.1, 0.42), (0.45, 0.3)]
    sketch.area([*visor, (0.1, 0.32)], TRIM if rng.random() < 0.5 else FABRIC, 0.12)
    crown = (-0.12, 0.24 - height)
    for x in (-0.3, 0.22):
        sketch.line([crown, (x, 0.0), (x * 1.1, 0.24)], SHADE, 0.02)
    sketch.disc(crown, 0.04, TRIM)


def _beanie(sketch: _Sketch, rng: np.random.Generator) -> None:
    height = rng.uniform(0.75, 0.95)
    sketch.symmetric([(0.2, 0.2 - height), (0.5, -0.3), (0.52, 0.3)], radius=0.3)
    for x in np.linspace(-0.4, 0.4, 7):
        sketch.line([(x * 0.4, 0.3 - height), (x, 0.2)])
    sketch.symmetric([(0.55, 0.15), (0.54, 0.42)], radius=0.05)
    for x in np.linspace(-0.48, 0.48, 13):
        sketch.line([(x, 0.17), (x, 0.4)])
    if rng.random() < 0.5:
        sketch.disc((0, 0.16 - height), 0.15, TRIM)


def _shoes(sketch: _Sketch, rng: np.random.Generator) -> None:
    """A pair, seen from the side, one behind the other."""
    shaft, lift = rng.uniform(-0.75, -0.3), rng.uniform(0.06, 0.12)
    gap_x, gap_y = rng.uniform(0.0, 0.25), rng.uniform(0.4, 0.55)
    for dx, dy in ((gap_x, -gap_y / 2), (-gap_x, gap_y / 2)):
        _shoe(sketch, np.array([dx, dy + 0.1]), shaft, lift)


def _shoe(sketch: _Sketch, offset: np.ndarray, shaft: float, lift: float) -> None:
    """Toe to the right; `shaft` is the height of the opening, `lift` of the sole."""
    upper = [(-0.6, 0.2), (-0.62, shaft), (-0.2, shaft), (-0.1, shaft / 2 - 0.05)]
    upper += [(0.3, -0.05), (0.58, 0.02), (0.64, 0.2)]
    sketch.area(upper + offset, radius=0.08)
    lining = shaft + 0.05
    opening = [(-0.62, shaft), (-0.2, shaft), (-0.25, lining), (-0.55, lining)]
    sketch.area(opening + offset, INSIDE, radius=0.03)
    sole = [(-0.64, 0.18), (0.66, 0.18), (0.68, 0.2 + lift), (-0.62, 0.2 + lift)]
    sketch.area(sole + offset, TRIM, radius=0.05)
    toe_cap = np.array([(0.36, -0.03), (0.4, 0.08), (0.38, 0.18)])
    sketch.line(toe_cap + offset, width=0.02)
    for share in np.linspace(0, 1, 4):
        x = -0.14 + 0.4 * share
        y = np.interp(x, [-0.14, 0.3], [shaft / 2, -0.05]) + 0.02
        lace = np.array([(x, y), (x - 0.12, y + 0.1)])
        sketch.line(lace + offset, LINE, width=0.03)


_GARMENTS = {
    "dress": _dress,
    "hat": _hat,
    "longsleeve": _longsleeve,
    "outwear": _outwear,
    "pants": _pants,
    "shirt": _shirt,
    "shoes": _shoes,
    "shorts": _shorts,
    "skirt": _skirt,
    "t-shirt": _t_shirt,
}
