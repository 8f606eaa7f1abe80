"""Drawn pictures behave as photographs do: copies stay near, other pictures stay far."""

from __future__ import annotations

import io
from itertools import combinations, starmap

import pytest
from PIL import Image

from federation.media.drawing import draw_picture, resave
from federation.media.pictures import PicturePdq, pdq_of_picture

# The field's match threshold and the quality that Meta calls reliable.
DISTANCE_MAX = 31
QUALITY_MIN = 80


def distance(one: PicturePdq, other: PicturePdq) -> int:
    return (int.from_bytes(one.pdq) ^ int.from_bytes(other.pdq)).bit_count()


@pytest.fixture(scope="module")
def drawings() -> list[bytes]:
    return [draw_picture(seed, width=512, height=384) for seed in range(12)]


def test_same_seed_draws_the_same_bytes(drawings: list[bytes]) -> None:
    assert draw_picture(3, width=512, height=384) == drawings[3]


def test_size_is_as_asked_for() -> None:
    with Image.open(io.BytesIO(draw_picture(1))) as picture:
        assert (picture.format, picture.size, picture.mode) == ("JPEG", (1024, 768), "RGB")
    with Image.open(io.BytesIO(draw_picture(1, width=16, height=16))) as picture:
        assert picture.size == (16, 16)


def test_drawings_are_detailed_and_far_from_each_other(drawings: list[bytes]) -> None:
    hashed = [pdq_of_picture(drawing) for drawing in drawings]
    assert min(pdq.quality for pdq in hashed) >= QUALITY_MIN
    assert min(starmap(distance, combinations(hashed, 2))) > DISTANCE_MAX


def test_copies_stay_near(drawings: list[bytes]) -> None:
    for drawing in drawings:
        original, copy = pdq_of_picture(drawing), pdq_of_picture(resave(drawing))
        assert distance(original, copy) <= DISTANCE_MAX
        assert copy.quality >= QUALITY_MIN


def test_copy_is_smaller_in_pixels_and_bytes(drawings: list[bytes]) -> None:
    copy = resave(drawings[0], scale=0.5, jpeg_quality=40)
    with Image.open(io.BytesIO(copy)) as picture:
        assert picture.size == (256, 192)
    assert len(copy) < len(drawings[0]) / 4


def test_a_copy_is_made_of_what_a_viewer_shows(drawings: list[bytes]) -> None:
    with Image.open(io.BytesIO(drawings[0])) as upright:
        exif = Image.Exif()
        exif[0x0112] = 6  # shown after a quarter turn
        turned, clear = io.BytesIO(), io.BytesIO()
        upright.save(turned, "JPEG", quality=95, exif=exif)
        layer = upright.convert("RGBA")
        layer.putalpha(Image.linear_gradient("L").resize(upright.size))
        layer.save(clear, "PNG")
    for picture in (turned.getvalue(), clear.getvalue()):
        assert distance(pdq_of_picture(picture), pdq_of_picture(resave(picture))) <= DISTANCE_MAX
