"""Signed notes: a text and, below an empty line, the signatures over it (C2SP signed-note).

    node-a.example/log            the text, which ends with a newline
    ...
                                  the last empty line of the note
    — node-a.example/log GgKX…    em dash, key name, base64 of 4-byte key id and signature

Parsing proves nothing: other rooms judge the signatures. It is stricter than the C2SP page, because
every byte that may vary is a byte two implementations can disagree about: base64 in its canonical
form, no two lines by one key. Formatting a parsed note gives the received bytes back.

Source: docs/spec/notes.md; C2SP signed-note v1.0.0, and C2SP pull request 327 for the duplicates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from federation.errors import KeyMalformed, NoteMalformed, TooLarge
from federation.protocol.keys import KEY_ID_BYTES, check_key_name
from federation.protocol.limits import NOTE_BYTES_MAX, NOTE_LINES_MAX
from federation.protocol.texts import check_characters, format_base64, parse_base64

SIGNATURE_LINE_START: Final = "\u2014 "
"""Em dash and space."""


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """A signature line, not judged: name, 4 bytes of key id, signature. Raises: NoteMalformed."""

    name: str
    key_id: bytes
    signature: bytes

    def __post_init__(self) -> None:
        try:
            check_key_name(self.name)
        except KeyMalformed as wrong:
            raise NoteMalformed(f"a signature line: {wrong.message}") from None
        if len(self.key_id) != KEY_ID_BYTES or not self.signature:
            raise NoteMalformed(f"a signature line has {KEY_ID_BYTES} bytes of key id and more")

    @property
    def signer(self) -> tuple[str, bytes]:
        """Name and key id, which together name the key."""
        return self.name, self.key_id


@dataclass(frozen=True, slots=True)
class Note:
    """A text and the lines under it, none of them judged. Raises: NoteMalformed, TooLarge."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def __post_init__(self) -> None:
        if not self.text.endswith("\n"):
            raise NoteMalformed("the text of a note ends with a newline")
        check_characters(self.text, NoteMalformed, "the note")
        check_signers(self.signatures)

    def signature_by(self, name: str, key_id: bytes) -> NoteSignature | None:
        """The line of that key, or None."""
        return next((each for each in self.signatures if each.signer == (name, key_id)), None)


@lru_cache(maxsize=4)  # a head, then the cosignatures under it
def parse_note(raw: bytes) -> Note:
    """Read a signed note. Raises: NoteMalformed, TooLarge: docs/spec/notes.md says when."""
    if len(raw) > NOTE_BYTES_MAX:
        raise TooLarge(f"a note has at most {NOTE_BYTES_MAX} bytes")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise NoteMalformed("the note is not UTF-8") from None
    # The text may hold empty lines; signature lines cannot.
    text, empty_line, lines = whole.rpartition("\n\n")
    if not empty_line:
        raise NoteMalformed("no empty line separates the text from the signatures")
    return Note(text + "\n", parse_signature_lines(lines))


def format_note(note: Note) -> bytes:
    """Write a signed note. Raises: TooLarge: over ``NOTE_BYTES_MAX`` bytes."""
    lines = "".join(format_signature_line(line) for line in note.signatures)
    raw = f"{note.text}\n{lines}".encode()
    if len(raw) > NOTE_BYTES_MAX:
        raise TooLarge(f"a note has at most {NOTE_BYTES_MAX} bytes")
    return raw


def parse_signature_lines(text: str) -> tuple[NoteSignature, ...]:
    """Read signature lines, as in a note or a witness's answer. Raises: NoteMalformed, TooLarge."""
    if not text.endswith("\n"):
        raise NoteMalformed("the last signature line has no newline")
    lines = text[:-1].split("\n")
    if len(lines) > NOTE_LINES_MAX:
        raise TooLarge(f"a note has at most {NOTE_LINES_MAX} signature lines")
    signatures = tuple(parse_signature_line(line + "\n") for line in lines)
    check_signers(signatures)
    return signatures


@lru_cache(maxsize=64)
def parse_signature_line(line: str) -> NoteSignature:
    """Read one line, with its newline. Raises: NoteMalformed: not dash, name, canonical base64."""
    if not (line.startswith(SIGNATURE_LINE_START) and line.endswith("\n")):
        raise NoteMalformed("a signature line starts with an em dash and ends with a newline")
    # A second space would stand in the base64, which has none.
    name, _, encoded = line[len(SIGNATURE_LINE_START) : -1].partition(" ")
    signed = parse_base64(encoded, NoteMalformed, "a signature")
    return NoteSignature(name, signed[:KEY_ID_BYTES], signed[KEY_ID_BYTES:])


def format_signature_line(line: NoteSignature) -> str:
    """Write one signature line, with its newline."""
    return f"{SIGNATURE_LINE_START}{line.name} {format_base64(line.key_id + line.signature)}\n"


def check_signers(signatures: tuple[NoteSignature, ...]) -> None:
    """Accept the lines of one note. Raises: NoteMalformed: none, or two by one key; TooLarge."""
    if not signatures:
        raise NoteMalformed("a note has at least one signature")
    if len(signatures) > NOTE_LINES_MAX:
        raise TooLarge(f"a note has at most {NOTE_LINES_MAX} signature lines")
    if len({line.signer for line in signatures}) != len(signatures):
        raise NoteMalformed("two signature lines are by one key")
