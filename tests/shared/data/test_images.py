"""Every kind of file that people keep in an image folder, decoded or refused."""

import base64
import io
import os
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


def png_of(*parts: tuple[bytes, bytes]) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    chunks = [chunk(*part) for part in (*parts, (b"IEND", b""))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def zeros_png(width: int, height: int) -> bytes:
    """A 1-bit PNG of zeros: small on disk, width x height once decoded."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    body = b"".join(rows.compress(row) for _ in range(height)) + rows.flush()
    return png_of((b"IHDR", header), (b"IDAT", body))


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
    array[0] = 65535  # so that 16 bits are needed
    image = Image.fromarray(array)
    assert image.mode == mode
    assert (decode_image(file_of(image, "TIFF"), 6)[1:] == grey).all()


@pytest.mark.parametrize(
    ("highest", "bits"),
    [(255, 8), (1023, 10), (4095, 12), (4096, 14), (16384, None)],  # None: 16, no guess
)
@pytest.mark.parametrize(
    ("kind", "dtype"), [("PNG", np.uint16), ("TIFF", np.uint16), ("TIFF", np.int32)]
)
def test_depth_that_a_file_does_not_declare_is_guessed(highest, bits, kind, dtype):
    values = np.linspace(0, highest, 36).reshape(6, 6).astype(dtype)
    guesses = []
    file = file_of(Image.fromarray(values), kind)
    pixels = decode_image(file, 6, on_guess=guesses.append)
    assert guesses == [bits] * (bits is not None)
    exact = 255.0 * values / (2 ** (bits or 16) - 1)
    assert np.abs(pixels - exact[..., None]).max() <= 0.5


def with_significant_bits(png: bytes, bits: int) -> bytes:
    """Put a chunk sBIT between the header, 33 bytes long, and the rest of a PNG."""
    chunk = b"sBIT" + bytes([bits])
    crc = zlib.crc32(chunk).to_bytes(4, "big")
    return png[:33] + (1).to_bytes(4, "big") + chunk + crc + png[33:]


def test_depth_that_a_file_declares_counts():
    image = Image.fromarray(np.full((6, 6), 200, np.uint16))
    png = io.BytesIO(with_significant_bits(file_of(image).read(), 10))
    tiff = file_of(image, "TIFF", tiffinfo={281: 1023})
    pgm = io.BytesIO(b"P5 6 6 1023\n" + (200).to_bytes(2, "big") * 36)
    for file in (png, tiff, pgm):
        assert (decode_image(file, 6, on_guess=pytest.fail) == 50).all()


def test_a_declared_depth_that_is_too_small_is_not_believed():
    image = Image.fromarray(np.full((6, 6), 4000, np.uint16))
    png = io.BytesIO(with_significant_bits(file_of(image).read(), 8))
    assert (decode_image(png, 6) == round(255 * 4000 / 4095)).all()


@pytest.mark.parametrize(("highest", "fits"), [(4095, False), (65535, True)])
def test_colours_of_few_bits_in_sixteen_do_not_become_black(highest, fits):
    rows = b"".join(b"\0" + highest.to_bytes(2, "big") * 3 * 6 for _ in range(6))
    header = struct.pack(">IIBBBBB", 6, 6, 16, 2, 0, 0, 0)  # 16 bits, RGB
    file = io.BytesIO(png_of((b"IHDR", header), (b"IDAT", zlib.compress(rows))))
    if fits:
        assert (decode_image(file, 6) == 255).all()
        return
    with pytest.raises(BadImage, match="save it with 8 bits"):
        decode_image(file, 6)


@pytest.mark.parametrize(
    ("kind", "value"),
    [(10, b"\xff\xff\xff\xff\0\0\0\0"), (12, struct.pack("<d", 1.5))],
    ids=["-1 / 0", "a width of 1.5"],
)
def test_an_odd_value_in_the_exif_data_is_no_reason_to_refuse(kind, value):
    tags = struct.pack("<HHII", 0x0112, 3, 1, 6) + struct.pack(
        "<HHII", 256, kind, 1, 38
    )
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 2) + tags + bytes(4) + value
    image = Image.new("RGB", (40, 20), BLUE)
    image.paste(RED, (0, 0, 20, 20))
    file = file_of(image, "JPEG", exif=exif)
    with pytest.raises(struct.error):
        ImageOps.exif_transpose(Image.open(file))
    file.seek(0)
    pixels = decode_image(file, 20)
    assert pixels[2, 10, 0] > 200 > 50 > pixels[17, 10, 0]  # red is at the top now


def test_portable_pixmaps_are_read():
    assert (decode_image(io.BytesIO(b"P6 2 2 255\n" + bytes(RED) * 4), 2) == RED).all()


def test_what_a_file_is_that_is_not_read():
    heic = io.BytesIO(b"\0\0\0\x18ftypheic" + bytes(300))
    with pytest.raises(BadImage, match=r"a HEIC photo, .* save it as JPEG or PNG"):
        decode_image(heic, 8)
    text = b"Comment\0\0" + zlib.compress(bytes(2**21))
    header = struct.pack(">IIBBBBB", 6, 6, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(7) * 6)
    file = io.BytesIO(png_of((b"IHDR", header), (b"zTXt", text), (b"IDAT", body)))
    with pytest.raises(BadImage, match="save the image again without its texts"):
        decode_image(file, 8)


def test_a_pipe_among_the_images_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(BadImage, match="it is no regular file"):
        decode_image(tmp_path / "pipe.jpg", 8)


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
