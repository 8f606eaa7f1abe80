"""What passes between the pool and its workers: fixed bytes, and never a word of the worker's.

To the worker: the picture file's length (8 bytes, big-endian) and the file. Back, once when it is
ready, ``READY``; then for each picture one reply of ``REPLY_BYTES``: outcome, quality, PDQ.

A worker that a hostile picture has taken over can therefore lie about a signal, which nothing can
prevent, but not run code in the node (as a pickled reply could) nor write into its log.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

LENGTH_BYTES: Final = 8
READY: Final = b"R"
REPLY_BYTES: Final = 1 + 1 + 32

_QUALITY_MAX: Final = 100


class Outcome(IntEnum):
    """How hashing one picture ended."""

    HASHED = 0
    UNREADABLE = 1
    TOO_MANY_PIXELS = 2
    OUT_OF_MEMORY = 3


def encode_reply(outcome: Outcome, *, quality: int = 0, pdq: bytes = bytes(32)) -> bytes:
    """Encode a reply of REPLY_BYTES; quality and PDQ count only when the outcome is HASHED."""
    return bytes((outcome, quality)) + pdq


def decode_reply(reply: bytes) -> tuple[Outcome, int, bytes]:
    """Decode a reply to (outcome, quality 0 to 100, PDQ of 32 bytes).

    Raises:
        ValueError: no reply that a sound worker gives, a cut-off one included.
    """
    if len(reply) != REPLY_BYTES or reply[1] > _QUALITY_MAX:
        raise ValueError("not a reply")
    return Outcome(reply[0]), reply[1], reply[2:]
