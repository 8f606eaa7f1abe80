"""What a file is, from its first bytes: which decoder it may meet, and that no other one does.

A name or a declared type is its sender's word; the beginning is what players and viewers go by too.
Each kind here is one that browsers, phones or messengers make; every further one is attack surface.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

BEGINNING_BYTES: Final = 4_096
"""How much of a file tells its kind."""


class FileKind(StrEnum):
    """What is done with a file beside SHA-256 and MD5."""

    PICTURE = "picture"
    VIDEO = "video"
    PDF = "pdf"
    TEXT = "text"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Kind:
    """A file's kind.

    Attributes:
        kind: which.
        demuxer: of a video, FFmpeg's name of its container; else empty.
        is_behind: of a PDF, whether something stands before its mark.
    """

    kind: FileKind
    demuxer: str = ""
    is_behind: bool = False


_PICTURE: Final = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|BM.{12}[\x0c-\x7c]\x00\x00\x00|RIFF....WEBP",
    re.DOTALL,
)
# Any box that players take at the start of an MP4 or QuickTime file, not only those that recorders
# begin with: whoever wants a film to pass unseen chooses the rarest.
_BOXES: Final = (
    rb"ftyp|styp|moov|moof|mdat|wide|free|skip|uuid|junk|pict|pnot|udta|sidx|ssix|emsg|prft|prfl"
    rb"|ediw|meta"
)
_MOV: Final = re.compile(rb".{4}(?:" + _BOXES + rb")", re.DOTALL)
_CONTAINERS: Final = (
    (re.compile(rb"\x1aE\xdf\xa3"), "matroska"),
    (re.compile(rb"RIFF....AVI ", re.DOTALL), "avi"),
    (re.compile(rb"FLV\x01"), "flv"),
    (re.compile(rb"OggS"), "ogg"),
    # A program stream begins with its pack header, or with a packet of it.
    (re.compile(rb"\x00\x00\x01[\xba-\xef]"), "mpeg"),
    # Film without a container: MPEG-1 and 2, MPEG-4.
    (re.compile(rb"\x00\x00\x01\xb3"), "mpegvideo"),
    (re.compile(rb"\x00\x00\x01[\x00-\x1f\xb0\xb5]"), "m4v"),
    (re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), "asf"),
    # A packet of 188 bytes begins with 0x47, and so does the next; on discs four bytes of time
    # stand before each, in broadcasts sixteen of correction behind it. Players seek the first.
    (
        re.compile(
            rb".*?(?:\x47.{187}){3}\x47|.*?(?:\x47.{191}){3}\x47|.*?(?:\x47.{203}){3}\x47",
            re.DOTALL,
        ),
        "mpegts",
    ),
)
# Pictures that no decoder of ours takes (AVIF, HEIC, TIFF, JPEG XL, Photoshop): they are told to be
# unreadable, and not taken for files of which nobody expects more than their bytes.
_PICTURE_UNTAKEN: Final = re.compile(
    rb".{4}ftyp(?:avif|avis|heic|heix|heim|heis|hevc|hevx|mif1|msf1)"
    rb"|II\*\x00|MM\x00\*|\xff\x0a|\x00\x00\x00\x0cJXL |8BPS",
    re.DOTALL,
)
_PDF: Final = b"%PDF-"
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


def kind_of(beginning: bytes) -> Kind:
    """The kind of a file, from its first BEGINNING_BYTES."""
    if _PICTURE.match(beginning) or _PICTURE_UNTAKEN.match(beginning):
        return Kind(FileKind.PICTURE)
    if beginning.startswith(_PDF):
        return Kind(FileKind.PDF)
    # "The picture" has the name of a box where a box has it. A film whose first 4,096 bytes are a
    # text would begin with a box far longer than any text that is read: it is told to be unread.
    is_text = _is_text(beginning)
    is_words = is_text and beginning[:2] not in _UTF16
    if _MOV.match(beginning) and not is_words:
        return Kind(FileKind.VIDEO, "mov")
    for mark, demuxer in _CONTAINERS:
        if mark.match(beginning):
            return Kind(FileKind.VIDEO, demuxer)
    # Viewers look for the mark of a PDF in the first kilobyte, not only at its start; players never
    # do, so what they play was told before.
    if _PDF in beginning[:1_024]:
        return Kind(FileKind.PDF, is_behind=True)
    return Kind(FileKind.TEXT if is_text else FileKind.OTHER)


def _is_text(beginning: bytes) -> bool:
    if beginning[:2] in _UTF16:
        return True
    try:
        # What is cut off within a character at the end of the beginning may be whole in the file.
        text = beginning.decode("utf-8", "strict" if len(beginning) < BEGINNING_BYTES else "ignore")
    except UnicodeDecodeError:
        return False
    if len(beginning) >= BEGINNING_BYTES and len(text.encode()) < len(beginning) - 3:
        return False
    return bool(text.strip()) and _CONTROL.search(text) is None
