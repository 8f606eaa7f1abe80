"""Vectors of docs/spec/notes.md: signed notes and single signature lines, none of them judged."""

from __future__ import annotations

from collections.abc import Iterator

from federation.errors import NoteMalformed, TooLarge
from federation.protocol.limits import NOTE_LINES_MAX
from federation.protocol.notes import Note, NoteSignature, format_note, format_signature_line
from tests.vectors.cases import Case, Json, accepted, as_input, refused

DASH = "\u2014"
TEXT = "a text\n"
LINE = NoteSignature("acme.example", b"\x01\x02\x03\x04", b"signature")
OTHER = NoteSignature("borealis.example", b"\x01\x02\x03\x04", b"signature")
GOOD = format_note(Note(TEXT, (LINE,)))


def line_gives(line: NoteSignature) -> Json:
    """What reading a signature line gives."""
    return {
        "name": line.name,
        "key_id_hex": line.key_id.hex(),
        "signature_hex": line.signature.hex(),
    }


def good_notes() -> Iterator[Case]:
    sixteen = tuple(NoteSignature(f"w{nth}.example", b"\0" * 4, b"x" * 72) for nth in range(16))
    many = tuple(NoteSignature(f"w{nth}", b"\0" * 4, b"x") for nth in range(NOTE_LINES_MAX))
    chosen = (
        ("one line", Note(TEXT, (LINE,))),
        ("two lines", Note(TEXT, (LINE, OTHER))),
        ("one name, two keys", Note(TEXT, (LINE, NoteSignature(LINE.name, b"\5\6\7\x08", b"x")))),
        ("an empty line in the text", Note("a\n\nb\n", (LINE,))),
        ("what looks like a signature in the text", Note(f"{GOOD.decode()}", (OTHER,))),
        ("a text that is one newline", Note("\n", (LINE,))),
        ("a text that ends with an empty line", Note("a\n\n", (LINE,))),
        ("letters beyond ASCII", Note("\u00e9 \U0001f30d\n", (LINE,))),
        ("a name beyond ASCII", Note(TEXT, (NoteSignature("caf\u00e9", b"\0" * 4, b"x"),))),
        ("a signature of one byte", Note(TEXT, (NoteSignature("a", b"\xff" * 4, b"\0"),))),
        ("sixteen lines, which every reader must take", Note(TEXT, sixteen)),
        (f"{NOTE_LINES_MAX} lines", Note(TEXT, many)),
    )
    for desc, note in chosen:
        gives: Json = {
            "text": note.text,
            "signatures": [line_gives(line) for line in note.signatures],
        }
        yield accepted("note", f"note: {desc}", gives, **as_input("note", format_note(note)))


def bad_notes() -> Iterator[Case]:
    line = format_signature_line(LINE)
    second = format_signature_line(NoteSignature(*LINE.signer, b"other"))
    chosen = (
        ("nothing", b""),
        ("a text alone", TEXT.encode()),
        ("a text and an empty line", f"{TEXT}\n".encode()),
        ("no text", f"\n{line}".encode()),
        ("signatures alone", line.encode()),
        ("no empty line", f"{TEXT}{line}".encode()),
        ("no final newline", GOOD[:-1]),
        ("two final newlines", GOOD + b"\n"),
        ("a line after the signatures", GOOD + b"more\n"),
        ("an empty line among the signatures", GOOD + b"\n" + b"more\n"),
        ("Windows newlines", GOOD.replace(b"\n", b"\r\n")),
        ("a tab in the text", GOOD.replace(b"a text", b"a\ttext")),
        ("a zero byte in the text", GOOD.replace(b"a text", b"a\0text")),
        ("not UTF-8", GOOD.replace(b"a text", b"a\xfftext")),
        ("half of a surrogate pair in UTF-8", GOOD.replace(b"a text", b"a\xed\xa0\xbdtext")),
        ("a newline spelt with two bytes", GOOD.replace(b"a text", b"a\xc0\x8atext")),
        ("cut within a letter", GOOD[:-1] + DASH.encode()[:2]),
        ("one line twice", f"{TEXT}\n{line}{line}".encode()),
        ("one key twice, with two signatures", f"{TEXT}\n{line}{second}".encode()),
    )
    for desc, raw in chosen:
        yield refused("note", f"note: {desc}", NoteMalformed, **as_input("note", raw))
    lines = "".join(f"{DASH} w{nth} AAAAAHg=\n" for nth in range(NOTE_LINES_MAX + 1))
    wording = f"note: {NOTE_LINES_MAX + 1} lines"
    yield refused("note", wording, TooLarge, **as_input("note", f"{TEXT}\n{lines}".encode()))


def lines() -> Iterator[Case]:
    good = format_signature_line(LINE)
    _, name, encoded = good[:-1].split(" ")
    yield accepted("signature_line", "line: a good one", line_gives(LINE), text=good)
    chosen = (
        ("nothing", ""),
        ("only a newline", "\n"),
        ("no newline", good[:-1]),
        ("two newlines", good + "\n"),
        ("two lines", good + good),
        ("no em dash", f"{name} {encoded}\n"),
        ("a hyphen", f"- {name} {encoded}\n"),
        ("an en dash", f"\u2013 {name} {encoded}\n"),
        ("two dashes", f"{DASH}{DASH} {name} {encoded}\n"),
        ("no space after the dash", f"{DASH}{name} {encoded}\n"),
        ("two spaces after the dash", f"{DASH}  {name} {encoded}\n"),
        ("two spaces before the signature", f"{DASH} {name}  {encoded}\n"),
        ("a space at the end", f"{DASH} {name} {encoded} \n"),
        ("a fourth part", f"{DASH} {name} {encoded} {encoded}\n"),
        ("no name", f"{DASH}  {encoded}\n"),
        ("no signature", f"{DASH} {name}\n"),
        ("an empty signature", f"{DASH} {name} \n"),
        ("a plus in the name", f"{DASH} acme+example {encoded}\n"),
        ("a no-break space in the name", f"{DASH} acme\u00a0example {encoded}\n"),
        ("a line separator in the name", f"{DASH} acme\u2028example {encoded}\n"),
        ("a tab for a space", f"{DASH} {name}\t{encoded}\n"),
        ("a name of 256 bytes", f"{DASH} {'n' * 256} {encoded}\n"),
        ("three bytes", f"{DASH} {name} AQID\n"),
        ("a key id and nothing", f"{DASH} {name} AQIDBA==\n"),
        ("spare bits set", f"{DASH} {name} AQIDBAV=\n"),
        ("no padding", f"{DASH} {name} AQIDBAU\n"),
        ("the URL alphabet", f"{DASH} {name} -_-_AQID\n"),
        ("not base64", f"{DASH} {name} !!!!\n"),
    )
    for desc, text in chosen:
        yield refused("signature_line", f"line: {desc}", NoteMalformed, text=text)


def cases() -> list[Case]:
    """All of them, in order."""
    return [*good_notes(), *bad_notes(), *lines()]
