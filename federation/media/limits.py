"""What one picture or file may cost this node, each limit with where its number comes from.

Rules of this room (media): content comes in as bytes, a path or an open file, signals go out, and
nothing of the content is kept, logged or put into an error. Decoders run in worker processes only
(``pool``, ``confined_file``); the node's own process never loads one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# A film of two hours at streaming quality; SHA-256 and MD5 of it take about ten seconds.
FILE_BYTES_MAX: Final = 4 * 1024**3

# A 64-megapixel JPEG of a phone at its highest quality is about 40 MB, a 12-megapixel PNG 30 MB.
PICTURE_BYTES_MAX: Final = 64 * 1024**2

# 8192 x 8192, the largest picture the big platforms take; the 64-megapixel phone cameras fit.
PICTURE_PIXELS_MAX: Final = 8192 * 8192

# Measured: pdqhash needs 27 bytes a pixel, so 1.8 GB at PICTURE_PIXELS_MAX; the rest is decoders'.
PICTURE_MEMORY_BYTES_MAX: Final = 9 * 256 * 1024**2

# Measured: a picture of PICTURE_PIXELS_MAX takes 2 to 8 CPU seconds, of 12 megapixels 0.3.
PICTURE_CPU_SECONDS_MAX: Final = 30

# Twice the CPU time, for a machine that is busy with something else.
PICTURE_WALL_SECONDS_MAX: Final = 60

# A Python with numpy and Pillow starts in 0.2 s; a cold disk on a busy machine takes some seconds.
WORKER_START_SECONDS_MAX: Final = 60

# Decoders in C leak a little; a fresh worker costs 0.2 s, so a thousandth of that a picture.
WORKER_PICTURES_MAX: Final = 1_000

# Two, so that one large picture does not hold up all small ones; each has 35 MB resident when idle.
WORKERS: Final = 2

# One worker hashes 4 (12 megapixels) to 160 (512 x 512) a second: 64 are answered within 16 s.
PICTURES_WAITING_MAX: Final = 64

# Pictures that wait are held in memory: four of the longest allowed, so 256 MiB.
LONGEST_PICTURES_WAITING_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What one picture may cost.

    Attributes:
        file_bytes_max: length of the file.
        pixels_max: width times height as the header says, checked before anything is decoded.
        memory_bytes_max: address space a worker may take beyond what it has when idle.
        cpu_seconds_max: CPU time for one picture, in whole seconds as the kernel counts them.
        wall_seconds_max: time until the answer, after which the worker is killed.
    """

    file_bytes_max: int = PICTURE_BYTES_MAX
    pixels_max: int = PICTURE_PIXELS_MAX
    memory_bytes_max: int = PICTURE_MEMORY_BYTES_MAX
    cpu_seconds_max: int = PICTURE_CPU_SECONDS_MAX
    wall_seconds_max: float = PICTURE_WALL_SECONDS_MAX


# --- videos and documents -------------------------------------------------------------------------

# 8K, the largest that phones film: pdqhash then takes 1 GB.
VIDEO_PIXELS_MAX: Final = 8192 * 4320

# An hour: at 7.5 times real time (1080p, one core) eight minutes of work.
VIDEO_SECONDS_MAX: Final = 3_600

VIDEO_MEMORY_BYTES_MAX: Final = 3 * 1024**3
VIDEO_CPU_SECONDS_MAX: Final = 600
VIDEO_WALL_SECONDS_MAX: Final = 1_200

# The largest PDF of the field's lists is a book with pictures; its text is a few megabytes.
DOCUMENT_BYTES_MAX: Final = 64 * 1024**2
DOCUMENT_PAGES_MAX: Final = 2_000
DOCUMENT_CHARACTERS_MAX: Final = 8 * 1024**2
DOCUMENT_MEMORY_BYTES_MAX: Final = 1024**3
DOCUMENT_CPU_SECONDS_MAX: Final = 60
DOCUMENT_WALL_SECONDS_MAX: Final = 120

# Files that wait or are under way: each holds an open file, and a video may take minutes.
# Pictures have a queue and places of their own: they are through in a second, and live.
FILES_WAITING_MAX: Final = 32


@dataclass(frozen=True, slots=True)
class FileLimits:
    """What one file may cost that is no picture.

    Attributes:
        file_bytes_max: length of any file.
        video_pixels_max: width times height of each frame.
        video_seconds_max: how long a video may be.
        video_memory_bytes_max: address space a worker may take beyond what it has when idle.
        video_cpu_seconds_max: CPU time of all its threads.
        video_wall_seconds_max: time until the answer, after which the worker is killed.
        document_bytes_max: length of a PDF or text whose words are read.
        document_memory_bytes_max: as for videos.
        document_cpu_seconds_max: as for videos.
        document_wall_seconds_max: as for videos.
    """

    file_bytes_max: int = FILE_BYTES_MAX
    video_pixels_max: int = VIDEO_PIXELS_MAX
    video_seconds_max: int = VIDEO_SECONDS_MAX
    video_memory_bytes_max: int = VIDEO_MEMORY_BYTES_MAX
    video_cpu_seconds_max: int = VIDEO_CPU_SECONDS_MAX
    video_wall_seconds_max: float = VIDEO_WALL_SECONDS_MAX
    document_bytes_max: int = DOCUMENT_BYTES_MAX
    document_memory_bytes_max: int = DOCUMENT_MEMORY_BYTES_MAX
    document_cpu_seconds_max: int = DOCUMENT_CPU_SECONDS_MAX
    document_wall_seconds_max: float = DOCUMENT_WALL_SECONDS_MAX
