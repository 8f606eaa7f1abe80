"""Any bytes, and real pictures with wounds, end in a PDQ or in an error of the sender's fault."""

from __future__ import annotations

import io

from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from federation.errors import ProtocolError
from federation.media.drawing import draw_pixels
from federation.media.pictures import PICTURE_FORMATS, pdq_of_picture
from federation.media.replies import Outcome, decode_reply, encode_reply

# Small, so that an example takes milliseconds and a mutated header cannot take a second.
PIXELS_MAX = 256 * 256


def encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, kind, **options)
    return encoded.getvalue()


def whole_pictures() -> list[bytes]:
    """Of each kind one, and of the rarer branches in the decoders one each."""
    picture = Image.fromarray(draw_pixels(1, width=48, height=32))
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        *(encode(picture, kind) for kind in PICTURE_FORMATS),
        encode(picture, "JPEG", progressive=True, exif=exif.tobytes()),
        encode(picture.convert("CMYK"), "JPEG"),
        encode(picture, "MPO", save_all=True, append_images=[picture]),
        encode(picture.quantize(16), "PNG", transparency=3, exif=exif.tobytes()),
        encode(picture.convert("LA"), "PNG"),
        encode(picture.convert("RGBA"), "WEBP", lossless=True, exif=exif.tobytes()),
        encode(picture, "WEBP", save_all=True, append_images=[picture]),
        encode(picture, "GIF", save_all=True, append_images=[picture.rotate(90)]),
        encode(picture.convert("1"), "BMP"),
    ]


WHOLE = whole_pictures()


@st.composite
def wounded_pictures(draw: st.DrawFn) -> bytes:
    """Draw a real picture, then overwrite, double, cut out or cut off parts of it."""
    picture = bytearray(draw(st.sampled_from(WHOLE)))
    for _ in range(draw(st.integers(1, 6))):
        # Headers are a small part of a picture and where the parsers are, so half go there.
        reach = draw(st.sampled_from((64, len(picture))))
        start = draw(st.integers(0, reach))
        length = draw(st.integers(0, 16))
        wound = draw(st.sampled_from(("overwrite", "double", "cut out", "cut off")))
        if wound == "overwrite":
            picture[start : start + length] = draw(st.binary(min_size=length, max_size=length))
        elif wound == "double":
            picture[start:start] = picture[start : start + length]
        elif wound == "cut out":
            del picture[start : start + length]
        else:
            del picture[start + reach // 2 :]
    return bytes(picture)


def check(content: bytes) -> None:
    try:
        hashed = pdq_of_picture(content, pixels_max=PIXELS_MAX)
    except ProtocolError:
        return
    assert len(hashed.pdq) == 32
    assert 0 <= hashed.quality <= 100


@given(st.binary(max_size=400))
@example(b"")
@example(b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(10))
def test_any_bytes_end_in_a_pdq_or_a_protocol_error(content: bytes) -> None:
    check(content)


@given(
    st.sampled_from([picture[:12] for picture in WHOLE]),
    st.binary(max_size=400),
)
def test_any_bytes_after_a_true_beginning(beginning: bytes, rest: bytes) -> None:
    check(beginning + rest)


@given(wounded_pictures())
def test_wounded_pictures_end_in_a_pdq_or_a_protocol_error(content: bytes) -> None:
    check(content)


@given(st.binary(max_size=40) | st.binary(min_size=34, max_size=34))
def test_any_reply_decodes_or_is_refused(reply: bytes) -> None:
    try:
        outcome, quality, pdq = decode_reply(reply)
    except ValueError:
        return
    assert encode_reply(outcome, quality=quality, pdq=pdq) == reply


@given(st.sampled_from(Outcome), st.integers(0, 100), st.binary(min_size=32, max_size=32))
def test_replies_come_back_as_they_were_sent(outcome: Outcome, quality: int, pdq: bytes) -> None:
    reply = encode_reply(outcome, quality=quality, pdq=pdq)
    assert decode_reply(reply) == (outcome, quality, pdq)
