"""Frames of real small videos: which are taken, that they are the pictures, and what is refused."""

from __future__ import annotations

import io

import numpy as np
import pdqhash
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.local_errors.content import VideoTooLarge, VideoUnreadable
from federation.media.filming import Pixels, encode_film, film
from federation.media.videos import frames_of_video

LOSSLESS = {"crf": "0", "preset": "ultrafast"}
SCENES = list(film(1, 4, width=160, height=96, scene_seconds=1))
SMALL = encode_film(SCENES, options=LOSSLESS)
CONTAINERS = {"mp4": "mov", "matroska": "matroska", "avi": "avi", "mpegts": "mpegts"}


def frames_of(content: bytes, demuxer: str = "mov", **limits: int) -> list[tuple[bytes, int, int]]:
    found = frames_of_video(io.BytesIO(content), demuxer, **limits)
    return [(each.pdq, each.quality, each.at_ms) for each in found]


def bits_between(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


def pdq_of(pixels: Pixels) -> bytes:
    return np.packbits(pdqhash.compute(np.ascontiguousarray(pixels))[0]).tobytes()


@pytest.mark.parametrize("container", CONTAINERS)
def test_one_frame_a_second_is_taken_at_its_time(container: str) -> None:
    codec = "mpeg4" if container == "avi" else "libx264"
    content = encode_film(SCENES, container=container, codec=codec)
    frames = frames_of(content, CONTAINERS[container])
    assert [0, 1_000, 2_000, 3_000] == [at_ms for _, _, at_ms in frames]
    for number, (pdq, _, _) in enumerate(frames):
        assert bits_between(pdq, pdq_of(SCENES[10 * number])) <= 31


def test_frames_are_the_pictures_at_full_size() -> None:
    # What is left between them is the colours' way to YUV and back.
    for number, (pdq, quality, _) in enumerate(frames_of(SMALL)):
        assert bits_between(pdq, pdq_of(SCENES[10 * number])) <= 10
        assert quality >= 50


@pytest.mark.parametrize(
    ("rate", "expected"), [(1, [0, 1_000, 2_000]), (240, [0]), (2, [0, 1_000])]
)
def test_rate_is_the_files_unless_no_camera_has_it(rate: int, expected: list[int]) -> None:
    content = encode_film(SCENES[:3], frame_rate=rate, options=LOSSLESS)
    assert expected == [at_ms for _, _, at_ms in frames_of(content)]


def turned(content: bytes, matrix: tuple[int, int, int, int]) -> bytes:
    """The same film with another display matrix in its track header."""

    def nine(a: int, b: int, c: int, d: int) -> bytes:
        numbers = (a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 0x40000000)
        return b"".join(number.to_bytes(4, signed=True) for number in numbers)

    at = content.index(nine(1, 0, 0, 1), content.index(b"tkhd"))
    return content[:at] + nine(*matrix) + content[at + 36 :]


@pytest.mark.parametrize(
    ("matrix", "turns"), [((0, 1, -1, 0), 3), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)]
)
def test_a_film_that_players_turn_is_hashed_as_they_show_it(
    matrix: tuple[int, int, int, int], turns: int
) -> None:
    for number, (pdq, _, _) in enumerate(frames_of(turned(SMALL, matrix))):
        assert bits_between(pdq, pdq_of(np.rot90(SCENES[10 * number], turns))) <= 10


def test_what_is_left_of_a_film_that_was_cut_off_is_hashed() -> None:
    content = encode_film(SCENES, container="matroska", options=LOSSLESS)
    whole = frames_of(content, "matroska")
    part = frames_of(content[: len(content) * 2 // 3], "matroska")
    assert 0 < len(part) < len(whole)
    assert whole[: len(part)] == part


def test_limits_on_time_and_pixels() -> None:
    assert 4 == len(frames_of(SMALL, seconds_max=4, pixels_max=160 * 96))
    with pytest.raises(VideoTooLarge, match="seconds"):
        frames_of(SMALL, seconds_max=2)
    with pytest.raises(VideoTooLarge, match="pixels"):
        frames_of(SMALL, pixels_max=160 * 96 - 1)


@pytest.mark.parametrize(
    "content", [b"", b"\0\0\0\x1cftypisom", SMALL[:400], SMALL[:-200], bytes(5_000)]
)
def test_what_is_no_film_is_refused(content: bytes) -> None:
    with pytest.raises(VideoUnreadable):
        frames_of(content)


def test_a_container_is_read_by_its_own_demuxer_only() -> None:
    with pytest.raises(VideoUnreadable):
        frames_of(SMALL, "matroska")


def test_a_frame_too_small_for_pdq_has_no_quality() -> None:
    tiny = encode_film([np.zeros((4, 4, 3), dtype=np.uint8)] * 3, codec="mpeg4")
    assert [(bytes(32), 0, 0)] == frames_of(tiny)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_wounded_films_end_in_frames_or_a_refusal(data: st.DataObject) -> None:
    content = bytearray(SMALL)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + 8] = data.draw(st.binary(min_size=1, max_size=8))
    try:
        frames = frames_of(bytes(content), pixels_max=400 * 400, seconds_max=60)
    except (VideoUnreadable, VideoTooLarge):
        return
    times = [at_ms for _, _, at_ms in frames]
    assert sorted(set(times)) == times


def test_frames_agree_with_the_fields_own_program() -> None:
    vpdq = pytest.importorskip("vpdq", reason="`make vpdq` builds it where FFmpeg's headers are")
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(SMALL)
        file.flush()
        theirs = vpdq.computeHash(file.name, seconds_per_hash=1)
    ours = frames_of(SMALL)
    assert [each.hex for each in theirs] == [pdq.hex() for pdq, _, _ in ours]
    assert [each.quality for each in theirs] == [quality for _, quality, _ in ours]
