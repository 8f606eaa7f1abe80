"""Which copies of a film match and which do not: what_matches.md is held to its word."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from federation.matching.video_search import VideoFound, VideoThresholds
from federation.matching.videos import VideoIndex
from federation.media.filming import Pixels, encode_film, film
from federation.media.hasher import choose_frames
from federation.media.videos import frames_of_video
from federation.protocol.signals_frames import encode_frames

FRAMES = list(film(6, 6, width=320, height=180, scene_seconds=1))
PAGE = Path(__file__).parents[3] / "docs" / "concepts" / "what_matches.md"


def value_of(
    frames: list[Pixels], container: str = "mp4", codec: str = "libx264", **more: str
) -> bytes:
    content = encode_film(frames, container=container, codec=codec, options=more)
    demuxer = {"mp4": "mov", "webm": "matroska", "avi": "avi"}[container]
    return encode_frames(choose_frames(frames_of_video(io.BytesIO(content), demuxer)))


def shares(known: bytes, asked: bytes) -> tuple[int, int]:
    """Percent of the asked film in the known one, and of the known one in the asked."""
    index = VideoIndex()
    index.add([known])
    (found,) = index.search_many([asked], VideoThresholds(query_percent_min=0))
    for each in found:
        if isinstance(each, VideoFound):
            return each.query_percent, each.index_percent
    return 0, 0


@pytest.fixture(scope="module")
def known() -> bytes:
    return value_of(FRAMES)


def changed(change: Callable[[Image.Image], Image.Image]) -> list[Pixels]:
    return [np.asarray(change(Image.fromarray(pixels)).convert("RGB")) for pixels in FRAMES]


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [
        ("mp4", "libx264", {"crf": "40"}),
        ("webm", "libvpx", {"deadline": "realtime", "b": "300k"}),
        ("avi", "mpeg4", {}),
    ],
)
def test_reencodes_match(known: bytes, container: str, codec: str, options: dict[str, str]) -> None:
    assert (100, 100) == shares(known, value_of(FRAMES, container, codec, **options))


@pytest.mark.parametrize("size", [(160, 90), (640, 360)])
def test_other_sizes_match(known: bytes, size: tuple[int, int]) -> None:
    assert min(shares(known, value_of(changed(lambda picture: picture.resize(size))))) >= 80


def test_grey_matches(known: bytes) -> None:
    assert min(shares(known, value_of(changed(lambda picture: picture.convert("L"))))) >= 80


def test_a_clip_matches_and_so_does_not_the_film_that_it_is_a_small_part_of(known: bytes) -> None:
    query, index = shares(known, value_of(FRAMES[20:40]))
    assert (100, True) == (query, index < 50)
    query, index = shares(value_of(FRAMES[20:40]), known)
    assert (True, 100) == (query < 50, index)


def letterboxed(picture: Image.Image) -> Image.Image:
    page = Image.new("RGB", (picture.width, picture.height * 4 // 3))
    page.paste(picture, (0, picture.height // 6))
    return page


@pytest.mark.parametrize(
    "edit",
    [letterboxed, lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)],
    ids=["letterboxed", "mirrored"],
)
def test_what_vpdq_does_not_find_is_not_found(
    known: bytes, edit: Callable[[Image.Image], Image.Image]
) -> None:
    query, _ = shares(known, value_of(changed(edit)))
    assert query < 80


def test_the_page_tells_of_it() -> None:
    page = PAGE.read_text("utf-8")
    for word in ("mirrored", "letterbox", "clip", "re-encoded"):
        assert word in page
