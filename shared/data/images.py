"""One decoder for every image that either side sees: file bytes to uint8 RGB."""

import base64
import io
import struct
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from PIL import ExifTags, Image, ImageOps
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile

# Accepts the largest cameras made (14204x10652), refuses 20,000x20,000.
MAX_PIXELS = 160_000_000
# Named, since some of Pillow's other readers start programs (EPS) or guess (TGA).
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")


Resize = Literal["squeeze", "crop"]
# torchvision's recipe for its weights: the shorter side to 256, then the central 224.
SHORTER_SIDE, CROP = 256, 224


class BadImage(ValueError):
    """This file cannot be used as an image; the message is the reason alone."""


def decode_image(
    source: Path | BinaryIO, size_px: int, resize: Resize = "squeeze"
) -> np.ndarray:
    """Decode one image and make it a square. [D25]

    Args:
        resize: "squeeze" keeps the whole image, as the workshop does; "crop" keeps its
            shape and cuts away its borders, as torchvision does.

    Returns:
        uint8 (H, W, 3) in [0, 255], H = W = `size_px`, red first, EXIF orientation
        applied, bilinear with Pillow's antialiasing. [D18] [D24]

    Raises:
        BadImage: unreadable, empty, truncated, not an image, more than MAX_PIXELS, or
            in a colour mode without a defined range; too long and narrow to crop.
    """
    content = _read(source)
    try:
        with _open(io.BytesIO(content)) as image:
            _require_size(*image.size)
            if isinstance(image, TiffImageFile):
                _allocate(image)
            ImageOps.exif_transpose(image, in_place=True)
            make_square = _crop if resize == "crop" else _squeeze
            return np.array(make_square(_to_rgb(image), size_px))  # (H, W, C)
    except (BadImage, MemoryError):
        raise
    except Image.DecompressionBombError as error:  # WebP's and GIF's readers ask first
        raise BadImage(f"more than {MAX_PIXELS / 1e6:.0f} million pixels") from error
    except Exception as error:  # Pillow raises ten kinds for a broken file
        raise BadImage(f"broken image: {error or type(error).__name__}") from error


def is_upright_photo(file: Path) -> bool:
    """Return whether it is a colour JPEG that no EXIF tag turns."""
    with file.open("rb") as content, _open(content) as image:
        upright = image.getexif().get(ExifTags.Base.Orientation, 1) == 1
        return upright and (image.format, image.mode) == ("JPEG", "RGB")


def encode_thumbnail(image: np.ndarray, size_px: int) -> str:
    """Return a uint8 (H, W, 3) image as base64 JPEG of at most `size_px` a side."""
    picture = Image.fromarray(image)
    picture.thumbnail((size_px, size_px))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()


def _read(source: Path | BinaryIO) -> bytes:
    try:
        content = source.read_bytes() if isinstance(source, Path) else source.read()
    except OSError as error:
        raise BadImage(f"cannot be read: {error.strerror}") from error
    if not content:
        raise BadImage("the file is empty")
    return content


def _open(content: BinaryIO) -> Image.Image:
    """Read the header of an image as Image.open does, but judge no size.

    Image.open warns of what we accept, by a limit that is of the whole process and so
    not ours to change.
    """
    start = content.read(16)
    for name in FORMATS:
        if name not in Image.OPEN:
            Image.init()
        read_header, accepts = Image.OPEN[name]
        if accepts(start) is True:  # else False, or a text that says why
            content.seek(0)
            with suppress(SyntaxError, IndexError, TypeError, struct.error):
                return read_header(content, None)
    raise BadImage(f"not an image ({', '.join(FORMATS)} are read)")


def _allocate(image: TiffImageFile) -> None:
    """Take the memory of a TIFF, whose loader would ask the same limit before it."""
    width, height = (image.tag_v2[tag] for tag in (IMAGEWIDTH, IMAGELENGTH))
    image.im = Image.new(image.mode, (width, height)).im  # not yet turned by EXIF


def _require_size(width: int, height: int) -> None:
    """Judge by the header, before a small file can unfold into gigabytes."""
    if width * height > MAX_PIXELS:
        raise BadImage(
            f"{width}x{height} pixels are {width * height / 1e6:.0f} million, "
            f"{MAX_PIXELS / 1e6:.0f} million are allowed"
        )


def _squeeze(image: Image.Image, size_px: int) -> Image.Image:
    return image.resize((size_px, size_px), Image.Resampling.BILINEAR)


def _crop(image: Image.Image, size_px: int) -> Image.Image:
    """v2.Resize and v2.CenterCrop of torchvision, which round as this does."""
    shorter = size_px * SHORTER_SIDE // CROP
    width, height = (
        shorter * side // min(image.size)  # the longer side is rounded down
        for side in image.size
    )
    _require_size(width, height)
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - size_px) / 2), round((height - size_px) / 2)
    return resized.crop((left, top, left + size_px, top + size_px))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = _sixteen_to_eight_bits(image)
    if image.mode == "F":
        raise BadImage(
            "floating-point pixels have no defined range; store 8 or 16 bits"
        )
    if image.has_transparency_data:
        # Dropping alpha would show whatever colour lies hidden under clear pixels,
        # often black; product photos stand on white.
        canvas = Image.new("RGBA", image.size, "white")
        canvas.alpha_composite(image.convert("RGBA"))
        image = canvas
    return image.convert("RGB")


def _sixteen_to_eight_bits(image: Image.Image) -> Image.Image:
    """Map 0..65535 to 0..255 (65535 / 257 = 255); Pillow's own convert may clip."""
    values = np.asarray(image).astype(np.int64)  # (H, W)
    if values.min() < 0 or values.max() > 65535:
        raise BadImage("32-bit pixels have no defined range; store 8 or 16 bits")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))
