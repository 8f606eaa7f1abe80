"""MessagePack written by hand, canonical or not.

The vectors must not come from the code that they judge, so their bytes are put together here, from
the MessagePack specification. ``width`` forces a longer form than the shortest one.
"""

from __future__ import annotations

from collections.abc import Sequence

NIL, FALSE, TRUE = b"\xc0", b"\xc2", b"\xc3"


def _headed(value: int, short: int, short_max: int, heads: dict[int, int], width: int) -> bytes:
    """A first byte with the value inside it, or one followed by ``width`` bytes of value."""
    if not width:
        if value <= short_max:
            return bytes([short | value])
        width = min(size for size in heads if value < 256**size)
    return bytes([heads[width]]) + value.to_bytes(width, "big")


def integer(value: int, width: int = 0) -> bytes:
    """An unsigned integer, in 1, 2, 4 or 8 bytes after its first byte if told so."""
    return _headed(value, 0x00, 0x7F, {1: 0xCC, 2: 0xCD, 4: 0xCE, 8: 0xCF}, width)


def text(value: str | bytes, width: int = 0) -> bytes:
    """Text; bytes stand for themselves, valid UTF-8 or not."""
    raw = value if isinstance(value, bytes) else value.encode("utf-8")
    return _headed(len(raw), 0xA0, 31, {1: 0xD9, 2: 0xDA, 4: 0xDB}, width) + raw


def binary(raw: bytes, width: int = 0) -> bytes:
    """Bytes: there is no short form."""
    return _headed(len(raw), 0, -1, {1: 0xC4, 2: 0xC5, 4: 0xC6}, width) + raw


def array(parts: Sequence[bytes], width: int = 0) -> bytes:
    """A list of parts that are encoded already."""
    return _headed(len(parts), 0x90, 15, {2: 0xDC, 4: 0xDD}, width) + b"".join(parts)


def mapping(pairs: Sequence[tuple[bytes, bytes]], width: int = 0) -> bytes:
    """A map of encoded keys and values, in the order given, duplicates and all."""
    flat = b"".join(key + value for key, value in pairs)
    return _headed(len(pairs), 0x80, 15, {2: 0xDE, 4: 0xDF}, width) + flat


def fields(**values: bytes) -> bytes:
    """A map with these keys, sorted, and values that are encoded already."""
    return mapping([(text(name), values[name]) for name in sorted(values)])
