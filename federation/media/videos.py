"""A video file -> the PDQ and quality of its frames, one a second at full size: vPDQ.

Decodes hostile bytes with libraries written in C, so only a worker (``file_worker``) and tests
import this module. Which frames: those whose number from 0 is a multiple of the whole frames a
second that the file states, as vPDQ takes with ``seconds_per_hash=1``, upright as players show
them. Bit for bit those of Meta's ``vpdq`` for a video that is not turned.

Source: docs/spec/signals.md; https://github.com/facebook/ThreatExchange/tree/main/vpdq.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

import av
import numpy as np
import pdqhash
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from federation.local_errors.content import VideoTooLarge, VideoUnreadable
from federation.media.limits import VIDEO_PIXELS_MAX, VIDEO_SECONDS_MAX
from federation.protocol.limits_content import PDQ_BYTES
from federation.protocol.signals_frames import Frame

# What phones, browsers and the big platforms write, and what old uploads are in.
CODECS: Final = (
    "h264,hevc,av1,libdav1d,vp8,vp9,libvpx,libvpx-vp9,mpeg4,msmpeg4v2,msmpeg4v3,mpeg2video,"
    "mpeg1video,h263,flv,theora,wmv1,wmv2,wmv3,vc1,mjpeg,prores"
)

# No upload is filmed faster; a file that states more would hide its frames between two of ours.
FRAME_RATE_MAX: Final = 120
# What is taken for a rate that is not stated, or stated too high: some recorders write 1000.
FRAME_RATE_GUESS: Final = 25

# Packets that no decoder takes are skipped, as players do; so many make it no video.
BROKEN_PACKETS_MAX: Final = 10_000

# Under 5 pixels wide or high PDQ has no meaning (Meta's rule).
_SIDE_MIN: Final = 5
_QUARTER: Final = 90
_MARGIN_PIXELS: Final = 1_000_000


def frames_of_video(
    stream: BinaryIO,
    demuxer: str,
    *,
    pixels_max: int = VIDEO_PIXELS_MAX,
    seconds_max: int = VIDEO_SECONDS_MAX,
) -> list[Frame]:
    """Decode a video and hash one frame a second.

    Args:
        stream: the file, from its start, seekable.
        demuxer: FFmpeg's name of the container; no other is tried.
        pixels_max: width times height of a frame.
        seconds_max: how long the video may be.

    Raises:
        VideoUnreadable: not such a container, no video in it, or not one frame can be decoded.
        VideoTooLarge: too many pixels, too long, or memory ran out (then that is the cause).
    """
    try:
        with av.open(
            stream,
            mode="r",
            format=demuxer,
            # No other file and no address is opened, whatever the container refers to.
            container_options={"codec_whitelist": CODECS, "protocol_whitelist": "none"},
            metadata_errors="ignore",
        ) as container:
            frames = list(_hash_frames(container, pixels_max, seconds_max))
    except (VideoTooLarge, VideoUnreadable):
        raise
    except MemoryError as shortage:
        raise VideoTooLarge("the video needs more memory than allowed") from shortage
    except Exception:  # noqa: BLE001 -- FFmpeg's errors have many classes, PyAV adds some of Python's
        raise VideoUnreadable("the file is no readable video") from None
    if not frames:
        raise VideoUnreadable("not one frame of the video can be decoded")
    return frames


def _hash_frames(container: InputContainer, pixels_max: int, seconds_max: int) -> Iterator[Frame]:
    if not container.streams.video:
        raise VideoUnreadable("the file holds no video")
    video = container.streams.video[0]
    _check_pixels(video.codec_context.width, video.codec_context.height, pixels_max)
    # FFmpeg counts its own margins too: this stops a decoder early, the check of frames is exact.
    video.codec_context.options = {"max_pixels": str(2 * pixels_max + _MARGIN_PIXELS)}
    video.thread_type = "AUTO"
    video.codec_context.thread_count = 2
    rate = float(video.average_rate or 0)
    if not 0 < rate <= FRAME_RATE_MAX:
        rate = FRAME_RATE_GUESS
    every = max(1, int(rate))
    for number, frame in enumerate(_decode(container, video)):
        at_ms = int(1_000 * number / rate)
        if at_ms > 1_000 * seconds_max:
            raise VideoTooLarge(f"the video is longer than {seconds_max} seconds")
        if number % every == 0:
            _check_pixels(frame.width, frame.height, pixels_max)
            yield _frame_of(frame, at_ms)


def _decode(container: InputContainer, video: VideoStream) -> Iterator[VideoFrame]:
    """The frames that can be decoded, in the order in which they are shown."""
    broken = 0
    packets = container.demux(video)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.EOFError):
            return
        except av.error.InvalidDataError:
            return  # the container is cut off: what came before it is what players show
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            broken += 1
            if broken > BROKEN_PACKETS_MAX:
                raise VideoUnreadable("most of the video cannot be decoded") from None
            continue
        yield from frames


def _check_pixels(width: int, height: int, pixels_max: int) -> None:
    if width * height > pixels_max:
        raise VideoTooLarge(f"the video has more than {pixels_max} pixels")


def _frame_of(frame: VideoFrame, at_ms: int) -> Frame:
    if min(frame.width, frame.height) < _SIDE_MIN:
        return Frame(bytes(PDQ_BYTES), 0, at_ms)
    # The display matrix turns against the clock, and so does numpy.
    turns = round(frame.rotation / _QUARTER) % 4
    pixels = np.rot90(frame.to_ndarray(format="rgb24"), turns)
    vector, quality = pdqhash.compute(np.ascontiguousarray(pixels))
    return Frame(np.packbits(vector).tobytes(), int(quality), at_ms)
