"""Encoding values in their only form, which ``encoding`` reads.

Source: docs/spec/encoding.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from federation.errors import EncodingMalformed
from federation.protocol.encoding import KEY_CHARACTERS_MAX, PACK, Decoded
from federation.protocol.limits import DEPTH_MAX, INTEGER_MAX

Value: TypeAlias = "int | bool | str | bytes | Sequence[Value] | Mapping[str, Value]"


def encode(value: Value) -> bytes:
    """Encode a value in its only form.

    Args:
        value: maps with text keys, lists, text, bytes, booleans and integers, nested at most
            ``DEPTH_MAX`` deep.

    Raises:
        EncodingMalformed: the value has a part that the encoding does not know.
    """
    packed: bytes = PACK(_sorted(value))
    return packed


def encode_ordered(value: Mapping[str, Value]) -> bytes:
    """As :func:`encode`, of what has only parts of this encoding, and every map in key order.

    Nothing is looked at once more: for messages, which nodes make all day long of values that were
    judged when they were made.
    """
    packed: bytes = PACK(value)
    return packed


def _sorted(value: object, depth_left: int = DEPTH_MAX) -> Decoded:
    """The same value with every map in key order: what the encoder writes.

    Raises:
        EncodingMalformed: a part that this encoding does not have, or nested too deep.
    """
    if isinstance(value, (bytes, bool)):
        return value
    if isinstance(value, str):
        if not value.isascii():
            _check_text(value)
        return value
    if isinstance(value, int):
        if not 0 <= value <= INTEGER_MAX:
            raise EncodingMalformed("an integer outside 0 to 2^53 - 1")
        return value
    if depth_left == 0:
        raise EncodingMalformed(f"nested deeper than {DEPTH_MAX}")
    if isinstance(value, (list, tuple)):
        # Most parts of most values are bytes: they are not looked into.
        return [part if type(part) is bytes else _sorted(part, depth_left - 1) for part in value]
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str) or not 1 <= len(key) <= KEY_CHARACTERS_MAX:
                raise EncodingMalformed(f"a map key that is not text of 1 to {KEY_CHARACTERS_MAX}")
            if not key.isascii():
                _check_text(key)
        return {
            key: part if type(part := value[key]) is bytes else _sorted(part, depth_left - 1)
            for key in sorted(value)
        }
    raise EncodingMalformed(f"a {type(value).__name__}, which this encoding does not have")


def _check_text(text: str) -> None:
    # Lone surrogates cannot be written as UTF-8; msgpack would raise its own error later.
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise EncodingMalformed("text that is not valid Unicode") from None
