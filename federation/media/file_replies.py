"""What a file's worker may say: an outcome, and packed frames or a TLSH; never a word.

One byte of outcome, then the payload, then the end. The reader checks the payload's length and
grammar as it would a stranger's: a worker that a hostile file has taken over can lie about a
signal, but not run code in the node nor write into its log.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from federation.protocol.limits_content import PDQ_BYTES
from federation.protocol.signals_frames import FRAME_BYTES

FRAMES_MAX: Final = 120 * 3_600
"""Every frame of an hour at the highest rate: far more than one a second ever gives."""

REPLY_BYTES_MAX: Final = 1 + FRAME_BYTES * FRAMES_MAX
TLSH_BYTES: Final = PDQ_BYTES + 3


class FileOutcome(IntEnum):
    """How reading one file ended."""

    READ = 0
    UNREADABLE = 1
    TOO_LARGE = 2
    OUT_OF_MEMORY = 3
