"""Colours, fabrics, backdrops and light: arrays (3, H, W) in [0, 1]."""

import colorsys
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


def _draw_colour(rng: np.random.Generator, most_saturated: float) -> np.ndarray:
    """(3, 1, 1): any hue; greyish ones are more common, as they are in wardrobes."""
    saturation = most_saturated * rng.beta(1.2, 1.8)
    rgb = colorsys.hsv_to_rgb(rng.random(), saturation, rng.uniform(0.2, 0.95))
    return np.array(rgb, np.float32)[:, None, None]


def _two_colours(
    share: np.ndarray, rng: np.random.Generator, most_saturated: float
) -> np.ndarray:
    """Two colours, mixed by the share (H, W) of the second."""
    first, second = (_draw_colour(rng, most_saturated) for _ in range(2))
    return first + (second - first) * share.astype(np.float32)


def _make_fabric(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """Two colours mixed by a repeating pattern at any angle."""
    period_px, angle = rng.uniform(7, 26), rng.uniform(0, math.pi)
    y, x = np.mgrid[:height, :width] * (2 * math.pi / period_px)
    u = np.sin(x * math.cos(angle) + y * math.sin(angle))
    v = np.sin(y * math.cos(angle) - x * math.sin(angle))
    patterns = (0 * u, 4 * u, (u > 0) + (v > 0) - 0.5, 3 * (u + v - 1.2), u * v)
    share = np.clip(patterns[rng.integers(len(patterns))], 0, 1)
    return _two_colours(share * rng.uniform(0.2, 0.8), rng, most_saturated=0.8)


def _make_backdrop(width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """A wall, planks, tiles, a rug, or things lying about, in muted colours."""
    y, x = np.mgrid[:height, :width]
    tile_px, plank_px = rng.integers(30, 80, 2)
    tones = rng.uniform(0, 0.5, width // plank_px + 1)
    shares = (
        0.6 * y / height,
        tones[x // plank_px] + 0.1 * _smooth_noise(width, height, width // 4, 5, rng),
        0.7 * ((x % tile_px < 3) | (y % tile_px < 3)),
        0.4 + 0.15 * _smooth_noise(width, height, width // 3, height // 3, rng),
    )
    kind = rng.integers(len(shares) + 1)
    share = np.clip(shares[kind % len(shares)], 0, 1)
    backdrop = _two_colours(share, rng, most_saturated=0.45)
    return _with_clutter(backdrop, rng) if kind == len(shares) else backdrop


def _with_clutter(backdrop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The backdrop with boxes, discs and cables on it, out of focus."""
    image = _to_image(backdrop)
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(4, 10)):
        x, y = rng.uniform(0, image.size)
        across, down = rng.uniform(15, 90, 2)
        shape = (draw.rectangle, draw.ellipse, draw.line)[rng.integers(3)]
        colour = tuple(_as_bytes(_draw_colour(rng, 0.8)).ravel().tolist())
        shape([x, y, x + across, y + down], colour, width=4)
    blurred = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2)))
    return np.asarray(blurred, np.float32).transpose(2, 0, 1) / 255


def _smooth_noise(
    width: int, height: int, columns: int, rows: int, rng: np.random.Generator
) -> np.ndarray:
    """(H, W), about standard normal: `rows` x `columns` random values, interpolated."""
    coarse, size = rng.standard_normal((rows, columns), np.float32), (width, height)
    return np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))


def _as_bytes(values: np.ndarray) -> np.ndarray:
    return (np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8)


def _to_image(picture: np.ndarray) -> Image.Image:
    """(3, H, W) in [0, 1] to an RGB image."""
    return Image.fromarray(_as_bytes(picture).transpose(1, 2, 0).copy())


def photograph(layers: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Colour the layers (4, H, W) of a garment, lay it somewhere, and light it."""
    fabric_share, trim_share, line_share, cover = layers
    height, width = cover.shape
    backdrop = _make_backdrop(width, height, rng)
    fabric, trim = _make_fabric(width, height, rng), _draw_colour(rng, 0.8)
    # Buttons must be seen on any fabric: dark ones on light cloth and the reverse.
    line = 0.85 if fabric.mean() < 0.45 else 0.15
    cloth = fabric_share * fabric + trim_share * trim + line_share * line
    # Light from one side: what cloth gains by it, and what is left beside it.
    blurred = Image.fromarray(_as_bytes(cover)).filter(ImageFilter.GaussianBlur(6))
    soft = np.asarray(blurred, np.float32) / 255
    behind = np.roll(soft, rng.integers(2, 7, 2), (0, 1))
    relief = 1 + 0.5 * (soft - behind) + 0.07 * _smooth_noise(width, height, 7, 7, rng)
    shadow = 1 - rng.uniform(0.2, 0.6) * behind
    picture = backdrop * (1 - cover) * shadow + cloth * relief
    light = 1 + 0.1 * _smooth_noise(width, height, 2, 2, rng)
    noise = rng.standard_normal((height, width), np.float32) * rng.uniform(0.005, 0.025)
    blur = ImageFilter.GaussianBlur(rng.uniform(0, 0.8))
    return _to_image(picture * light + noise).filter(blur)
