"""Every kind of file that people keep in an image folder, decoded or refused."""

import base64
import io
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from shared.data.images import (
    MAX_PIXELS,
    BadImage,
    decode_image,
    encode_thumbnail,
    is_upright_photo,
)

ROOT = Path(__file__).parents[3]
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def file_of(image: Image.Image, kind: str = "PNG", **options) -> io.BytesIO:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    buffer.seek(0)
    return buffer


def zeros_png(width: int, height: int) -> bytes:
    """A 1-bit PNG of zeros: small on disk, width x height once decoded."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    body = b"".join(rows.compress(row) for _ in range(height)) + rows.flush()
    parts = [(b"IHDR", header), (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def halves(mode: str, left, right) -> Image.Image:
    image = Image.new(mode, (8, 8), left)
    image.paste(right, (4, 0, 8, 8))
    return image


def palette(**info) -> Image.Image:
    image = halves("P", 0, 1)
    image.putpalette([*RED, *BLUE])
    image.info.update(info)
    return image


@pytest.mark.parametrize(
    ("image", "left", "right"),
    [
        pytest.param(halves("RGB", RED, BLUE), RED, BLUE, id="RGB"),
        pytest.param(halves("L", 10, 200), (10,) * 3, (200,) * 3, id="L"),
        pytest.param(halves("1", 0, 1), (0,) * 3, WHITE, id="1-bit"),
        pytest.param(palette(), RED, BLUE, id="palette"),
        pytest.param(palette(transparency=1), RED, WHITE, id="palette-transparent"),
        pytest.param(halves("LA", (9, 255), (9, 0)), (9,) * 3, WHITE, id="LA"),
        pytest.param(halves("RGBA", (*RED, 255), (0,) * 4), RED, WHITE, id="RGBA"),
        pytest.param(
            halves("RGBA", (0, 0, 0, 128), (*BLUE, 255)), (127,) * 3, BLUE, id="half"
        ),
    ],
)
def test_every_mode_becomes_rgb(image, left, right):
    pixels = decode_image(file_of(image), 8)
    assert pixels.shape == (8, 8, 3)
    assert pixels.dtype == np.uint8
    assert tuple(pixels[4, 0]) == left
    assert tuple(pixels[4, 7]) == right


@pytest.mark.parametrize("mode", ["I;16", "I"])
@pytest.mark.parametrize(
    ("value", "grey"), [(65535, 255), (257 * 100, 100), (300, 1), (0, 0)]
)
def test_sixteen_bits_are_scaled_and_not_clipped(mode, value, grey):
    array = np.full((6, 6), value, np.uint16 if mode == "I;16" else np.int32)
    image = Image.fromarray(array)
    assert image.mode == mode
    assert (decode_image(file_of(image, "TIFF"), 6) == grey).all()


@pytest.mark.parametrize(("value", "dtype"), [(70000, np.int32), (0.5, np.float32)])
def test_pixels_without_a_defined_range_are_refused(value, dtype):
    image = Image.fromarray(np.full((6, 6), value, dtype))
    with pytest.raises(BadImage, match="no defined range"):
        decode_image(file_of(image, "TIFF"), 6)


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk(kind):
    # Pillow writes CMYK JPEGs as Adobe does, inverted; TIFFs are not.
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    assert np.abs(decode_image(file_of(image, kind), 16).astype(int) - RED).max() < 6


# Where the left-upper quarter of the stored picture appears, (row, column).
@pytest.mark.parametrize(
    ("orientation", "row", "column"),
    [
        (1, 0, 0),
        (2, 0, 1),
        (3, 1, 1),
        (4, 1, 0),
        (5, 0, 0),
        (6, 0, 1),
        (7, 1, 1),
        (8, 1, 0),
    ],
)
def test_exif_orientation_is_applied(orientation, row, column):
    image = Image.new("RGB", (40, 20), BLUE)
    image.paste(RED, (0, 0, 20, 10))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = file_of(image, "JPEG", exif=exif, quality=95, subsampling=0)
    pixels = decode_image(file, 20)
    quarters = pixels.reshape(2, 10, 2, 10, 3).mean((1, 3))  # (row, column, C)
    assert np.unravel_index(quarters[..., 0].argmax(), (2, 2)) == (row, column)


@pytest.mark.parametrize(
    ("kind", "mode", "orientation", "expected"),
    [
        *(("JPEG", "RGB", 1, True), ("JPEG", "RGB", 6, False)),
        *(("JPEG", "L", 1, False), ("PNG", "RGB", 1, False)),
    ],
)
def test_upright_photo(tmp_path, kind, mode, orientation, expected):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new(mode, (4, 2)).save(tmp_path / "photo", kind, exif=exif)
    assert is_upright_photo(tmp_path / "photo") == expected


def test_long_images_are_squeezed_without_turning():
    image = Image.new("RGB", (300, 50), GREEN)
    image.paste(RED, (0, 0, 150, 50))
    pixels = decode_image(file_of(image), 32)
    assert (pixels[:, :15] == RED).all()
    assert (pixels[:, 17:] == GREEN).all()


def test_plain_pillow_gives_the_same_pixels_of_real_photos(real_data):
    photos = sorted((real_data / "test").glob("*/*.jpg"))
    photos = photos[:: len(photos) // 30]
    assert len(photos) > 20
    for photo in photos:
        with Image.open(photo) as image:
            expected = image.convert("RGB").resize((224, 224), Image.BILINEAR)
        np.testing.assert_array_equal(decode_image(photo, 224), np.asarray(expected))


# Runs PyTorch in a process of its own.
CROP_WITH_TORCHVISION = """
import sys
from pathlib import Path
import numpy as np
from pytorch_impl.differences.switches import READERS

*photos, out = sys.argv[1:]
np.save(out, [READERS["D25"](Path(photo), 96) for photo in photos])
"""


def test_cropping_gives_torchvision_s_pixels_of_real_photos(real_data, tmp_path):
    """[D25] Photos that no EXIF tag turns, upright ones and wide ones."""
    found = sorted((real_data / "test").glob("*/*.jpg"))
    photos = [photo for photo in found[:: len(found) // 30] if is_upright_photo(photo)]
    for size in ((90, 150), (151, 96), (109, 109)):  # smaller than the recipe's, odd
        photos.append(tmp_path / f"{size[0]}.jpg")
        Image.effect_noise(size, 80).convert("RGB").save(photos[-1])
    assert len(photos) > 20
    out = tmp_path / "cropped.npy"
    arguments = [sys.executable, "-c", CROP_WITH_TORCHVISION, *photos, out]
    subprocess.run(arguments, cwd=ROOT, check=True)
    for photo, expected in zip(photos, np.load(out), strict=True):
        np.testing.assert_array_equal(decode_image(photo, 96, "crop"), expected)


def test_cropping_keeps_the_shape_and_loses_the_border():
    image = Image.new("RGB", (512, 256), RED)
    image.paste(GREEN, (128, 0, 384, 256))  # the central square
    assert (decode_image(file_of(image), 224, "crop") == GREEN).all()
    squeezed = decode_image(file_of(image), 224)
    assert (squeezed[:, 0] == RED).all()


def test_an_image_too_long_to_be_cropped_is_refused_before_it_unfolds():
    content = zeros_png(1_000_000, 1)
    assert decode_image(io.BytesIO(content), 32).shape == (32, 32, 3)
    with pytest.raises(BadImage, match=r"36000000x36 pixels are"):
        decode_image(io.BytesIO(content), 32, "crop")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"this is text, named .jpg", "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        (file_of(Image.effect_noise((90, 90), 50), "JPEG").read()[:-900], "truncated"),
        (file_of(Image.effect_noise((90, 90), 50)).read()[:-900], "broken image"),
    ],
    ids=["empty", "text", "postscript", "truncated JPEG", "truncated PNG"],
)
def test_bad_files_are_refused_with_the_reason(tmp_path, content, reason):
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(BadImage, match=reason):
        decode_image(path, 32)


def test_a_folder_and_a_missing_file_are_refused(tmp_path):
    for path in (tmp_path, tmp_path / "gone.jpg"):
        with pytest.raises(BadImage, match="cannot be read: "):
            decode_image(path, 32)


def test_a_bomb_is_refused_by_its_header_and_without_a_warning():
    bomb = zeros_png(20_000, 20_000)
    assert len(bomb) < 100_000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadImage, match=r"20000x20000 pixels.* 160 million are"):
            decode_image(io.BytesIO(bomb), 32)


def test_a_canvas_that_a_header_only_claims_is_refused():
    """WebP's reader takes memory for it before anybody can ask for its size."""
    content = bytearray(file_of(Image.new("RGBA", (9, 9)), "WEBP", exif=b"x").read())
    canvas = content.index(b"VP8X") + 12
    content[canvas : canvas + 6] = (19_999).to_bytes(3, "little") * 2
    with pytest.raises(BadImage, match="more than 160 million pixels"):
        decode_image(io.BytesIO(content), 32)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_hundred_megapixel_photo_is_accepted(kind):
    width, height = 11_648, 8_736
    assert 100e6 < width * height < MAX_PIXELS
    if kind == "PNG":
        file = io.BytesIO(zeros_png(width, height))
    else:
        file = file_of(Image.new("1", (width, height)), "TIFF")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = decode_image(file, 32)
    assert (pixels == 0).all()


def test_the_limit_of_other_users_of_pillow_is_left_alone():
    assert Image.MAX_IMAGE_PIXELS == 2**30 // 4 // 3
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(zeros_png(20_000, 20_000)))


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate"])
def test_tiff_gives_the_same_pixels_as_plain_pillow(mode, compression):
    picture = Image.effect_noise((40, 20), 90).convert("RGB").convert(mode)
    exif = Image.Exif()
    exif[0x0112] = 6
    file = file_of(picture, "TIFF", compression=compression, exif=exif)
    with Image.open(file) as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    expected = upright.resize((8, 8), Image.BILINEAR)
    file.seek(0)
    np.testing.assert_array_equal(decode_image(file, 8), np.asarray(expected))


def test_thumbnail_is_a_small_jpeg_of_the_same_picture(tmp_path: Path):
    image = np.zeros((60, 30, 3), np.uint8)
    image[:30] = RED
    path = tmp_path / "thumbnail"
    path.write_bytes(base64.b64decode(encode_thumbnail(image, 20)))
    with Image.open(path) as small:
        assert (small.format, small.size) == ("JPEG", (10, 20))
        assert np.abs(np.asarray(small)[3].astype(int) - RED).max() < 12
