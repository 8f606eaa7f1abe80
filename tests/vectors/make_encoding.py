"""Vectors of docs/spec/encoding.md: bytes in their only form, and every other form refused."""

from __future__ import annotations

import struct

from federation.errors import EncodingMalformed, TooLarge
from tests.vectors.by_hand import FALSE, NIL, TRUE, array, binary, fields, integer, mapping, text
from tests.vectors.cases import Case, Json, accepted, refused

BYTES_MAX = 65_536
A, B = text("a"), text("b")


def _reads(desc: str, encoded: bytes, value: Json) -> Case:
    return accepted("decode", desc, value, encoded_hex=encoded.hex(), bytes_max=BYTES_MAX)


def _refused(desc: str, encoded: bytes) -> Case:
    return refused(
        "decode", desc, EncodingMalformed, encoded_hex=encoded.hex(), bytes_max=BYTES_MAX
    )


def _nested(depth: int) -> bytes:
    return b"\x91" * (depth - 1) + b"\x90"


def _nested_value(depth: int) -> Json:
    value: list[Json] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def _accepted() -> list[Case]:
    example = fields(at=integer(7), seen=TRUE, v=binary(b"\x00\xff"), who=text("acme.example"))
    integers = [0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**53 - 1]
    return [
        _reads(
            "the example of the page",
            example,
            {"at": 7, "seen": True, "v": {"bytes": "00ff"}, "who": "acme.example"},
        ),
        *[_reads(f"integer {value}", integer(value), value) for value in integers],
        _reads("true", TRUE, True),
        _reads("false", FALSE, False),
        *[
            _reads(f"text of {size} characters", text("x" * size), "x" * size)
            for size in (0, 31, 32, 255, 256)
        ],
        _reads("text of two-byte and four-byte characters", text("é🜁"), "é🜁"),
        _reads("text with a zero character", text("\0"), "\0"),
        *[
            _reads(f"{size} bytes", binary(bytes(size)), {"bytes": bytes(size).hex()})
            for size in (0, 1, 255, 256)
        ],
        _reads("an empty list", array([]), []),
        _reads("a list of 15", array([integer(1)] * 15), [1] * 15),
        _reads("a list of 16", array([integer(1)] * 16), [1] * 16),
        _reads("an empty map", mapping([]), {}),
        _reads(
            "a map of 16 keys",
            fields(**{f"k{number:02}": integer(number) for number in range(16)}),
            {f"k{number:02}": number for number in range(16)},
        ),
        _reads(
            "keys sort by their UTF-8 bytes, which is by code point",
            mapping([(text("Z"), TRUE), (A, TRUE), (text("é"), TRUE), (text("\U0001f701"), TRUE)]),
            {"Z": True, "a": True, "é": True, "\U0001f701": True},
        ),
        _reads(
            "a key that begins another sorts first",
            fields(a=TRUE, ab=TRUE),
            {"a": True, "ab": True},
        ),
        _reads("a key of 16 characters", fields(**{"k" * 16: TRUE}), {"k" * 16: True}),
        _reads("lists nested 8 deep", _nested(8), _nested_value(8)),
        accepted(
            "decode_map",
            "a map where a map is expected",
            {"a": True},
            encoded_hex=fields(a=TRUE).hex(),
            bytes_max=BYTES_MAX,
        ),
    ]


def _other_forms() -> list[Case]:
    """The same values in a form that MessagePack allows and this encoding does not."""
    return [
        *[_refused(f"the integer 1 in {width} bytes", integer(1, width)) for width in (1, 2, 4, 8)],
        _refused("the integer 256 in 4 bytes", integer(256, 4)),
        _refused("the integer 1 as a signed byte", b"\xd0\x01"),
        _refused("the integer 256 as a signed 64-bit integer", b"\xd3" + struct.pack(">q", 256)),
        *[
            _refused(f"short text with a length of {width} bytes", text("a", width))
            for width in (1, 2, 4)
        ],
        _refused("a length in 2 bytes for 32 characters", text("x" * 32, 2)),
        *[
            _refused(f"bytes with a length of {width} bytes", binary(b"a", width))
            for width in (2, 4)
        ],
        *[
            _refused(f"a short list with a count of {width} bytes", array([TRUE], width))
            for width in (2, 4)
        ],
        *[
            _refused(f"a small map with a count of {width} bytes", mapping([(A, TRUE)], width))
            for width in (2, 4)
        ],
        _refused("keys out of order", mapping([(B, TRUE), (A, TRUE)])),
        _refused("inner keys out of order", array([mapping([(B, TRUE), (A, TRUE)])])),
        _refused("keys sorted by length first", mapping([(B, TRUE), (text("aa"), TRUE)])),
        _refused("one key twice with one value", mapping([(A, TRUE), (A, TRUE)])),
        _refused("one key twice with two values", mapping([(A, TRUE), (A, FALSE)])),
        _refused("one key in two forms", mapping([(A, TRUE), (text("a", 1), TRUE)])),
    ]


def _foreign_types() -> list[Case]:
    return [
        _refused("nil", NIL),
        _refused("nil inside a map", fields(a=NIL)),
        _refused("a 32-bit float", b"\xca" + struct.pack(">f", 1.0)),
        _refused("a 64-bit float", b"\xcb" + struct.pack(">d", 1.0)),
        _refused("not a number", b"\xcb" + struct.pack(">d", float("nan"))),
        _refused("minus 1", b"\xff"),
        _refused("minus 32", b"\xe0"),
        _refused("minus 128 as a signed byte", b"\xd0\x80"),
        _refused("2^53", integer(2**53)),
        _refused("2^64 - 1", integer(2**64 - 1)),
        _refused("an extension of 1 byte", b"\xd4\x05\x00"),
        _refused("an extension without bytes", b"\xc7\x00\x05"),
        _refused("a timestamp", b"\xd6\xff" + bytes(4)),
        _refused("a timestamp of 96 bits", b"\xc7\x0c\xff" + bytes(12)),
        _refused("the byte that MessagePack never uses", b"\xc1"),
        _refused("an integer as a key", mapping([(integer(1), TRUE)])),
        _refused("bytes as a key", mapping([(binary(b"a"), TRUE)])),
        _refused("a list as a key", mapping([(array([]), TRUE)])),
        _refused("a boolean as a key", mapping([(TRUE, TRUE)])),
        _refused("an empty key", mapping([(text(""), TRUE)])),
        _refused("a key of 17 characters", mapping([(text("k" * 17), TRUE)])),
    ]


def _broken() -> list[Case]:
    return [
        _refused("no bytes at all", b""),
        _refused("a byte left over", b"\x01\x00"),
        _refused("a second value", fields(a=TRUE) + fields(a=TRUE)),
        _refused("text cut short", text("abc")[:-1]),
        _refused("a length cut short", b"\xda\x00"),
        _refused("a list that lacks a part", b"\x92\x01"),
        _refused("a map that lacks a value", b"\x81" + A),
        _refused("text that is not UTF-8", text(b"\xff")),
        _refused("text with a surrogate", text(b"\xed\xa0\x80")),
        _refused("text with a code point in too many bytes", text(b"\xc0\x80")),
        _refused("a key that is not UTF-8", mapping([(text(b"\xff"), TRUE)])),
        _refused("lists nested 9 deep", _nested(9)),
        _refused("lists nested 2,000 deep", _nested(2_000)),
        _refused("a list that claims 2^32 - 1 parts", b"\xdd\xff\xff\xff\xff"),
        _refused(
            "1,000 nested lists that each claim 65,536 parts", b"\xdd\x00\x01\x00\x00" * 1_000
        ),
        _refused("bytes that claim to be 4 GiB", b"\xc6\xff\xff\xff\xff"),
        refused(
            "decode",
            "one byte over the limit",
            TooLarge,
            encoded_hex=binary(bytes(7)).hex(),
            bytes_max=8,
        ),
        refused(
            "decode_map",
            "a list where a map is expected",
            EncodingMalformed,
            encoded_hex=array([]).hex(),
            bytes_max=BYTES_MAX,
        ),
    ]


def cases() -> list[Case]:
    """All cases; bytes as values are written ``{"bytes": hex}``."""
    return [*_accepted(), *_other_forms(), *_foreign_types(), *_broken()]
