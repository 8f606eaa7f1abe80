"""The one encoding of signed and hashed bytes: deterministic MessagePack.

A value has exactly one encoding: maps have short text keys in sorted order without duplicates,
integers are the shortest and between 0 and 2^53 - 1, strings are valid UTF-8, and there are no
floats, no nil and no extension types. What arrives is decoded, encoded again and compared, and the
received bytes are what is hashed, stored and served.

Source: docs/spec/encoding.md. The only room that knows the msgpack library.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias, cast

import msgpack

from federation.errors import EncodingMalformed, TooLarge
from federation.protocol.limits import DEPTH_MAX, INTEGER_MAX, PARTS_MAX

Decoded: TypeAlias = "int | bool | str | bytes | list[Decoded] | dict[str, Decoded]"

UNCOUNTED_BYTES_MAX: Final = 1_024
"""Up to this length the library's own rule (no claim longer than the input) bounds what it reserves
for claims within claims, at 3 MB; longer input is counted before it is decoded."""

PACK: Final = msgpack.Packer(use_bin_type=True).pack  # each reserves 256 kB; no Python runs in it
KEY_CHARACTERS_MAX: Final = 16
"""A key is a field name of this protocol; the longest has 9 characters."""


def decode(encoded: bytes, *, bytes_max: int) -> Decoded:
    """Decode bytes that are in their only form, and no others.

    Raises:
        TooLarge: more than ``bytes_max`` bytes, the limit of this kind; nothing was read.
        EncodingMalformed: not MessagePack, not in its only form, trailing bytes, a float, nil,
            extension type, negative or large integer, nested too deep, or in too many parts.
    """
    if len(encoded) > bytes_max:
        raise TooLarge(f"{len(encoded)} bytes where at most {bytes_max} are allowed")
    if len(encoded) > UNCOUNTED_BYTES_MAX:
        _check_shape(encoded)
    try:
        value = msgpack.unpackb(encoded, raw=False, strict_map_key=True, use_list=True)
    except (ValueError, TypeError, RecursionError, OverflowError, msgpack.UnpackException) as error:
        raise EncodingMalformed(f"not MessagePack: {type(error).__name__}") from None
    _check_value(value, DEPTH_MAX)
    # With the keys in order, encoding again finds duplicate keys and lengths that are not shortest.
    if PACK(value) != encoded:
        raise EncodingMalformed("not in its only form (duplicate key or long form)")
    return cast("Decoded", value)


def decode_map(encoded: bytes, *, bytes_max: int) -> dict[str, Decoded]:
    """Decode bytes that must hold a map. Raises: TooLarge, EncodingMalformed: as :func:`decode`."""
    value = decode(encoded, bytes_max=bytes_max)
    if not isinstance(value, dict):
        raise EncodingMalformed("a map was expected")
    return value


# First byte -> how many bytes after it hold a value, a length in bytes, a number of parts. Other
# first bytes from 0xc0 on are nil, floats, extension types and negative integers.
_VALUE_BYTES: Final = {0xC2: 0, 0xC3: 0, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_LENGTH_BYTES: Final = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_COUNT_BYTES: Final = {0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}


def _check_value(value: Any, depth_left: int) -> None:
    """What was decoded has only parts of this encoding, and its maps are in key order.

    Half of what judging a statement costs is spent here, so nothing is copied and the exact types
    that the library makes are asked for, the frequent ones first.
    """
    kind = type(value)
    if kind is bytes or kind is str or kind is bool:
        return
    if kind is int:
        if not 0 <= value <= INTEGER_MAX:
            raise EncodingMalformed("an integer outside 0 to 2^53 - 1")
        return
    if depth_left == 0:
        raise EncodingMalformed(f"nested deeper than {DEPTH_MAX}")
    if kind is dict:
        before = ""
        for key in value:
            if type(key) is not str or not before < key or len(key) > KEY_CHARACTERS_MAX:
                raise EncodingMalformed("map keys are short text, in order")
            before = key
    elif kind is not list:
        raise EncodingMalformed(f"a {kind.__name__}, which this encoding does not have")
    for part in value.values() if kind is dict else value:
        if type(part) is not bytes and type(part) is not str:
            _check_value(part, depth_left - 1)


def _check_shape(encoded: bytes) -> None:
    """Walk over the bytes before anything is built of them.

    The library allocates what a list claims to hold before it sees that the parts are not there:
    5 kB of nested claims cost it gigabytes. Here each claim is counted first.
    """
    position, awaited, parts = 0, 1, 0
    while awaited:
        if position >= len(encoded):
            raise EncodingMalformed("cut short")
        first = encoded[position]
        position, awaited = position + 1, awaited - 1
        if first < 0x80:  # noqa: PLR2004 - a small integer
            continue
        count = 0
        if first < 0xA0:  # noqa: PLR2004 - a short map or list
            count = first & 0x0F
        elif first < 0xC0:  # noqa: PLR2004 - short text
            position += first & 0x1F
        elif first in _VALUE_BYTES:
            position += _VALUE_BYTES[first]
        elif first in _LENGTH_BYTES:
            after = position + _LENGTH_BYTES[first]
            position = after + int.from_bytes(encoded[position:after], "big")
        elif first in _COUNT_BYTES:
            after = position + _COUNT_BYTES[first]
            count = int.from_bytes(encoded[position:after], "big")
            position = after
        else:
            raise EncodingMalformed(f"first byte {first:#04x}, which this encoding does not have")
        parts += count
        if parts > PARTS_MAX:
            raise EncodingMalformed(f"more than {PARTS_MAX} parts")
        awaited += count * 2 if first < 0x90 or first in (0xDE, 0xDF) else count  # noqa: PLR2004
    if position != len(encoded):
        raise EncodingMalformed("bytes are missing or left over at the end")
