"""What a file is, its first bytes say; its name is its sender's word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.media.kinds import BEGINNING_BYTES, FileKind, Kind, kind_of

KINDS: dict[str, tuple[bytes, Kind]] = {
    "JPEG": (b"\xff\xd8\xff\xe0", Kind(FileKind.PICTURE)),
    "PNG": (b"\x89PNG\r\n\x1a\n", Kind(FileKind.PICTURE)),
    "GIF": (b"GIF89a", Kind(FileKind.PICTURE)),
    "WebP": (b"RIFF....WEBPVP8 ", Kind(FileKind.PICTURE)),
    "BMP": (b"BM\x10\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", Kind(FileKind.PICTURE)),
    "AVIF, which no decoder takes": (b"\0\0\0\x1cftypavif", Kind(FileKind.PICTURE)),
    "HEIC, which no decoder takes": (b"\0\0\0\x1cftypheic", Kind(FileKind.PICTURE)),
    "TIFF, which no decoder takes": (b"II*\0", Kind(FileKind.PICTURE)),
    "MP4": (b"\0\0\0\x1cftypisom", Kind(FileKind.VIDEO, "mov")),
    "QuickTime without a brand": (b"\0\0\0\x08wide\0\0\0\0mdat", Kind(FileKind.VIDEO, "mov")),
    "WebM": (b"\x1aE\xdf\xa3", Kind(FileKind.VIDEO, "matroska")),
    "AVI": (b"RIFF....AVI LIST", Kind(FileKind.VIDEO, "avi")),
    "MPEG-TS": ((b"\x47" + bytes(187)) * 4, Kind(FileKind.VIDEO, "mpegts")),
    "a film that says it is sound": (b"\0\0\0\x1cftypM4A ", Kind(FileKind.VIDEO, "mov")),
    "MPEG-TS of a disc": ((b"TIME\x47" + bytes(187)) * 4, Kind(FileKind.VIDEO, "mpegts")),
    "MPEG-TS of a broadcast": ((b"\x47" + bytes(203)) * 4, Kind(FileKind.VIDEO, "mpegts")),
    "MPEG-TS behind other rubbish": (b"\0%PDF-" + (b"\x47" + bytes(187)) * 4,
                                     Kind(FileKind.VIDEO, "mpegts")),
    "MP4 that says it is UTF-16": (b"\xff\xfe\0\x08moov", Kind(FileKind.VIDEO, "mov")),
    "a program stream": (b"\0\0\1\xba\x44", Kind(FileKind.VIDEO, "mpeg")),
    "a program stream without its pack": (b"\0\0\1\xe0\x07", Kind(FileKind.VIDEO, "mpeg")),
    "MPEG-2 without a container": (b"\0\0\1\xb3\x14", Kind(FileKind.VIDEO, "mpegvideo")),
    "MPEG-4 without a container": (b"\0\0\1\xb0\x01", Kind(FileKind.VIDEO, "m4v")),
    "MP4 with the mark of a PDF": (b"\0\0\0\x1cftypisom%PDF-1.7", Kind(FileKind.VIDEO, "mov")),
    "a text with the name of a box": (b"The picture shows a street.", Kind(FileKind.TEXT)),
    "WAV": (b"RIFF\x24\0\0\0WAVEfmt ", Kind(FileKind.OTHER)),
    "PDF": (b"%PDF-1.7", Kind(FileKind.PDF)),
    "PDF behind rubbish": (b"\xff" * 900 + b"%PDF-1.7", Kind(FileKind.PDF, is_behind=True)),
    "text": ("a text, with an \u00fc".encode(), Kind(FileKind.TEXT)),
    "text cut within a character": (("x" + "\u00fc" * 4_000).encode()[:BEGINNING_BYTES],
                                    Kind(FileKind.TEXT)),
    "text in UTF-16": ("\ufeffa text".encode("utf-16-le"), Kind(FileKind.TEXT)),
    "Latin-1": (b"gr\xfcn", Kind(FileKind.OTHER)),
    "nothing": (b"", Kind(FileKind.OTHER)),
    "a program": (b"\x7fELF\2\1\1\0", Kind(FileKind.OTHER)),
    "a playlist that names other files": (b"#EXTM3U\nhttp://example.org/a.ts", Kind(FileKind.TEXT)),
    "a list for FFmpeg": (b"ffconcat version 1.0\nfile /etc/passwd", Kind(FileKind.TEXT)),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_kind_is_told_from_the_first_bytes(name: str) -> None:
    beginning, kind = KINDS[name]
    assert kind == kind_of(beginning)


@pytest.mark.parametrize(
    "name", ["styp", "uuid", "junk", "pict", "pnot", "udta", "sidx", "emsg", "meta", "free"]
)
def test_a_film_may_begin_with_any_box(name: str) -> None:
    assert Kind(FileKind.VIDEO, "mov") == kind_of(b"\0\0\0\x18" + name.encode() + bytes(16))


@given(st.binary(max_size=BEGINNING_BYTES))
def test_any_bytes_have_a_kind(beginning: bytes) -> None:
    kind = kind_of(beginning)
    assert (kind.kind is FileKind.VIDEO) is bool(kind.demuxer)
