"""Vectors of docs/spec/texts.md: base64, decimals and characters in their only form."""

from __future__ import annotations

from federation.errors import NoteMalformed
from tests.vectors.cases import Case, accepted, refused

GOOD_BASE64 = (
    ("nothing", "", ""),
    ("one byte", "AA==", "00"),
    ("two bytes", "/wA=", "ff00"),
    ("three bytes", "+/+/", "fbffbf"),
)

BAD_BASE64 = (
    ("no padding", "AA"),
    ("half the padding", "AA="),
    ("too much padding", "AAA=="),
    ("only padding", "===="),
    ("spare bits set after one byte", "AB=="),
    ("spare bits set after two bytes", "/wB="),
    ("padding in the middle", "AA==AAAA"),
    ("the URL alphabet", "-_-_"),
    ("a space at the end", "AAAA "),
    ("a newline at the end", "AAAA\n"),
    ("a newline in the middle", "AA\nAA"),
    ("a letter beyond ASCII", "AAA\u0391"),
    ("a single letter", "A"),
)

GOOD_DECIMALS = ("0", "1", "10", "9007199254740993", "9223372036854775807")

BAD_DECIMALS = (
    ("nothing", ""),
    ("a leading zero", "03"),
    ("two zeros", "00"),
    ("a plus", "+3"),
    ("a minus", "-3"),
    ("minus zero", "-0"),
    ("a space before", " 3"),
    ("a space behind", "3 "),
    ("a newline behind", "3\n"),
    ("an underscore", "1_0"),
    ("an exponent", "1e3"),
    ("a fraction", "3.0"),
    ("hex", "0x3"),
    ("an Arabic digit", "\u0663"),
    ("a superscript digit", "\u00b3"),
    ("2^63", "9223372036854775808"),
    ("2^64 + 3, which 64 bits would take for 3", "18446744073709551619"),
    ("five thousand digits", "9" * 5000),
)


def cases() -> list[Case]:
    """All of them, in order."""
    made = [
        accepted("base64", f"base64: {desc}", raw, text=text) for desc, text, raw in GOOD_BASE64
    ]
    made += [
        refused("base64", f"base64: {desc}", NoteMalformed, text=text) for desc, text in BAD_BASE64
    ]
    made += [accepted("decimal", f"decimal: {text}", text, text=text) for text in GOOD_DECIMALS]
    made += [
        refused("decimal", f"decimal: {desc}", NoteMalformed, text=text)
        for desc, text in BAD_DECIMALS
    ]
    made.append(accepted("characters", "newlines, accents and a DEL", text="a\n\u00e9\u2014\x7f\n"))
    made += [
        refused("characters", f"the control character {code:02x}", NoteMalformed, text=chr(code))
        for code in range(0x20)
        if code != ord("\n")
    ]
    made.append(refused("characters", "half of a surrogate pair", NoteMalformed, text="a\ud83d"))
    return made
