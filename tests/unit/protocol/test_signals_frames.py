"""A video's frames: one list has one value, and nothing else is read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import ProtocolError
from federation.local_errors.content import SignalMalformed
from federation.protocol.limits import BODY_BYTES_MAX
from federation.protocol.limits_content import SIGNAL_BYTES_MAX, VIDEO_FRAMES_MAX
from federation.protocol.signals import Signal, SignalType, identity_of
from federation.protocol.signals_frames import FRAME_BYTES, Frame, decode_frames, encode_frames
from tests.builders import make_video

frames = st.lists(
    st.builds(
        Frame, st.binary(min_size=32, max_size=32), st.integers(0, 100), st.integers(0, 2**32 - 1)
    ),
    min_size=1,
    max_size=20,
    unique_by=lambda frame: frame.at_ms,
).map(lambda given: sorted(given, key=lambda frame: frame.at_ms))


@given(frames)
def test_frames_come_back_as_they_were_packed(given: list[Frame]) -> None:
    assert tuple(given) == decode_frames(encode_frames(given))


@given(st.binary(max_size=200) | st.binary(min_size=37, max_size=37))
def test_any_bytes_are_frames_or_refused(value: bytes) -> None:
    try:
        found = decode_frames(value)
    except ProtocolError:
        return
    assert value == encode_frames(found)


def test_as_many_frames_as_allowed_fit_a_signal_and_a_body() -> None:
    value = make_video(1, frames=VIDEO_FRAMES_MAX)
    assert VIDEO_FRAMES_MAX * FRAME_BYTES == len(value)
    assert len(value) <= SIGNAL_BYTES_MAX < BODY_BYTES_MAX - 4_096
    with pytest.raises(SignalMalformed):
        make_video(1, frames=VIDEO_FRAMES_MAX + 1)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [Frame(bytes(31), 80, 0)],
        [Frame(bytes(33), 80, 0)],
        [Frame(bytes(32), 101, 0)],
        [Frame(bytes(32), -1, 0)],
        [Frame(bytes(32), 80, 2**32)],
        [Frame(bytes(32), 80, 5), Frame(bytes(32), 80, 5)],
        [Frame(bytes(32), 80, 5), Frame(bytes(32), 80, 4)],
    ],
)
def test_wrong_frames_are_not_packed(wrong: list[Frame]) -> None:
    with pytest.raises(SignalMalformed):
        encode_frames(wrong)


def test_identity_is_the_value_only_where_its_length_is_fixed() -> None:
    assert b"x" * 32 == identity_of(SignalType.PDQ, b"x" * 32)
    video = Signal(SignalType.VPDQ, make_video(1))
    assert 32 == len(video.identity)
    assert video.identity != Signal(SignalType.VPDQ, make_video(2)).identity
    assert video.identity != identity_of(SignalType.URL, video.value)


def test_frame_does_not_show_its_value() -> None:
    assert "Frame(quality=80, at_ms=0)" == repr(decode_frames(make_video(1, frames=1))[0])
