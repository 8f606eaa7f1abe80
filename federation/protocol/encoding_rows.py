"""Long, shallow messages, whose makers and readers look at every part themselves.

A range holds a thousand statements of three parts each. To walk over its bytes first, and over what
was decoded afterwards, as ``encoding.decode`` does for everybody, would cost more than judging it.

Source: docs/spec/encoding.md.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Final

import msgpack

from federation.errors import EncodingMalformed, TooLarge

_LISTS_BESIDE: Final = 3
"""The message's map, the list of the rows and the list of the proof."""


def decode_rows(encoded: bytes, *, bytes_max: int, rows_max: int) -> object:
    """Decode bytes in their only form, apart from what only a look at each part can tell.

    The caller shows that every part is of a kind and range that the encoding has, that map keys are
    in order, and that nothing is nested deeper than it should be: where it asks for the exact type
    of each, that is shown. What an untrue claim of length can make the library reserve is
    ``rows_max`` pointers for each of at most 1,024 levels: 8 MiB for 1,024 rows. The lists are
    counted while they are made: four million empty ones fit in 4 MiB, and would take 300.

    Args:
        encoded: the bytes.
        bytes_max: how many there may be.
        rows_max: how many parts any list or map in it may have, and how many lists and maps there
            may be beside the three that hold the rows and stand next to them.

    Raises:
        TooLarge: more than ``bytes_max`` bytes; nothing was read.
        EncodingMalformed: not MessagePack, a long form, a key given twice, or a longer list
            or more of them.
    """
    if len(encoded) > bytes_max:
        raise TooLarge(f"{len(encoded)} bytes where at most {bytes_max} are allowed")
    counted = _counting(rows_max + _LISTS_BESIDE)
    next(counted)
    try:
        value: object = msgpack.unpackb(
            encoded,
            raw=False,
            strict_map_key=True,
            use_list=True,
            max_array_len=rows_max,
            max_map_len=rows_max,
            max_ext_len=0,
            list_hook=counted.send,
            object_hook=counted.send,
        )
    except StopIteration:
        raise EncodingMalformed(f"more lists than {rows_max} rows are") from None
    except (ValueError, TypeError, RecursionError, OverflowError, msgpack.UnpackException) as error:
        raise EncodingMalformed(f"not MessagePack: {type(error).__name__}") from None
    if msgpack.packb(value, use_bin_type=True) != encoded:
        raise EncodingMalformed("not in its only form (duplicate key or long form)")
    return value


def _counting(most: int) -> Generator[object, object, None]:
    """Gives back what it is sent, so often and no more.

    A generator, because the library asks once for every row: two thirds of what a function costs
    is its call. It adds two hundredths to the reading of a range.
    """
    sent: object = None
    for _ in range(most):
        sent = yield sent
    yield sent


def encode_rows(fields: Mapping[str, int | Sequence[bytes] | Sequence[Sequence[bytes]]]) -> bytes:
    """Encode a map of numbers, and of lists of bytes and of rows of bytes, keys in order."""
    packed: bytes = msgpack.packb(fields, use_bin_type=True)
    return packed
