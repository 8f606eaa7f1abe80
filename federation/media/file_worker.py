"""The program that reads one video or document, confined; ``confined_file`` starts it.

Run as ``python -m federation.media.file_worker KIND DEMUXER PIXELS_MAX SECONDS_MAX BYTES_MAX
MEMORY_BYTES_MAX CPU_SECONDS_MAX`` with the file as standard input. It writes one reply
(``file_replies``) and ends: whatever a hostile file leaves behind in a decoder ends with it.
"""

from __future__ import annotations

import struct
import sys
from typing import BinaryIO, cast

from federation.local_errors.content import (
    DocumentTooLarge,
    DocumentUnreadable,
    VideoTooLarge,
    VideoUnreadable,
)
from federation.media.caps import allow_cpu_time, confine
from federation.media.file_replies import FileOutcome
from federation.media.kinds import FileKind


def main() -> None:
    """Load the one decoder, confine this process, read the file and answer."""
    kind, demuxer = FileKind(sys.argv[1]), sys.argv[2]
    pixels_max, seconds_max, bytes_max, memory_bytes_max, cpu_seconds_max = map(int, sys.argv[3:])
    if kind is FileKind.VIDEO:
        import federation.media.videos  # noqa: PLC0415 - loaded before the cap on memory counts
    else:
        import federation.media.documents  # noqa: F401, PLC0415 - the same
    confine(memory_bytes_max)
    allow_cpu_time(cpu_seconds_max)
    outcome, payload = answer(
        cast("BinaryIO", sys.stdin.buffer), kind, demuxer, pixels_max, seconds_max, bytes_max
    )
    sys.stdout.buffer.write(bytes((outcome,)) + payload)
    sys.stdout.buffer.flush()


def answer(
    stream: BinaryIO,
    kind: FileKind,
    demuxer: str,
    pixels_max: int,
    seconds_max: int,
    bytes_max: int,
) -> tuple[FileOutcome, bytes]:
    """Read one file, to its outcome and payload."""
    try:
        if kind is FileKind.VIDEO:
            return FileOutcome.READ, _read_video(stream, demuxer, pixels_max, seconds_max)
        return FileOutcome.READ, _read_document(stream, kind, bytes_max)
    except MemoryError:
        return FileOutcome.OUT_OF_MEMORY, b""
    except (VideoTooLarge, DocumentTooLarge) as refusal:
        short = isinstance(refusal.__cause__, MemoryError)
        return FileOutcome.OUT_OF_MEMORY if short else FileOutcome.TOO_LARGE, b""
    except (VideoUnreadable, DocumentUnreadable):
        return FileOutcome.UNREADABLE, b""


def _read_video(stream: BinaryIO, demuxer: str, pixels_max: int, seconds_max: int) -> bytes:
    from federation.media.videos import frames_of_video  # noqa: PLC0415 - see main

    frames = frames_of_video(stream, demuxer, pixels_max=pixels_max, seconds_max=seconds_max)
    # Not the protocol's encoding: there may be more of them here than a signal holds.
    return b"".join(struct.pack(">32sBI", each.pdq, each.quality, each.at_ms) for each in frames)


def _read_document(stream: BinaryIO, kind: FileKind, bytes_max: int) -> bytes:
    from federation.media.documents import tlsh_of_document  # noqa: PLC0415 - see main

    return tlsh_of_document(stream, kind, bytes_max=bytes_max) or b""


if __name__ == "__main__":
    main()
