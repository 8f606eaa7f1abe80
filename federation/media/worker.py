"""The program that decodes one picture after another, confined; ``pool`` starts it.

Run as ``python -m federation.media.worker PIXELS_MAX MEMORY_BYTES_MAX CPU_SECONDS_MAX``, it speaks
``replies`` over standard input and output and ends with its input. Before it reads a picture it
gives up writing files, core dumps and memory beyond the cap. The wall clock is the pool's.
"""

from __future__ import annotations

import sys
from typing import BinaryIO

from federation.local_errors.content import PictureTooLarge, PictureUnreadable
from federation.media.caps import allow_cpu_time, confine
from federation.media.pictures import pdq_of_picture
from federation.media.replies import LENGTH_BYTES, READY, Outcome, encode_reply


def main() -> None:
    """Confine this process, say that it is ready, and answer until the input ends."""
    pixels_max, memory_bytes_max, cpu_seconds_max = (int(text) for text in sys.argv[1:])
    confine(memory_bytes_max)
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    while length := sys.stdin.buffer.read(LENGTH_BYTES):
        allow_cpu_time(cpu_seconds_max)
        outcome, reply = answer(sys.stdin.buffer, int.from_bytes(length), pixels_max)
        sys.stdout.buffer.write(reply)
        sys.stdout.buffer.flush()
        if outcome is Outcome.OUT_OF_MEMORY:
            break  # Whether each library in C took the failed allocation well is unknown.


def answer(requests: BinaryIO, length: int, pixels_max: int) -> tuple[Outcome, bytes]:
    """Hash the picture that the next ``length`` bytes are, to its outcome and encoded reply."""
    try:
        picture = requests.read(length)
        hashed = pdq_of_picture(picture, file_bytes_max=length, pixels_max=pixels_max)
    except MemoryError:
        outcome = Outcome.OUT_OF_MEMORY
    except PictureTooLarge as refusal:
        short = isinstance(refusal.__cause__, MemoryError)
        outcome = Outcome.OUT_OF_MEMORY if short else Outcome.TOO_MANY_PIXELS
    except PictureUnreadable:
        outcome = Outcome.UNREADABLE
    else:
        return Outcome.HASHED, encode_reply(Outcome.HASHED, quality=hashed.quality, pdq=hashed.pdq)
    return outcome, encode_reply(outcome)


if __name__ == "__main__":
    main()
