"""One decoder for every image that either side sees: file bytes to uint8 RGB."""

import base64
import io
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    IMAGELENGTH,
    IMAGEWIDTH,
    TiffImageFile,
)

# Accepts the largest cameras made (14204x10652), refuses 20,000x20,000.
MAX_PIXELS = 160_000_000
# Named, since some of Pillow's other readers start programs (EPS) or guess (TGA).
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
# How each value of EXIF's orientation is turned upright (Exif 2.3, table 4).
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
DEPTHS = (8, 10, 12, 14, 16)  # bits of a grey value in cameras and scanners
MAX_SAMPLE_VALUE = 281  # TIFF's tag for the highest value in use

Resize = Literal["squeeze", "crop"]
# torchvision's recipe for its weights: the shorter side to 256, then the central 224.
SHORTER_SIDE, CROP = 256, 224


class BadImage(ValueError):
    """This file cannot be used as an image; the message is the reason alone."""


def decode_image(
    source: Path | BinaryIO,
    size_px: int,
    resize: Resize = "squeeze",
    on_guess: Callable[[int], object] = lambda _: None,
) -> np.ndarray:
    """Decode one image and make it a square. [D25]

    Args:
        resize: "squeeze" keeps the whole image, as the workshop does; "crop" keeps its
            shape and cuts away its borders, as torchvision does.
        on_guess: called with the bits of a grey value if the file, which stores 16 or
            32 of them, does not say how many count.

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
            bits = _declared_bits(content, image)
            if isinstance(image, TiffImageFile):
                _allocate(image)
            upright = _turn_upright(image)
            _require_bright_bytes(content, image)
            make_square = _crop if resize == "crop" else _squeeze
            rgb = _to_rgb(upright, bits, on_guess)
            return np.array(make_square(rgb, size_px))  # (H, W, C)
    except (BadImage, MemoryError):
        raise
    except Image.DecompressionBombError as error:  # WebP's and GIF's readers ask first
        raise BadImage(f"more than {MAX_PIXELS / 1e6:.0f} million pixels") from error
    except Exception as error:  # Pillow raises ten kinds for a broken file
        if "MAX_TEXT_CHUNK" in str(error) or "MAX_TEXT_MEMORY" in str(error):
            raise BadImage(
                "a text inside the PNG unfolds to more than a megabyte; save the image "
                "again without its texts"
            ) from error
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
        if isinstance(source, Path) and source.exists() and not source.is_file():
            what = "a folder" if source.is_dir() else "no regular file"
            raise BadImage(f"cannot be read: it is {what}")
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
    if start[4:8] == b"ftyp" and start[8:12] in HEIC_BRANDS:
        raise BadImage("a HEIC photo, which is not read here; save it as JPEG or PNG")
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


def _turn_upright(image: Image.Image) -> Image.Image:
    """Turn an image as its EXIF data say.

    Pillow's exif_transpose also writes the data anew, and fails at an odd value.
    """
    image.load()  # turns a TIFF
    turn = UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation))
    return image if turn is None else image.transpose(turn)


def _declared_bits(content: bytes, image: Image.Image) -> int | None:
    """Return how many bits of a grey value count, if the file says so."""
    if isinstance(image, TiffImageFile):
        highest = image.tag_v2.get(MAX_SAMPLE_VALUE, (0,))[0]
        stored = image.tag_v2.get(BITSPERSAMPLE, (1,))[0]
        return highest.bit_length() or (stored if stored in (10, 12, 14) else None)
    if image.format == "PNG":
        # The chunk of significant bits comes before the pixels.
        found = content.find(b"sBIT", 0, content.find(b"IDAT"))
        return content[found + 4] if found > 0 else None
    return 16 if image.format == "PPM" else None  # Pillow scales by the highest value


def _require_bright_bytes(content: bytes, image: Image.Image) -> None:
    """Refuse colours that would come out nearly black.

    Pillow keeps the upper byte of a colour that is stored in 16 bits.
    """
    if isinstance(image, TiffImageFile):
        stored = max(image.tag_v2.get(BITSPERSAMPLE, (1,)))
    else:
        stored = content[24] if image.format == "PNG" else 8
    if stored == 16 and image.mode in ("RGB", "RGBA", "LA"):
        counts = image.histogram()  # 256 for each channel
        channels = 1 if image.mode == "LA" else 3
        if not any(any(counts[256 * c + 64 : 256 * c + 256]) for c in range(channels)):
            raise BadImage(
                "its colours are stored in 16 bits, of which it uses 14 or fewer; save "
                "it with 8 bits"
            )


def _to_rgb(
    image: Image.Image, bits: int | None, on_guess: Callable[[int], object]
) -> Image.Image:
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = _to_eight_bits(image, bits, on_guess)
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


def _to_eight_bits(
    image: Image.Image, bits: int | None, on_guess: Callable[[int], object]
) -> Image.Image:
    """Scale grey values to 0..255; Pillow's own convert may clip them."""
    values = np.asarray(image).astype(np.int64)  # (H, W)
    highest = int(values.max())
    if values.min() < 0 or highest >= 2 ** max(DEPTHS):
        raise BadImage("32-bit pixels have no defined range; store 8 or 16 bits")
    if bits is None or highest >= 2**bits:
        bits = next(depth for depth in DEPTHS if highest < 2**depth)
        if bits < max(DEPTHS):
            on_guess(bits)
    top = 2**bits - 1
    return Image.fromarray(((510 * values + top) // (2 * top)).astype(np.uint8))
