"""Colours, fabrics, backdrops and light: arrays (3, H, W) in [0, 1]."""

import colorsys
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


def draw_colour(rng: np.random.Generator, most_saturated: float = 0.8) -> np.ndarray:
    """(3, 1, 1): any hue; greyish ones are more common, as they are in wardrobes."""
    saturation = most_saturated * rng.beta(1.2, 1.8)
    hue, value = rng.random(), rng.uniform(0.2, 0.95)
    rgb = colorsys.hsv_to_rgb(hue, saturation, value)
    return np.array(rgb, np.float32)[:, None, None]


def _muted(rng: np.random.Generator) -> np.ndarray:
    """A colour for walls and floors."""
    return draw_colour(rng, most_saturated=0.45)


def make_fabric(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
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
    return _mix(draw_colour(rng), draw_colour(rng), share * rng.uniform(0.2, 0.8))


def make_backdrop(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
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
        colour = tuple(_as_bytes(draw_colour(rng)).ravel().tolist())
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


def photograph(
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
