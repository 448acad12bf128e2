"""Put images together into one picture for a page."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from PIL import Image, ImageDraw, ImageFont

from bench.report.figures import INK, PAPER
from shared.data.images import encode_thumbnail

GAP_PX = 3
FONT_PX = 22  # pages show most grids at about half their size


def make_grid(
    rows: Mapping[str, Sequence[np.ndarray]], tile_px: int, names: bool = True
) -> str:
    """Return rows of images as one picture, a base64 JPEG.

    Args:
        rows: the images of each row, uint8 (H, W, 3), by the name of the row.
        tile_px: side of the square that an image is scaled to.
        names: write the name of each row to the left of it.
    """
    font = ImageFont.load_default(FONT_PX)
    margin = max(int(font.getlength(name)) for name in rows) + 10 if names else 0
    step = tile_px + GAP_PX
    width = margin + step * max(map(len, rows.values())) - GAP_PX
    picture = Image.new("RGB", (width, step * len(rows) - GAP_PX), PAPER)
    pen = ImageDraw.Draw(picture)
    for number, (name, images) in enumerate(rows.items()):
        top = number * step
        if names:
            middle = (0, top + tile_px // 2)
            pen.text(middle, name, fill=INK, font=font, anchor="lm")
        for column, image in enumerate(images):
            tile = Image.fromarray(image).resize((tile_px, tile_px))
            picture.paste(tile, (margin + column * step, top))
    return encode_thumbnail(np.asarray(picture), max(picture.size))


def overlay(image: np.ndarray, heat: np.ndarray, largest: float) -> np.ndarray:
    """Return an image under a coloured map, uint8 (H, W, 3).

    Args:
        image: uint8 (H, W, 3).
        heat: a map (h, w) of values from 0 to `largest`, which is enlarged.
    """
    shares = Image.fromarray((heat / (largest or 1)).astype(np.float32))
    enlarged = np.asarray(shares.resize(image.shape[1::-1], Image.Resampling.BILINEAR))
    colors = 255 * colormaps["turbo"](enlarged)[..., :3]
    return (0.5 * image + 0.5 * colors).astype(np.uint8)


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Round pixel values from 0 to 255 to uint8."""
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
