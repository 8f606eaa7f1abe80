"""Signed notes: what goes in comes out, and lines are added without touching the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import NoteMalformed, TooLarge
from federation.protocol.keys import UNICODE_SPACES
from federation.protocol.limits import NOTE_BYTES_MAX, NOTE_LINES_MAX
from federation.protocol.notes import (
    Note,
    NoteSignature,
    format_note,
    format_signature_line,
    parse_note,
    parse_signature_line,
    parse_signature_lines,
)
from federation.protocol.notes_writing import add_signatures

NAMES = st.text(
    st.characters(min_codepoint=0x21, exclude_categories=["Cs"]).filter(
        lambda letter: letter != "+" and letter not in UNICODE_SPACES
    ),
    min_size=1,
    max_size=20,
)
LINES = st.builds(
    NoteSignature,
    name=NAMES,
    key_id=st.binary(min_size=4, max_size=4),
    signature=st.binary(min_size=1, max_size=80),
)
TEXTS = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs"]) | st.just("\n")).map(
    lambda text: text + "\n"
)
NOTES = st.builds(
    Note,
    text=TEXTS,
    signatures=st.lists(LINES, min_size=1, max_size=5, unique_by=lambda line: line.signer).map(
        tuple
    ),
)
ONE = NoteSignature("acme.example", b"\1\2\3\4", b"one")
TWO = NoteSignature("borealis.example", b"\1\2\3\4", b"two")
RAW = format_note(Note("text\n", (ONE,)))


@given(NOTES)
def test_note_comes_back(note: Note) -> None:
    assert note == parse_note(format_note(note))


@given(LINES)
def test_signature_line_comes_back(line: NoteSignature) -> None:
    assert line == parse_signature_line(format_signature_line(line))


@given(NOTES, st.lists(LINES, max_size=5))
def test_added_lines_leave_every_byte_as_it_was(note: Note, lines: list[NoteSignature]) -> None:
    raw = format_note(note)
    signers = {line.signer for line in note.signatures}
    fresh = {line.signer: line for line in lines if line.signer not in signers}
    longer = add_signatures(raw, fresh.values())
    assert longer.startswith(raw)
    assert (*note.signatures, *fresh.values()) == parse_note(longer).signatures


def test_line_that_is_there_is_not_added_twice() -> None:
    assert RAW == add_signatures(RAW, [ONE])
    assert add_signatures(RAW, [TWO]) == add_signatures(RAW, [TWO, ONE, TWO])


def test_second_word_of_one_key_is_not_added() -> None:
    with pytest.raises(NoteMalformed):
        add_signatures(RAW, [NoteSignature(*ONE.signer, b"another")])
    with pytest.raises(NoteMalformed):
        add_signatures(RAW, [TWO, NoteSignature(*TWO.signer, b"another")])


def test_nothing_is_added_to_what_is_no_note() -> None:
    with pytest.raises(NoteMalformed):
        add_signatures(RAW[:-1], [TWO])


def test_signature_is_found_by_name_and_key_id_together() -> None:
    note = parse_note(add_signatures(RAW, [TWO]))
    assert ONE == note.signature_by(*ONE.signer)
    assert TWO == note.signature_by(*TWO.signer)
    assert note.signature_by(ONE.name, b"\0\0\0\0") is None
    assert note.signature_by("dorado.example", ONE.key_id) is None


def test_witness_answer_of_several_lines() -> None:
    lines = format_signature_line(ONE) + format_signature_line(TWO)
    assert (ONE, TWO) == parse_signature_lines(lines)
    for broken in ("", "\n", lines[:-1], lines + "\n", lines + lines):
        with pytest.raises(NoteMalformed):
            parse_signature_lines(broken)


def test_note_over_the_byte_limit_is_refused_unread() -> None:
    with pytest.raises(TooLarge):
        parse_note(b"\xff" * (NOTE_BYTES_MAX + 1))
    largest = RAW.replace(b"text", b"t" * (NOTE_BYTES_MAX - len(RAW) + 4))
    assert NOTE_BYTES_MAX == len(largest)
    parse_note(largest)
    with pytest.raises(TooLarge):
        add_signatures(largest, [TWO])
    with pytest.raises(TooLarge):
        format_note(Note("t" * NOTE_BYTES_MAX + "\n", (ONE,)))


def test_note_over_the_line_limit_is_not_made() -> None:
    lines = [NoteSignature(f"w{nth}", b"\0\0\0\0", b"x") for nth in range(NOTE_LINES_MAX)]
    with pytest.raises(TooLarge):
        add_signatures(RAW, lines)
    with pytest.raises(TooLarge):
        Note("text\n", (ONE, *lines))


@pytest.mark.parametrize("text", ["", "text", "text\n\t\n", "text\r\n", "\ud800\n"])
def test_text_that_no_note_carries_is_not_made_into_one(text: str) -> None:
    with pytest.raises(NoteMalformed):
        Note(text, (ONE,))


@pytest.mark.parametrize(
    ("name", "key_id", "signature"),
    [
        ("", b"\0\0\0\0", b"x"),
        ("a b", b"\0\0\0\0", b"x"),
        ("a+b", b"\0\0\0\0", b"x"),
        ("a\nb", b"\0\0\0\0", b"x"),
        ("a", b"\0\0\0", b"x"),
        ("a", b"\0\0\0\0\0", b"x"),
        ("a", b"\0\0\0\0", b""),
    ],
)
def test_line_that_no_note_carries_is_not_made(name: str, key_id: bytes, signature: bytes) -> None:
    with pytest.raises(NoteMalformed):
        NoteSignature(name, key_id, signature)
