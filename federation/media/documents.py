"""The words of a PDF or a text -> TLSH, so that copies with small changes are near.

Reads hostile bytes, so only a worker (``file_worker``) and tests import this module. What is hashed
is the text, not the file: two programs write one text as two PDFs without a byte in common.

Source: docs/spec/signals.md; Oliver, Cheng, Chen, "TLSH" (CTC 2013).
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from typing import BinaryIO, Final

import pypdf
import tlsh

from federation.local_errors.content import DocumentTooLarge, DocumentUnreadable
from federation.media.kinds import FileKind
from federation.media.limits import (
    DOCUMENT_BYTES_MAX,
    DOCUMENT_CHARACTERS_MAX,
    DOCUMENT_PAGES_MAX,
)

TEXT_BYTES_MIN: Final = 256
"""Less text has no TLSH: its authors' older limit, since short texts are near too much."""

_SPACE: Final = re.compile(r"\s+")
# Controls, formats (zero-width spaces, directions) and what no Unicode has assigned: not read.
_UNREAD_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
_VERSION: Final = "T1"
_BOMS: Final = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def tlsh_of_document(
    stream: BinaryIO, kind: FileKind, *, bytes_max: int = DOCUMENT_BYTES_MAX
) -> bytes | None:
    """TLSH of a document's text: 35 bytes, or None where there is too little of it.

    Args:
        stream: the file, from its start, seekable.
        kind: PDF or TEXT.
        bytes_max: length of the file.

    Raises:
        DocumentUnreadable: a broken or encrypted PDF, or a text that is not Unicode.
        DocumentTooLarge: too many bytes, pages or characters, or memory ran out (then that is
            the cause).
    """
    if stream.seek(0, 2) > bytes_max:
        raise DocumentTooLarge(f"a document is read up to {bytes_max} bytes")
    stream.seek(0)
    try:
        text = _words_of_pdf(stream) if kind is FileKind.PDF else _words_of_text(stream)
    except (DocumentTooLarge, DocumentUnreadable):
        raise
    except MemoryError as shortage:
        raise DocumentTooLarge("the document needs more memory than allowed") from shortage
    except Exception:  # noqa: BLE001 -- pypdf lets errors of many classes out, RecursionError one
        raise DocumentUnreadable("the document cannot be read") from None
    return tlsh_of_text(text)


def normalise_text(text: str) -> str:
    """One form of a text, whatever program wrote it: see docs/spec/signals.md."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    spaced = _SPACE.sub(" ", folded).strip()
    return "".join(
        letter for letter in spaced if unicodedata.category(letter) not in _UNREAD_CATEGORIES
    )


def tlsh_of_text(text: str) -> bytes | None:
    """TLSH of a text's one form: 35 bytes, or None where there is too little of it."""
    words = normalise_text(text).encode("utf-8")
    if len(words) < TEXT_BYTES_MIN:
        return None
    digest: str = tlsh.hash(words)
    if not digest.startswith(_VERSION):  # "TNULL": too little variety
        return None
    return bytes.fromhex(digest.removeprefix(_VERSION))


def _words_of_text(stream: BinaryIO) -> str:
    raw = stream.read()
    try:
        text = raw.decode(_BOMS.get(raw[:2], "utf-8-sig"))
    except UnicodeDecodeError:
        raise DocumentUnreadable("the text is not Unicode") from None
    _check_characters(len(text))
    return text


def _words_of_pdf(stream: BinaryIO) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reader = pypdf.PdfReader(stream, strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise DocumentUnreadable("the PDF needs a password")
        if len(reader.pages) > DOCUMENT_PAGES_MAX:
            raise DocumentTooLarge(f"a PDF is read up to {DOCUMENT_PAGES_MAX} pages")
        parts, characters = [], 0
        for page in reader.pages:
            part = page.extract_text()
            characters += len(part)
            _check_characters(characters)
            parts.append(part)
    return "\n".join(parts)


def _check_characters(count: int) -> None:
    if count > DOCUMENT_CHARACTERS_MAX:
        raise DocumentTooLarge(f"a document is read up to {DOCUMENT_CHARACTERS_MAX} characters")
