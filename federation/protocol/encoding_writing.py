"""Encoding values in their only form, which ``encoding`` reads.

Source: docs/spec/encoding.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgpack

from federation.errors import EncodingMalformed
from federation.protocol.encoding import sorted_value

Value: TypeAlias = "int | bool | str | bytes | Sequence[Value] | Mapping[str, Value]"


def encode(value: Value) -> bytes:
    """Encode a value in its only form.

    Args:
        value: maps with text keys, lists, text, bytes, booleans and integers, nested at most
            ``DEPTH_MAX`` deep.

    Raises:
        EncodingMalformed: the value has a part that the encoding does not know.
    """
    packed = msgpack.packb(sorted_value(value), use_bin_type=True)
    if not isinstance(packed, bytes):  # pragma: no cover - packb is typed as optional
        raise EncodingMalformed("the encoder gave no bytes")
    return packed
