"""Films drawn landscapes, for demonstrations, tests and benchmarks: nobody needs a real film.

A film is scenes of some seconds; in each the camera moves slowly over one drawn picture. The same
seed gives the same frames. Encoding uses FFmpeg by way of PyAV: no program with secrets should
import this, and decoding foreign films is for the confined worker (``videos``).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Final

import av
import numpy as np
import numpy.typing as npt
from av.video.stream import VideoStream

from federation.media.drawing import draw_pixels

WIDTH: Final = 640
HEIGHT: Final = 360
FRAME_RATE: Final = 10
SCENE_SECONDS: Final = 3
# How far the camera moves from one frame to the next, in pixels of a picture 640 wide.
_PAN: Final = 2

Pixels = npt.NDArray[np.uint8]


def film(
    seed: int,
    seconds: int,
    *,
    width: int = WIDTH,
    height: int = HEIGHT,
    frame_rate: int = FRAME_RATE,
    scene_seconds: int = SCENE_SECONDS,
) -> Iterator[Pixels]:
    """The frames of a seed's film, rows x columns x RGB each."""
    step = max(1, _PAN * width // WIDTH)
    per_scene = scene_seconds * frame_rate
    for number in range(seconds * frame_rate):
        scene, at = divmod(number, per_scene)
        if at == 0:
            wide = draw_pixels(1_000 * seed + scene, width=width + step * per_scene, height=height)
        yield np.ascontiguousarray(wide[:, step * at : step * at + width])


def encode_film(
    frames: Iterable[Pixels],
    *,
    container: str = "mp4",
    codec: str = "libx264",
    frame_rate: int = FRAME_RATE,
    options: Mapping[str, str] | None = None,
) -> bytes:
    """Encode frames of one size (even sides) to a video file.

    Args:
        frames: rows x columns x RGB each.
        container: FFmpeg's name of it: mp4, matroska, webm, avi, mpegts.
        codec: FFmpeg's name of it: libx264, libvpx-vp9, mpeg4.
        frame_rate: frames a second.
        options: of the codec, such as ``{"crf": "35"}``.

    Raises:
        TypeError: the codec is none for video.
    """
    encoded = io.BytesIO()
    with av.open(encoded, mode="w", format=container) as output:
        stream = output.add_stream(codec, rate=frame_rate, options=dict(options or {}))
        if not isinstance(stream, VideoStream):
            raise TypeError("not the name of a video codec")
        stream.pix_fmt = "yuv420p"
        for number, pixels in enumerate(frames):
            if number == 0:
                stream.height, stream.width = pixels.shape[:2]
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, frame_rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return encoded.getvalue()
