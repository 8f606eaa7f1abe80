"""The words of PDFs and texts: one text is one signal in whatever file; small changes are near."""

from __future__ import annotations

import io
import zlib

import pytest
import tlsh

from federation.local_errors.content import DocumentTooLarge, DocumentUnreadable
from federation.media.documents import normalise_text, tlsh_of_document, tlsh_of_text
from federation.media.kinds import FileKind

WORDS = " ".join(
    f"In chapter {number} the author tells of the {number * number}th reason, at length, and of "
    f"what follows from number {number * 7 % 31} for everybody."
    for number in range(60)
)


def pdf(text: str, *, per_line: int = 60, size: int = 10, pack: bool = True) -> bytes:
    """A PDF of one page that shows a text, written by hand."""
    lines = [text[at : at + per_line] for at in range(0, len(text), per_line)]
    shown = "".join(f"({line}) Tj T*\n" for line in lines)
    drawn = f"BT /F {size} Tf {size} TL 20 800 Td\n{shown}ET".encode("latin-1")
    filters = b"/Filter /FlateDecode " if pack else b""
    drawn = zlib.compress(drawn) if pack else drawn
    objects = [
        b"<</Type /Catalog /Pages 2 0 R>>",
        b"<</Type /Pages /Kids [3 0 R] /Count 1>>",
        b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 600 840] /Contents 4 0 R /Resources 6 0 R>>",
        b"<<" + filters + b"/Length %d>> stream\n%s\nendstream" % (len(drawn), drawn),
        b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>",
        b"<</Font <</F 5 0 R>>>>",
    ]
    written, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, start=1):
        places.append(len(written))
        written += b"%d 0 obj %s endobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return (
        written + b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, table)
        + b"trailer <</Size %d /Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
            len(objects) + 1, len(written))
    )  # fmt: skip


def tlsh_of(content: bytes, kind: FileKind = FileKind.PDF, **limits: int) -> bytes | None:
    return tlsh_of_document(io.BytesIO(content), kind, **limits)


def distance(one: bytes | None, other: bytes | None) -> int:
    assert one is not None
    assert other is not None
    return int(tlsh.diff(f"T1{one.hex().upper()}", f"T1{other.hex().upper()}"))


def test_text_and_pdf_of_one_text_are_near_and_another_text_is_far() -> None:
    text = tlsh_of(WORDS.encode(), FileKind.TEXT)
    assert distance(text, tlsh_of(pdf(WORDS, per_line=4_000))) <= 30
    other = tlsh_of_text(WORDS.replace("the", "qzx").replace("a", "0w") + "lorem ipsum" * 90)
    assert distance(text, other) > 30


def test_another_layout_of_a_pdf_is_near() -> None:
    one, other = pdf(WORDS, per_line=61), pdf(WORDS, per_line=97, size=8, pack=False)
    assert one != other
    assert distance(tlsh_of(one), tlsh_of(other)) <= 30


def test_case_spaces_and_characters_that_nobody_sees_do_not_count() -> None:
    changed = WORDS.upper().replace(" ", "\u200b \n\t ").replace("1", "\uff11")
    assert normalise_text(WORDS) == normalise_text(changed)
    assert tlsh_of_text(WORDS) == tlsh_of_text(changed)


def test_a_text_with_one_sentence_changed_is_near() -> None:
    assert 0 < distance(tlsh_of_text(WORDS), tlsh_of_text(WORDS[:-300] + "This is new.")) <= 30


@pytest.mark.parametrize("text", ["", "too short", "ab" * 1_000])
def test_too_little_text_has_no_signal(text: str) -> None:
    assert tlsh_of_text(text) is None
    assert tlsh_of(pdf(text)) is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_texts_in_the_encodings_that_say_so_are_one(encoding: str) -> None:
    assert tlsh_of_text(WORDS) == tlsh_of(WORDS.encode(encoding), FileKind.TEXT)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"gr\xfcn " * 100, FileKind.TEXT),
        (b"%PDF-1.7", FileKind.PDF),
        (b"%PDF-1.7\n" + bytes(1_000), FileKind.PDF),
        (pdf(WORDS)[:300], FileKind.PDF),
    ],
)
def test_what_is_broken_is_refused(content: bytes, kind: FileKind) -> None:
    with pytest.raises(DocumentUnreadable):
        tlsh_of(content, kind)


def test_a_pdf_with_a_password_is_refused() -> None:
    import pypdf

    writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf(WORDS)))
    writer.encrypt("secret", algorithm="RC4-128")
    locked = io.BytesIO()
    writer.write(locked)
    with pytest.raises(DocumentUnreadable):
        tlsh_of(locked.getvalue())


def test_a_document_over_the_limit_is_refused_unread() -> None:
    with pytest.raises(DocumentTooLarge):
        tlsh_of(pdf(WORDS), bytes_max=1_000)
    with pytest.raises(DocumentTooLarge):
        tlsh_of(b"a b " * 3_000_000, FileKind.TEXT)
