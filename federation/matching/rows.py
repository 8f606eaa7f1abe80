"""Values as rows of 64-bit words: packing, unpacking, order, alignment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from federation.local_errors.content import SignalMalformed
from federation.matching.row_kernels import Words

WORD_BYTES = 8
# Values that are packed at a time from an iterable of unknown length: 2 MiB of PDQ values.
VALUES_AT_ONCE = 65_536
# A row must not straddle two cache lines: fetching it would cost twice as much.
LINE_WORDS = 8


def pack_values(values: Iterable[bytes], value_bytes: int) -> Words:
    """Turn byte strings into rows, most significant byte first.

    Raises:
        SignalMalformed: a value is not ``value_bytes`` long.
    """
    listed = list(values)
    for length in set(map(len, listed)):
        if length != value_bytes:
            raise SignalMalformed(
                f"a value of this signal type has {value_bytes} bytes, not {length}"
            )
    return unjoin_rows(b"".join(listed), value_bytes)


def pack_in_batches(values: Iterable[bytes], value_bytes: int) -> Iterator[Words]:
    """Pack as ``pack_values`` does, a bounded number at a time.

    Raises:
        SignalMalformed: a value has another length; the batches before it were handed out.
    """
    remaining = iter(values)
    while batch := list(islice(remaining, VALUES_AT_ONCE)):
        yield pack_values(batch, value_bytes)


def unjoin_rows(joined: bytes | bytearray | memoryview, value_bytes: int) -> Words:
    """Turn values that stand one after the other in one buffer into rows.

    Raises:
        SignalMalformed: the buffer ends within a value.
    """
    size = memoryview(joined).nbytes
    if size % value_bytes:
        raise SignalMalformed(f"{size} bytes are no whole number of {value_bytes}-byte values")
    rows = np.frombuffer(joined, dtype=">u8").reshape(-1, value_bytes // WORD_BYTES)
    return rows.astype(np.uint64)


def join_rows(rows: Words) -> bytes:
    """The values of ``rows`` one after the other; the inverse of ``unjoin_rows``."""
    return rows.astype(">u8").tobytes()


def empty_rows(count: int, words: int) -> Words:
    """Room for rows that begins at a cache line."""
    room = np.empty(count * words + LINE_WORDS, dtype=np.uint64)
    begin = -(room.__array_interface__["data"][0] // WORD_BYTES) % LINE_WORDS
    return room[begin : begin + count * words].reshape(count, words)


def sort_rows(rows: Words) -> Words:
    """The rows in ascending order, which is the order of the values' bytes.

    By the first word; then the few whose first words are equal (all, in a flood of
    near-identical values) by every word, which costs four times as much.
    """
    ordered = rows[np.argsort(rows[:, 0])]
    same = ordered[1:, 0] == ordered[:-1, 0]
    tied = np.zeros(len(ordered), dtype=np.bool_)
    tied[1:] |= same
    tied[:-1] |= same
    places = np.flatnonzero(tied)
    if places.size:
        group = ordered[places]
        ordered[places] = group[np.lexsort(group.T[::-1])]
    return ordered
