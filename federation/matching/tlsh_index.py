"""All TLSH values within a distance, exactly, by a scan of all of them.

A TLSH value has 35 bytes: checksum, length and two quartile ratios in the first three, then 128
two-bit codes. The distance (Oliver, Cheng, Chen, "TLSH - A Locality Sensitive Hash", CTC 2013,
and Trend Micro's reference) is a sum over these parts; the codes', which is nearly all of it, is
counted here on 64-bit words. A scan of a million values takes 26 milliseconds, and the
lists of the field hold some hundred to some thousand documents.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from federation.errors import RequestMalformed
from federation.local_errors.content import SignalMalformed
from federation.matching.found import MATCHES_MAX, NO_MATCHES, Found, Matches
from federation.matching.jit import kernel, popcount
from federation.matching.sections import Sections, take_section
from federation.protocol.limits_content import TLSH_DISTANCE_DEFAULT, TLSH_DISTANCE_MAX
from federation.protocol.signals import VALUE_BYTES, SignalType

TLSH_BYTES: Final = VALUE_BYTES[SignalType.TLSH]

# Words of a row: the 128 codes, then checksum, length and ratios as one number.
_CODE_WORDS: Final = 4
_ROW_WORDS: Final = _CODE_WORDS + 1
_ROOM_MIN: Final = 1_024

_Words = npt.NDArray[np.uint64]
_Distances = npt.NDArray[np.int64]


@kernel
def _swapped(number: np.int64) -> np.int64:
    """A byte whose two halves change places, as TLSH writes its head."""
    return ((number & 15) << 4) | (number >> 4)


@kernel
def _step(one: np.int64, other: np.int64, around: int) -> np.int64:
    """How far two numbers are apart on a ring of so many."""
    apart = abs(one - other)
    return min(apart, np.int64(around) - apart)


@kernel
def measure_rows(rows: _Words, count: int, query: _Words, distances: _Distances) -> None:
    """Write the distance of each of the first ``count`` rows to a query row."""
    low = np.uint64(0x5555555555555555)
    one = np.uint64(1)
    head = np.int64(query[4])
    checksum, length, ratios = head >> 16, _swapped((head >> 8) & 255), _swapped(head & 255)
    for row in range(count):
        distance = np.int64(0)
        for word in range(4):
            mine, theirs = query[word], rows[row, word]
            differs = mine ^ theirs
            # Of each two-bit code: does its upper bit differ, and its lower one?
            upper, lower = (differs >> one) & low, differs & low
            both = upper & lower
            # 0 against 3 counts six; 1 against 2, whose bits all differ too, counts one.
            far = both & ~((mine >> one) ^ mine)
            distance += popcount(lower ^ far) + 2 * popcount(upper ^ both) + 6 * popcount(far)
        other = np.int64(rows[row, 4])
        away = _step(length, _swapped((other >> 8) & 255), 256)
        distance += away if away <= 1 else 12 * away
        theirs_ratios = _swapped(other & 255)
        for shift in (0, 4):
            away = _step((ratios >> shift) & 15, (theirs_ratios >> shift) & 15, 16)
            distance += away if away <= 1 else 12 * (away - 1)
        if other >> 16 != checksum:
            distance += 1
        distances[row] = distance


class TlshIndex:
    """A set of 35-byte TLSH values; adding and removing count at once, and nothing is rebuilt."""

    def __init__(self) -> None:
        self._rows = np.zeros((_ROOM_MIN, _ROW_WORDS), dtype=np.uint64)
        self._places: dict[bytes, int] = {}
        self._values: list[bytes] = []

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, value: bytes) -> bool:
        _check(value)
        return value in self._places

    def add(self, values: Iterable[bytes]) -> int:
        """Add values; returns how many were not there already.

        Raises:
            SignalMalformed: a value is not 35 bytes; those before it were added.
        """
        added = 0
        for value in values:
            _check(value)
            if value in self._places:
                continue
            count = len(self._values)
            if count == len(self._rows):
                self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
            self._rows[count] = _row(value)
            self._places[value] = count
            self._values.append(value)
            added += 1
        return added

    def add_joined(self, joined: bytes | bytearray | memoryview) -> int:
        """Add values that stand one after the other in one buffer.

        Raises:
            SignalMalformed: the buffer ends within a value.
        """
        whole = bytes(joined)
        return self.add(whole[at : at + TLSH_BYTES] for at in range(0, len(whole), TLSH_BYTES))

    def remove(self, values: Iterable[bytes]) -> int:
        """Remove values; returns how many were there.

        Raises:
            SignalMalformed: a value is not 35 bytes; those before it were removed.
        """
        removed = 0
        for value in values:
            _check(value)
            place = self._places.pop(value, None)
            if place is None:
                continue
            # The last one moves into the gap.
            last = self._values.pop()
            if last != value:
                self._values[place] = last
                self._places[last] = place
                self._rows[place] = self._rows[len(self._values)]
            removed += 1
        return removed

    def changes(self) -> Sections:
        """All values, for :meth:`install`."""
        joined = np.frombuffer(b"".join(self._values), np.uint8)
        return {"values": joined.reshape(-1, TLSH_BYTES)}

    def install(self, changes: Sections) -> None:
        """Become the set of those values.

        Raises:
            IndexFileInvalid: they are none.
        """
        values = take_section(changes, "values", np.uint8, (None, TLSH_BYTES))
        self._rows = np.zeros((_ROOM_MIN, _ROW_WORDS), dtype=np.uint64)
        self._places, self._values = {}, []
        self.add(value.tobytes() for value in values)

    def search_many(
        self,
        values: Iterable[bytes],
        distance_max: int = TLSH_DISTANCE_DEFAULT,
        *,
        matches_max: int | None = MATCHES_MAX,
    ) -> list[Matches]:
        """Find, for each of ``values``, all within a distance, nearest first.

        Raises:
            SignalMalformed: a value is not 35 bytes.
            RequestMalformed: a distance outside 0 to 100.
        """
        if not 0 <= distance_max <= TLSH_DISTANCE_MAX:
            raise RequestMalformed(f"a TLSH distance is 0 to {TLSH_DISTANCE_MAX}")
        distances = np.empty(len(self._values), dtype=np.int64)
        answers = []
        for value in values:
            _check(value)
            measure_rows(self._rows, len(distances), _row(value), distances)
            near = np.flatnonzero(distances <= distance_max).tolist()
            ordered = sorted((int(distances[at]), self._values[at]) for at in near)
            nearest = tuple(Found(known, away) for away, known in ordered[:matches_max])
            answers.append(Matches(nearest, len(near)) if near else NO_MATCHES)
        return answers


def _check(value: bytes) -> None:
    if len(value) != TLSH_BYTES:
        raise SignalMalformed(f"a tlsh value has {TLSH_BYTES} bytes, not {len(value)}")


def _row(value: bytes) -> _Words:
    row = np.empty(_ROW_WORDS, dtype=np.uint64)
    row[:_CODE_WORDS] = np.frombuffer(value, dtype=">u8", count=_CODE_WORDS, offset=3)
    row[_CODE_WORDS] = int.from_bytes(value[:3], "big")
    return row
