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
    """

    kind: FileKind
    demuxer: str = ""


_PICTURE: Final = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|BM.{12}[\x0c-\x7c]\x00\x00\x00|RIFF....WEBP",
    re.DOTALL,
)
_CONTAINERS: Final = (
    (re.compile(rb".{4}(?:ftyp|moov|mdat|wide|free|skip)", re.DOTALL), "mov"),
    (re.compile(rb"\x1aE\xdf\xa3"), "matroska"),
    (re.compile(rb"RIFF....AVI ", re.DOTALL), "avi"),
    (re.compile(rb"FLV\x01"), "flv"),
    (re.compile(rb"OggS"), "ogg"),
    (re.compile(rb"\x00\x00\x01\xba"), "mpeg"),
    (re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), "asf"),
    # A packet of 188 bytes begins with 0x47, and so does the next.
    (re.compile(rb"\x47.{187}\x47.{187}\x47", re.DOTALL), "mpegts"),
)
# Pictures that no decoder of ours takes (AVIF, HEIC, TIFF, JPEG XL, Photoshop): they are told to be
# unreadable, and not taken for files of which nobody expects more than their bytes.
_PICTURE_UNTAKEN: Final = re.compile(
    rb".{4}ftyp(?:avif|avis|heic|heix|heim|heis|hevc|hevx|mif1|msf1)"
    rb"|II\*\x00|MM\x00\*|\xff\x0a|\x00\x00\x00\x0cJXL |8BPS",
    re.DOTALL,
)
# Sound in the container of MP4.
_SOUND: Final = re.compile(rb".{4}ftyp(?:M4A |M4B |M4P )", re.DOTALL)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


def kind_of(beginning: bytes) -> Kind:
    """The kind of a file, from its first BEGINNING_BYTES."""
    if _PICTURE.match(beginning) or _PICTURE_UNTAKEN.match(beginning):
        return Kind(FileKind.PICTURE)
    # Viewers look for the mark of a PDF in the first kilobyte, not only at its start.
    if b"%PDF-" in beginning[:1_024]:
        return Kind(FileKind.PDF)
    if _SOUND.match(beginning):
        return Kind(FileKind.OTHER)
    for mark, demuxer in _CONTAINERS:
        if mark.match(beginning):
            return Kind(FileKind.VIDEO, demuxer)
    return Kind(FileKind.TEXT if _is_text(beginning) else FileKind.OTHER)


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
