"""The value of a ``vpdq`` signal: the frames of a video, packed.

    frame   32 bytes of PDQ, 1 byte of quality, 4 bytes of time in milliseconds (big-endian)

Frames stand in the order of their times, each time once, so that one list of frames has one value.

Source: docs/spec/signals.md; vPDQ (Meta, 2022) for what a frame holds.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from federation.local_errors.content import SignalMalformed
from federation.protocol.limits_content import PDQ_BYTES, VIDEO_FRAMES_MAX

QUALITY_MAX: Final = 100
"""Of PDQ, of a picture and of a frame alike."""

TIME_MS_MAX: Final = 2**32 - 1
"""49 days: four bytes."""

_FRAME: Final = struct.Struct(f">{PDQ_BYTES}sBI")
FRAME_BYTES: Final = _FRAME.size


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a video.

    Attributes:
        pdq: 32 bytes.
        quality: 0 (flat) to 100 (detailed).
        at_ms: its time from the video's beginning, in milliseconds.
    """

    pdq: bytes = field(repr=False)
    quality: int
    at_ms: int


def encode_frames(frames: Sequence[Frame]) -> bytes:
    """Pack frames into the value of a vpdq signal.

    Raises:
        SignalMalformed: none or too many, times not ascending, or a field out of its range.
    """
    try:
        value = b"".join(_FRAME.pack(each.pdq, each.quality, each.at_ms) for each in frames)
    except struct.error:
        raise SignalMalformed("a frame's quality or time is out of its range") from None
    if any(len(each.pdq) != PDQ_BYTES for each in frames):
        raise SignalMalformed(f"a frame's PDQ has {PDQ_BYTES} bytes")
    check_frames(value)
    return value


def decode_frames(value: bytes) -> tuple[Frame, ...]:
    """The frames in the value of a vpdq signal.

    Raises:
        SignalMalformed: see :func:`check_frames`.
    """
    check_frames(value)
    return tuple(Frame(*fields) for fields in _FRAME.iter_unpack(value))


def check_frames(value: bytes) -> None:
    """The grammar of a vpdq value: 1 to VIDEO_FRAMES_MAX whole frames, times ascending.

    Raises:
        SignalMalformed: it does not hold.
    """
    count, rest = divmod(len(value), FRAME_BYTES)
    if rest or not 1 <= count <= VIDEO_FRAMES_MAX:
        raise SignalMalformed(
            f"a vpdq value is 1 to {VIDEO_FRAMES_MAX} frames of {FRAME_BYTES} bytes"
        )
    before_ms = -1
    for _, quality, at_ms in _FRAME.iter_unpack(value):
        if quality > QUALITY_MAX:
            raise SignalMalformed(f"a frame's quality is between 0 and {QUALITY_MAX}")
        if at_ms <= before_ms:
            raise SignalMalformed("a video's frames stand in the order of their times")
        before_ms = at_ms
