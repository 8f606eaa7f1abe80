"""PDQ of pictures: the field's values, of what people see, within limits on hostile files."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import numpy.typing as npt
import pdqhash
import pytest
from PIL import Image

from federation.local_errors.content import PictureTooLarge, PictureUnreadable
from federation.media.drawing import draw_pixels
from federation.media.pictures import PICTURE_FORMATS, PicturePdq, pdq_of_picture

LANDSCAPE = Image.fromarray(draw_pixels(1, width=240, height=180))


def encode(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, kind, **options)
    return encoded.getvalue()


def pixels_by_formula(height: int = 96, width: int = 128) -> npt.NDArray[np.uint8]:
    """The same on every machine: integers only."""
    y, x = np.mgrid[0:height, 0:width]
    red = (x * x // 40 + y * 2) % 256
    green = (x * y // 30) % 256
    blue = ((x - 60) ** 2 + (y - 50) ** 2) // 30 % 256
    return np.stack([red, green, blue], axis=2).astype(np.uint8)


def png_header(width: int, height: int, depth: int = 8) -> bytes:
    """A PNG file up to where its pixels would begin, in grey."""
    return b"\x89PNG\r\n\x1a\n" + png_chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    )


def png_chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def test_known_picture_has_its_pdq() -> None:
    known = pdq_of_picture(encode(Image.fromarray(pixels_by_formula())))
    assert known.pdq.hex() == "4aaad5752ad552aab5534a5596aa695e92d5652ada5291b5a66a5596ab252cae"
    assert known.quality == 100


def test_bits_are_in_the_order_of_threatexchange() -> None:
    pixels = np.asarray(LANDSCAPE)
    vector, quality = pdqhash.compute(pixels)
    # As threatexchange writes its hex: the vector's first bit is the number's highest.
    number = int("".join(str(bit) for bit in vector), 2)
    assert pdq_of_picture(encode(LANDSCAPE)) == PicturePdq(number.to_bytes(32), quality)


@pytest.mark.parametrize("kind", PICTURE_FORMATS)
def test_every_accepted_kind_gives_nearly_the_same_pdq(kind: str) -> None:
    original = pdq_of_picture(encode(LANDSCAPE))
    copy = pdq_of_picture(encode(LANDSCAPE, kind))
    assert distance(copy, original) <= 10


@pytest.mark.parametrize("kind", ["TIFF", "PPM", "ICO", "TGA", "PCX", "EPS", "PDF", "AVIF"])
def test_kinds_not_on_the_list_are_refused(kind: str) -> None:
    with pytest.raises(PictureUnreadable):
        pdq_of_picture(encode(LANDSCAPE, kind))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_picture_is_hashed_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = encode(LANDSCAPE, exif=exif.tobytes())
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    shown = LANDSCAPE.transpose(turns[orientation]) if orientation in turns else LANDSCAPE
    assert pdq_of_picture(stored) == pdq_of_picture(encode(shown))


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"\xff" * 99])
def test_broken_exif_is_as_none(exif: bytes) -> None:
    assert pdq_of_picture(encode(LANDSCAPE, exif=exif)) == pdq_of_picture(encode(LANDSCAPE))


def test_transparent_picture_is_hashed_as_seen_on_a_white_page() -> None:
    grey = LANDSCAPE.convert("L")
    # All black, and the picture is in the transparency only: a viewer shows it all the same.
    hidden = Image.new("RGBA", grey.size, "black")
    hidden.putalpha(Image.eval(grey, lambda level: 255 - level))
    assert pdq_of_picture(encode(hidden)) == pdq_of_picture(encode(grey))


def test_opaque_alpha_changes_nothing() -> None:
    opaque = LANDSCAPE.convert("RGBA")
    assert pdq_of_picture(encode(opaque)) == pdq_of_picture(encode(LANDSCAPE))


def test_palette_is_hashed_as_its_colours() -> None:
    palette = LANDSCAPE.quantize(32)
    expected = pdq_of_picture(encode(palette.convert("RGB")))
    assert pdq_of_picture(encode(palette)) == expected
    assert pdq_of_picture(encode(palette, "GIF")) == expected


def test_sixteen_bit_greys_keep_their_detail() -> None:
    grey = LANDSCAPE.convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    assert pdq_of_picture(encode(deep)) == pdq_of_picture(encode(grey))


def test_print_colours_are_read() -> None:
    cmyk = pdq_of_picture(encode(LANDSCAPE.convert("CMYK"), "JPEG"))
    assert distance(cmyk, pdq_of_picture(encode(LANDSCAPE))) <= 10


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "MPO"])
def test_first_frame_counts(kind: str) -> None:
    other = Image.fromarray(draw_pixels(2, width=240, height=180))
    film = pdq_of_picture(encode(LANDSCAPE, kind, save_all=True, append_images=[other]))
    assert distance(film, pdq_of_picture(encode(LANDSCAPE))) <= 10


@pytest.mark.parametrize("size", [(1, 1), (4, 400), (400, 4)])
def test_picture_too_small_to_tell_has_quality_zero(size: tuple[int, int]) -> None:
    assert pdq_of_picture(encode(LANDSCAPE.resize(size))) == PicturePdq(bytes(32), 0)


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"\xff\xd8\xff", b"a picture" * 99]
)
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(PictureUnreadable):
        pdq_of_picture(content)


@pytest.mark.parametrize("kind", PICTURE_FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_truncated_picture_is_refused(kind: str, share: float) -> None:
    whole = encode(LANDSCAPE, kind)
    with pytest.raises(PictureUnreadable):
        pdq_of_picture(whole[: int(len(whole) * share)])


def test_file_over_the_limit_is_refused_undecoded() -> None:
    picture = encode(LANDSCAPE)
    with pytest.raises(PictureTooLarge):
        pdq_of_picture(picture, file_bytes_max=len(picture) - 1)
    assert pdq_of_picture(picture, file_bytes_max=len(picture)).quality > 50


def test_pixels_at_the_limit_pass_and_one_row_more_does_not() -> None:
    picture = encode(LANDSCAPE)
    assert pdq_of_picture(picture, pixels_max=240 * 180).quality > 50
    with pytest.raises(PictureTooLarge):
        pdq_of_picture(picture, pixels_max=240 * 179)


def test_size_in_the_header_is_enough_to_refuse_a_bomb() -> None:
    extended_webp = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\xff\x00" + b"\xff" * 3
    jpeg = bytearray(encode(LANDSCAPE, "JPEG"))
    start_of_frame = jpeg.index(b"\xff\xc0")
    jpeg[start_of_frame + 5 : start_of_frame + 9] = b"\xff\xff\xff\xff"
    bitmap = bytearray(encode(LANDSCAPE, "BMP"))
    bitmap[18:26] = struct.pack("<II", 60_000, 60_000)
    gif = bytearray(encode(LANDSCAPE, "GIF"))
    gif[6:10] = b"\xff\xff\xff\xff"
    for bomb in (
        png_header(60_000, 60_000) + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b""),
        b"RIFF" + struct.pack("<I", len(extended_webp)) + extended_webp,
        bytes(jpeg),
        bytes(bitmap),
        bytes(gif),
    ):
        with pytest.raises(PictureTooLarge):
            pdq_of_picture(bomb)


def test_fifty_kilobytes_that_unpack_to_a_gigabyte_are_refused() -> None:
    side = 20_000
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    bomb = png_header(side, side, depth=1) + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")
    assert len(bomb) < 60_000
    with pytest.raises(PictureTooLarge):
        pdq_of_picture(bomb)


def test_values_do_not_show_in_the_repr() -> None:
    assert repr(pdq_of_picture(encode(LANDSCAPE))) == "PicturePdq(quality=100)"


def distance(one: PicturePdq, other: PicturePdq) -> int:
    return (int.from_bytes(one.pdq) ^ int.from_bytes(other.pdq)).bit_count()
