"""Media: pictures a second, video speed (times real time), and which edits of a film still match.

    python -m benchmarks.media --json [--seconds N]

Last line: {pictures_per_s, picture_12mp_per_s, video_720p_x, video_1080p_x, tlsh_mb_per_s, edits}.
``edits`` gives, per edit of a film, how many percent of the edited film's frames are in the
original within vPDQ's defaults (80 is a match), and the other way round.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from PIL import Image, ImageDraw

from federation.matching.video_search import VideoFound, VideoThresholds
from federation.matching.videos import VideoIndex
from federation.media.documents import tlsh_of_text
from federation.media.drawing import draw_picture
from federation.media.filming import FRAME_RATE, Pixels, encode_film, film
from federation.media.hasher import FileHasher
from federation.media.pool import HashingPool
from federation.protocol.signals import Signal

Edit = Callable[[Iterable[Pixels]], Iterator[Pixels]]


def each(change: Callable[[Image.Image], Image.Image]) -> Edit:
    """An edit of every frame alike."""

    def edit(frames: Iterable[Pixels]) -> Iterator[Pixels]:
        for pixels in frames:
            yield np.asarray(change(Image.fromarray(pixels)).convert("RGB"))

    return edit


def scaled(share: float) -> Edit:
    def change(picture: Image.Image) -> Image.Image:
        size = (int(picture.width * share) // 2 * 2, int(picture.height * share) // 2 * 2)
        return picture.resize(size, Image.Resampling.LANCZOS)

    return each(change)


def barred(width: float, height: float) -> Edit:
    """Black bars around, as players and re-uploads add them; sizes as shares of the picture's."""

    def change(picture: Image.Image) -> Image.Image:
        page = Image.new("RGB", (int(picture.width * width) // 2 * 2,
                                 int(picture.height * height) // 2 * 2))  # fmt: skip
        page.paste(picture, ((page.width - picture.width) // 2,
                             (page.height - picture.height) // 2))  # fmt: skip
        return page

    return each(change)


def cropped(share: float) -> Edit:
    """Cut off so much of each side, and blown up to the old size."""

    def change(picture: Image.Image) -> Image.Image:
        left, top = picture.width * share, picture.height * share
        box = (int(left), int(top), int(picture.width - left), int(picture.height - top))
        return picture.crop(box).resize(picture.size)

    return each(change)


def marked(picture: Image.Image) -> Image.Image:
    marked = picture.copy()
    draw = ImageDraw.Draw(marked)
    draw.rectangle((10, 10, picture.width // 4, picture.height // 8), fill="white")
    draw.text((20, 20), "BREAKING NEWS", fill="red")
    return marked


def inset(picture: Image.Image) -> Image.Image:
    page = Image.new("RGB", picture.size, (40, 60, 160))
    small = picture.resize((picture.width // 2, picture.height // 2))
    page.paste(small, (picture.width // 4, picture.height // 4))
    return page


def clipped(seconds_off: float) -> Edit:
    """A third of the film from its middle, beginning so long after a whole second."""

    def edit(frames: Iterable[Pixels]) -> Iterator[Pixels]:
        kept = list(frames)
        begin = len(kept) // 3 // FRAME_RATE * FRAME_RATE + int(seconds_off * FRAME_RATE)
        yield from kept[begin : begin + len(kept) // 3]

    return edit


def faster(frames: Iterable[Pixels]) -> Iterator[Pixels]:
    """A quarter faster: every fifth frame left out."""
    yield from (pixels for number, pixels in enumerate(frames) if number % 5)


def within(frames: Iterable[Pixels]) -> Iterator[Pixels]:
    """The film, and as long a one of something else."""
    count = 0
    for pixels in frames:
        count += 1
        yield pixels
    yield from film(77, count // FRAME_RATE)


def unchanged(frames: Iterable[Pixels]) -> Iterator[Pixels]:
    yield from frames


# Name -> edit, container, codec, options of the codec.
EDITS: dict[str, tuple[Edit, str, str, dict[str, str]]] = {
    "the same file": (unchanged, "mp4", "libx264", {}),
    "H.264 at CRF 35": (unchanged, "mp4", "libx264", {"crf": "35"}),
    "H.264 at CRF 45": (unchanged, "mp4", "libx264", {"crf": "45"}),
    "VP9 in WebM": (unchanged, "webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
    "MPEG-4 in AVI": (unchanged, "avi", "mpeg4", {}),
    "half size": (scaled(0.5), "mp4", "libx264", {}),
    "quarter size": (scaled(0.25), "mp4", "libx264", {}),
    "double size": (scaled(2), "mp4", "libx264", {}),
    "a clip of a third": (clipped(0), "mp4", "libx264", {}),
    "the same half a second off": (clipped(0.5), "mp4", "libx264", {}),
    "inside a film twice as long": (within, "mp4", "libx264", {}),
    "25 % faster": (faster, "mp4", "libx264", {}),
    "grey": (each(lambda picture: picture.convert("L")), "mp4", "libx264", {}),
    "brighter by 30 %": (
        each(lambda picture: picture.point(lambda v: min(255, int(v * 1.3)))),
        "mp4",
        "libx264",
        {},
    ),
    "a banner in one corner": (each(marked), "mp4", "libx264", {}),
    "bars of 5 % above and below": (barred(1, 1.1), "mp4", "libx264", {}),
    "letterbox 16:9 in 4:3": (barred(1, 4 / 3), "mp4", "libx264", {}),
    "pillarbox in 2.4:1": (barred(1.35, 1), "mp4", "libx264", {}),
    "cropped by 2 %": (cropped(0.02), "mp4", "libx264", {}),
    "cropped by 5 %": (cropped(0.05), "mp4", "libx264", {}),
    "cropped by 10 %": (cropped(0.1), "mp4", "libx264", {}),
    "turned by 2 degrees": (each(lambda picture: picture.rotate(2)), "mp4", "libx264", {}),
    "mirrored": (
        each(lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
        "mp4",
        "libx264",
        {},
    ),
    "half size within a coloured frame": (each(inset), "mp4", "libx264", {}),
}


def video_signal(hasher: FileHasher, content: bytes) -> Signal:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.flush()
        return hasher.hash_file(file).signals[0]


def measure_edits(seconds: int) -> dict[str, list[int]]:
    anything = VideoThresholds(query_percent_min=0)
    with FileHasher() as hasher:
        frames = list(film(1, seconds))
        index = VideoIndex()
        index.add([video_signal(hasher, encode_film(frames)).value])
        shares = {}
        for name, (edit, container, codec, options) in EDITS.items():
            copy = encode_film(edit(frames), container=container, codec=codec, options=options)
            (found,) = index.search_many([video_signal(hasher, copy).value], anything)
            nearest = found.nearest[0] if found.nearest else None
            shares[name] = (
                [nearest.query_percent, nearest.index_percent]
                if isinstance(nearest, VideoFound)
                else [0, 0]
            )
    return shares


def pictures_per_s(width: int, height: int, count: int) -> float:
    pictures = [draw_picture(seed, width=width, height=height) for seed in range(4)]
    with HashingPool() as pool:
        for future in [pool.submit(picture) for picture in pictures]:
            future.result()
        began = time.perf_counter()
        for start in range(0, count, 32):
            some = [pool.submit(pictures[at % 4]) for at in range(start, min(count, start + 32))]
            for future in some:
                future.result()
        return count / (time.perf_counter() - began)


def times_real_time(width: int, height: int, seconds: int = 20) -> float:
    frames = film(3, seconds, width=width, height=height, frame_rate=30, scene_seconds=5)
    content = encode_film(frames, frame_rate=30, options={"preset": "veryfast"})
    with FileHasher() as hasher:
        began = time.perf_counter()
        video_signal(hasher, content)
        return seconds / (time.perf_counter() - began)


def tlsh_mb_per_s() -> float:
    words = io.StringIO()
    for number in range(400_000):
        words.write(f"word{number * 7919 % 10_007} ")
    text = words.getvalue()
    began = time.perf_counter()
    tlsh_of_text(text)
    return len(text) / 1e6 / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="only the line of JSON")
    parser.add_argument("--seconds", type=int, default=60, help="of the film that is edited")
    given = parser.parse_args()
    figures: dict[str, object] = {
        "pictures_per_s": round(pictures_per_s(512, 512, 200), 1),
        "picture_12mp_per_s": round(pictures_per_s(4_000, 3_000, 8), 2),
        "video_720p_x": round(times_real_time(1_280, 720), 1),
        "video_1080p_x": round(times_real_time(1_920, 1_080), 1),
        "tlsh_mb_per_s": round(tlsh_mb_per_s(), 1),
    }
    edits = measure_edits(given.seconds)
    if not given.json:
        for name, (query, index) in edits.items():
            print(f"{name:36} {query:3} % {index:3} %", file=sys.stderr)
    print(json.dumps({**figures, "edits": edits}))


if __name__ == "__main__":
    main()
