"""Videos by their shares of frames: exactly what comparing all frames of all videos says."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.errors import RequestMalformed
from federation.local_errors.content import SignalMalformed
from federation.matching import frame_postings
from federation.matching.frame_postings import FramePostings
from federation.matching.rows import unjoin_rows
from federation.matching.video_search import VideoFound, VideoThresholds
from federation.matching.videos import VideoIndex
from federation.protocol.signals import SignalType, identity_of
from federation.protocol.signals_frames import Frame, decode_frames, encode_frames
from tests.builders import make_signal, make_video

DEFAULTS = VideoThresholds()
Shares = tuple[bytes, int, int]


def frame(number: int, bits: int = 0, quality: int = 80) -> tuple[bytes, int]:
    """A frame near another of its number: so many bits turned."""
    value = int.from_bytes(make_signal(number).value, "big") ^ ((1 << bits) - 1)
    return value.to_bytes(32, "big"), quality


def video(*frames: tuple[bytes, int]) -> bytes:
    return encode_frames([Frame(*each, 1_000 * at) for at, each in enumerate(frames)])


def identity(value: bytes) -> bytes:
    return identity_of(SignalType.VPDQ, value)


def shares(index: VideoIndex, asked: bytes, wanted: VideoThresholds = DEFAULTS) -> list[Shares]:
    (found,) = index.search_many([asked], wanted)
    assert found.total == len(found)
    return [
        (each.value, each.query_percent, each.index_percent)
        for each in found
        if isinstance(each, VideoFound)
    ]


def test_a_clip_matches_and_so_does_the_whole_by_the_share_asked_for() -> None:
    index = VideoIndex()
    whole = video(*[frame(number) for number in range(10)])
    clip = video(*[frame(number, 31) for number in range(4)])
    index.add([whole])
    assert [(identity(whole), 100, 40)] == shares(index, clip)
    assert [] == shares(index, clip, VideoThresholds(index_percent_min=41))
    index.remove([whole])
    index.add([clip])
    assert [] == shares(index, whole)
    assert [(identity(clip), 40, 100)] == shares(
        index, whole, VideoThresholds(query_percent_min=40)
    )


@pytest.mark.parametrize(("alike", "is_match"), [(8, True), (7, False)])
def test_eighty_percent_of_the_asked_frames_is_the_default(alike: int, *, is_match: bool) -> None:
    index = VideoIndex()
    index.add([video(*[frame(number) for number in range(alike)])])
    asked = video(*[frame(number) for number in range(10)])
    assert is_match is bool(shares(index, asked))


def test_frames_of_low_quality_count_on_neither_side() -> None:
    index = VideoIndex()
    dark = [frame(number, quality=49) for number in range(50, 58)]
    known = video(frame(1), frame(2), *dark)
    index.add([known])
    assert [(identity(known), 100, 50)] == shares(index, video(frame(1), *dark))
    assert [] == shares(index, video(*dark))
    assert [(identity(known), 100, 80)] == shares(
        index, video(*dark), VideoThresholds(quality_min=0)
    )


def test_one_still_picture_for_ten_seconds_is_one_frame() -> None:
    index = VideoIndex()
    known = video(*[frame(1)] * 10, frame(2))
    index.add([known])
    assert [] == shares(index, video(*[frame(1)] * 10, frame(3)))
    assert [(identity(known), 100, 50)] == shares(index, video(*[frame(1)] * 10))


def test_a_frame_at_distance_32_is_another_frame() -> None:
    index = VideoIndex()
    index.add([video(frame(1))])
    assert [] == shares(index, video(frame(1, 32)))
    assert [] == shares(index, video(frame(1, 5)), VideoThresholds(distance_max=4))


def test_two_videos_with_common_frames_are_removed_one_by_one() -> None:
    index = VideoIndex()
    one, other = video(frame(1), frame(2)), video(frame(2), frame(3))
    assert 2 == index.add([one, other, one])
    assert 3 == index.frames_held()
    assert 1 == index.remove([one])
    assert one not in index
    assert [(identity(other), 100, 50)] == shares(index, video(frame(2)))
    assert [] == shares(index, video(frame(1)))
    assert 1 == index.remove([other, one])
    assert (0, 0) == (len(index), index.frames_held())
    index.add([one])
    assert [(identity(one), 100, 50)] == shares(index, video(frame(1)))


@pytest.mark.parametrize(
    "wrong",
    [
        VideoThresholds(distance_max=32),
        VideoThresholds(quality_min=101),
        VideoThresholds(query_percent_min=-1),
        VideoThresholds(index_percent_min=101),
    ],
)
def test_thresholds_out_of_range_are_refused(wrong: VideoThresholds) -> None:
    with pytest.raises(RequestMalformed):
        VideoIndex().search_many([make_video(1)], wrong)


def test_what_is_no_list_of_frames_is_refused() -> None:
    index = VideoIndex()
    for refuse in (index.add, index.remove):
        with pytest.raises(SignalMalformed):
            refuse([b"short"])


def by_brute_force(known: list[bytes], asked: bytes, wanted: VideoThresholds) -> list[Shares]:
    def distinct(value: bytes) -> set[bytes]:
        return {each.pdq for each in decode_frames(value) if each.quality >= wanted.quality_min}

    def like(one: bytes, other: bytes) -> bool:
        bits = int.from_bytes(one, "big") ^ int.from_bytes(other, "big")
        return bits.bit_count() <= wanted.distance_max

    query = distinct(asked)
    found = []
    for value in known:
        index = distinct(value)
        if not query or not index:
            continue
        ours = sum(any(like(one, other) for other in index) for one in query)
        theirs = sum(any(like(one, other) for other in query) for one in index)
        share, back = 100 * ours // len(query), 100 * theirs // len(index)
        if ours and share >= wanted.query_percent_min and back >= wanted.index_percent_min:
            found.append((identity(value), share, back))
    return sorted(found)


frames = st.builds(frame, st.integers(0, 12), st.integers(0, 20), st.sampled_from([40, 60, 80]))
videos = st.lists(frames, min_size=1, max_size=8).map(lambda given: video(*given))
thresholds = st.builds(
    VideoThresholds,
    st.integers(0, 31),
    st.sampled_from([0, 50, 70]),
    st.sampled_from([0, 30, 80, 100]),
    st.sampled_from([0, 30, 80]),
)


@settings(max_examples=60)
@given(st.lists(videos, max_size=8, unique=True), videos, thresholds)
def test_index_agrees_with_comparing_everything(
    known: list[bytes], asked: bytes, wanted: VideoThresholds
) -> None:
    index = VideoIndex()
    index.add([*known, asked])
    index.remove([] if asked in known else [asked])
    assert by_brute_force(known, asked, wanted) == sorted(shares(index, asked, wanted))


def test_postings_are_found_through_all_merges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_postings, "FRESH_MAX", 16)
    rng = random.Random(3)
    postings, expected = FramePostings(), dict[bytes, list[tuple[int, int]]]()
    for number in range(200):
        for _ in range(rng.randrange(1, 6)):
            pdq = bytes([rng.randrange(40)]) * 32
            postings.add([(pdq, number % 100)], number)
            expected.setdefault(pdq, []).append((number, number % 100))
        if number % 7 == 3:
            postings.drop(number - 2)
            for kept in expected.values():
                kept[:] = [each for each in kept if each[0] != number - 2]
    numbers = np.unique([number for kept in expected.values() for number, _ in kept])
    restored = FramePostings.restore(postings.sections(), numbers.astype(np.uint64))
    for each in (postings, restored):
        for pdq, kept in expected.items():
            assert sorted(kept) == sorted(of(each, pdq))
        assert [] == of(each, b"\xff" * 32)


def of(postings: FramePostings, pdq: bytes) -> list[tuple[int, int]]:
    _, found = postings.view().of_rows(unjoin_rows(pdq, 32))
    return list(zip(found.videos.tolist(), found.qualities.tolist(), strict=True))
