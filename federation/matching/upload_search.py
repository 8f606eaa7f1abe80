"""Remembered uploads near newly arrived signals: many rows held against few values, exactly.

Rows are read once, each against all the values, so a search costs under 1 ns a row and value: 2 ms
for one new signal at a million remembered. Where many signals arrive together it is turned round: a
small index is built of them and each row is looked up in it, so a million imported signals cost
minutes of one thread and not a quarter of an hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from federation.matching.jit import kernel, popcount
from federation.matching.pdq_index import PdqIndex
from federation.matching.pdq_view import PdqView
from federation.protocol.limits_content import PDQ_BYTES, PDQ_DISTANCE_MAX

SCANNED_MAX: Final = 1_024
"""New values up to which rows are held against each; beyond, an index of them is quicker."""

FOUND_MAX: Final = 100_000
"""Matches of one search, 20 MB: in a flood of copies the next one goes on where it ended."""

LOOKED_UP: Final = 8_192
"""Rows looked up in an index at a time."""

_TYPE_MASK: Final = 0x0F

Found = tuple[int, int, int]
"""Which new value, which row, and the distance between them."""


@dataclass(frozen=True, slots=True)
class UploadColumns:
    """What is searched.

    Attributes:
        values: 32 bytes a row.
        marks: a byte a row; its low four bits say the type, 0 that the row is empty.
        rows: how many rows are in use, from the first on.
    """

    values: memoryview
    marks: memoryview
    rows: int

    def arrays(self, rows: range) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]:
        """Some rows, as words and as types."""
        words = np.frombuffer(self.values, dtype=np.uint64, count=self.rows * 4)
        marks = np.frombuffer(self.marks, dtype=np.uint8, count=self.rows)
        return words.reshape(-1, 4)[rows.start : rows.stop], marks[rows.start : rows.stop]


def search_pictures(
    columns: UploadColumns, rows: range, code: int, values: Sequence[bytes], distance_max: int
) -> tuple[list[Found], range]:
    """Remembered PDQ values near any of some new ones, up to about ``FOUND_MAX`` matches.

    Of more than ``SCANNED_MAX`` new ones the nearest thousand to each row are told.

    Args:
        columns: what is remembered.
        rows: which rows of it.
        code: how a row says that it is a PDQ.
        values: 32 bytes each.
        distance_max: 0 to 31.

    Returns:
        What was found, and the rows that are left: empty when all were looked at.
    """
    words, marks = columns.arrays(rows)
    if not len(words) or not values:
        return [], rows[:0]
    if len(values) > SCANNED_MAX:
        return _look_up(words, marks, rows, code, values, distance_max)
    asked = np.frombuffer(b"".join(values), dtype=np.uint64).reshape(-1, 4)
    # A row more than fits: no row is ever told of by half.
    found = np.empty((FOUND_MAX + len(values), 3), dtype=np.int64)
    count, done = _scan(words, marks, code, asked, distance_max, found, FOUND_MAX)
    told = found[: int(count)].tolist()
    return [(at, rows.start + row, far) for at, row, far in told], rows[int(done) :]


def search_exact(
    columns: UploadColumns, rows: range, code: int, values: Sequence[bytes]
) -> list[Found]:
    """Remembered values of another type that are one of some new ones.

    Args:
        columns: what is remembered.
        rows: which rows of it.
        code: how a row says its type.
        values: padded to 32 bytes.
    """
    words, marks = columns.arrays(rows)
    places = {value: at for at, value in enumerate(values)}
    if not len(words) or not places:
        return []
    firsts = np.unique(np.frombuffer(b"".join(value[:8] for value in places), dtype=np.uint64))
    near = np.flatnonzero(((marks & _TYPE_MASK) == code) & np.isin(words[:, 0], firsts))
    return [
        (places[value], rows.start + int(row), 0)
        for row in near.tolist()
        if (value := words[row].tobytes()) in places
    ]


def sweep_pictures(
    columns: UploadColumns, rows: range, code: int, known: PdqView, distance_max: int
) -> list[int]:
    """Remembered PDQ rows that anything known is near to: when nobody knows what arrived since.

    Args:
        columns: what is remembered.
        rows: which rows of it.
        code: how a row says that it is a PDQ.
        known: all pictures that match.
        distance_max: 0 to 31.
    """
    words, marks = columns.arrays(rows)
    chosen = np.flatnonzero((marks & _TYPE_MASK) == code)
    found: list[int] = []
    for at in range(0, len(chosen), LOOKED_UP):
        part = chosen[at : at + LOOKED_UP]
        asked = [words[row].tobytes() for row in part.tolist()]
        nears = known.search_many(asked, distance_max, matches_max=0)
        found += [
            rows.start + row for row, near in zip(part.tolist(), nears, strict=True) if near.total
        ]
    return found


def rows_of(columns: UploadColumns, rows: range, code: int) -> list[tuple[int, bytes]]:
    """Some rows of one type, each with its 32 bytes."""
    words, marks = columns.arrays(rows)
    chosen = np.flatnonzero((marks & _TYPE_MASK) == code)
    return [(rows.start + row, words[row].tobytes()) for row in chosen.tolist()]


def _look_up(
    words: npt.NDArray[np.uint64],
    marks: npt.NDArray[np.uint8],
    rows: range,
    code: int,
    values: Sequence[bytes],
    distance_max: int,
) -> tuple[list[Found], range]:
    index, places = PdqIndex(), {value: at for at, value in enumerate(values)}
    index.add(places)
    if index.needs_rebuild():
        index.rebuild()
    chosen = np.flatnonzero((marks & _TYPE_MASK) == code).tolist()
    found: list[Found] = []
    for at in range(0, len(chosen), LOOKED_UP):
        part = chosen[at : at + LOOKED_UP]
        asked = [words[row].tobytes() for row in part]
        for row, nears in zip(part, index.search_many(asked, distance_max), strict=True):
            found += [(places[near.value], rows.start + row, near.distance) for near in nears]
        if len(found) >= FOUND_MAX:
            return found, rows[part[-1] + 1 :]
    return found, rows[len(rows) :]


@kernel
def _scan(
    words: Any, marks: Any, code: int, asked: Any, distance_max: int, found: Any, enough: int
) -> Any:
    """How many were found, and how many rows were looked at: fewer where that is enough."""
    count = np.int64(0)
    for row in range(words.shape[0]):
        if count >= enough:
            return count, row
        if marks[row] & 0x0F != code:
            continue
        for at in range(asked.shape[0]):
            # Two words before the first look: after one, half of all rows would still be near, and
            # a branch that nobody can foretell costs more than the second word.
            distance = popcount(words[row, 0] ^ asked[at, 0]) + popcount(
                words[row, 1] ^ asked[at, 1]
            )
            if distance > distance_max:
                continue
            distance += popcount(words[row, 2] ^ asked[at, 2])
            distance += popcount(words[row, 3] ^ asked[at, 3])
            if distance <= distance_max:
                found[count, 0] = at
                found[count, 1] = row
                found[count, 2] = distance
                count += 1
    return count, words.shape[0]


def warm_up() -> None:
    """Compile the scan, or load it from the cache."""
    blank = UploadColumns(memoryview(bytes(PDQ_BYTES)), memoryview(bytes(1)), 1)
    search_pictures(blank, range(1), 1, [bytes(PDQ_BYTES)], PDQ_DISTANCE_MAX)
