"""All PDQ signals within a Hamming distance, exactly.

A PDQ value has 256 bits, here 16 chunks of 16 (its diagonals: ``pdq_diagonals``). Give chunk c the
radius t_c, so that the sum of t_c + 1 over all chunks is r + 1, where r is the greatest distance
asked for (at most 31, so t_c is 1, 0, or -1 for a chunk that is left out). If a value differs from
the query in d_c bits of chunk c and in D <= r bits altogether, then the sum of d_c - (t_c + 1) is
D - (r + 1) < 0. In a ring of numbers whose sum is negative there is a place from which every
running sum is negative (the cycle lemma of Dvoretzky and Motzkin). So there is a chunk c with

    d_c <= t_c    and    d_c + d_next <= t_c + t_next + 1

where "next" is the chunk after c, and chunk 0 after chunk 15. The first condition says which
buckets of chunk c's table to read: the query's own, and for t_c = 1 the 16 beside it. The second
is tested on the tag that stands in the entry, before the value itself is touched, and leaves
about one entry in 400. Every value that passes both is compared in full. Nothing is missed.

Sources: Norouzi, Punjani, Fleet, "Fast Search in Hamming Space with Multi-Index Hashing" (CVPR
2012); Qin et al., "GPH: Similarity Search in Hamming Space" (ICDE 2018) for unequal radii; Qin,
Xiao, "Pigeonring: A Principle for Faster Thresholded Similarity Search" (VLDB 2018) for the ring.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from federation.errors import RequestMalformed
from federation.matching.found import MATCHES_MAX, NO_MATCHES, Found, Matches
from federation.matching.pdq_diagonals import turn_to_diagonals, turn_to_rows
from federation.matching.pdq_kernels import (
    CHUNKS,
    TABLE_SIZE,
    Numbers,
    Offsets,
    Tags,
    fill_table,
    search_rows,
)
from federation.matching.row_kernels import Words
from federation.matching.rows import WORD_BYTES, join_rows, pack_values
from federation.matching.value_set import ValueSet
from federation.protocol.limits_content import PDQ_BYTES, PDQ_DISTANCE_MAX

PDQ_WORDS = PDQ_BYTES // WORD_BYTES

# Up to so many values a plain scan is as fast as the tables, which take 4 MiB however few.
SCAN_ROWS_MAX = 2_048

# Room for matches in one call of the kernel, 33 bytes each. Where it ends, the next call goes on; a
# query that does not fit is searched again with the room it needs. A miss, the rule, needs none.
ROOM_MIN = 256
ROOM_PER_QUERY = 4
ROOM_MAX = 65_536


@dataclass(frozen=True, slots=True)
class RingTables:
    """The 16 chunk tables, one after the other in flat arrays; all empty for a plain scan.

    Attributes:
        offsets: 16 times 65,537 entries: where each bucket begins within its chunk's table.
        ids: row numbers, chunks 1 to 15 (chunk 0's are the row numbers in order).
        tags: beside each entry, its value's bits in the next chunk, chunks 0 to 15.
    """

    offsets: Offsets
    ids: Offsets
    tags: Tags

    @property
    def nbytes(self) -> int:
        """Their size in memory: 92 bytes a value, and 4 MiB."""
        return self.offsets.nbytes + self.ids.nbytes + self.tags.nbytes


def radii_for(distance_max: int) -> tuple[int, ...]:
    """Spread distance_max + 1 over the 16 chunks; each gets one less than its share as radius."""
    each, more = divmod(distance_max + 1, CHUNKS)
    return tuple(each - 1 + (chunk < more) for chunk in range(CHUNKS))


_RADII: tuple[Numbers, ...] = tuple(
    np.array(radii_for(distance), dtype=np.int64) for distance in range(PDQ_DISTANCE_MAX + 1)
)


def build_ring(rows: Words, *, scan_rows_max: int = SCAN_ROWS_MAX) -> RingTables:
    """Build the chunk tables over ascending rows, or none for few of them."""
    count = len(rows)
    if count <= scan_rows_max:
        return RingTables(
            np.empty(0, dtype=np.uint32), np.empty(0, dtype=np.uint32), np.empty(0, dtype=np.uint16)
        )
    offsets = np.empty(CHUNKS * TABLE_SIZE, dtype=np.uint32)
    ids = np.empty((CHUNKS - 1) * count, dtype=np.uint32)
    tags = np.empty(CHUNKS * count, dtype=np.uint16)
    entries = np.empty(count, dtype=np.uint64)
    for chunk in range(CHUNKS):
        fill_table(
            rows,
            chunk,
            offsets[chunk * TABLE_SIZE : (chunk + 1) * TABLE_SIZE],
            ids[max(chunk - 1, 0) * count : chunk * count],
            tags[chunk * count : (chunk + 1) * count],
            entries,
        )
    return RingTables(offsets, ids, tags)


class PdqIndex(ValueSet[RingTables]):
    """A set of 32-byte PDQ values that answers which of them are near a given one.

    Adding, removing and rebuilding: see ``value_set``. Searches are exact at any moment.

    Args:
        scan_rows_max: up to so many values are scanned instead of tabulated.
    """

    def __init__(self, *, scan_rows_max: int = SCAN_ROWS_MAX) -> None:
        def tabulate(rows: Words) -> RingTables:
            return build_ring(rows, scan_rows_max=scan_rows_max)

        super().__init__(PDQ_BYTES, tabulate)

    def _arrange(self, rows: Words) -> Words:
        turn_to_diagonals(rows)
        return rows

    def search(
        self,
        value: bytes,
        distance_max: int = PDQ_DISTANCE_MAX,
        *,
        matches_max: int | None = MATCHES_MAX,
    ) -> Matches:
        """Find all values within a distance of one value; see ``search_many``.

        Raises:
            SignalMalformed: the value is not 32 bytes.
            RequestMalformed: a distance outside 0 to 31, or a negative number of matches.
        """
        return self.search_many((value,), distance_max, matches_max=matches_max)[0]

    def search_many(
        self,
        values: Iterable[bytes],
        distance_max: int = PDQ_DISTANCE_MAX,
        *,
        matches_max: int | None = MATCHES_MAX,
    ) -> list[Matches]:
        """Find, for each of ``values``, all that differ in at most ``distance_max`` bits.

        Many in one call cost about half of as many calls. The interpreter lock is released while
        the kernel runs: 10 to 50 microseconds a query.

        Args:
            values: 32 bytes each.
            distance_max: 0 (the same value) to 31.
            matches_max: how many of the nearest to answer each query with; None for all, which
                in a flood of near-identical signals may be as many as the set holds.

        Returns:
            One answer per value, in their order. Which matches ``matches_max`` keeps is
            determined: the first in ascending order of (distance, value).

        Raises:
            SignalMalformed: a value is not 32 bytes.
            RequestMalformed: a distance outside 0 to 31, or a negative number of matches.
        """
        if not 0 <= distance_max <= PDQ_DISTANCE_MAX:
            raise RequestMalformed(f"a PDQ distance is 0 to {PDQ_DISTANCE_MAX}")
        if matches_max is not None and matches_max < 0:
            raise RequestMalformed("a number of matches is not negative")
        queries = self._arrange(pack_values(values, PDQ_BYTES))
        answers: list[Matches] = []
        while len(answers) < len(queries):
            room = min(ROOM_MIN + ROOM_PER_QUERY * len(queries), ROOM_MAX)
            batch = self._run(queries, len(answers), distance_max, room)
            answers.extend(batch.read(len(answers), matches_max))
            if batch.done < len(queries):
                crowded = queries[batch.done : batch.done + 1]
                answers.append(self._search_crowd(crowded, batch.counts, matches_max))
        return answers

    def _run(self, queries: Words, first: int, distance_max: int, room: int) -> _Batch:
        settled, frozen, active = self._sorted, self._frozen, self._active
        tables = settled.tables
        ends = np.zeros(len(queries), dtype=np.int64)
        matched = np.empty((room, PDQ_WORDS), dtype=np.uint64)
        distances = np.empty(room, dtype=np.uint8)
        counts = np.zeros(PDQ_DISTANCE_MAX + 1, dtype=np.int64)
        done = search_rows(
            queries, first, distance_max, _RADII[distance_max],
            settled.rows, self._dead, tables.offsets, tables.ids, tables.tags,
            frozen.columns, frozen.count, frozen.dead,
            active.columns, active.count, active.dead,
            ends, matched, distances, counts,
        )  # fmt: skip
        return _Batch(int(done), ends, matched, distances, counts)

    def _search_crowd(self, query: Words, counts: Numbers, matches_max: int | None) -> Matches:
        """Answer a query whose matches did not fit, knowing how many there are at each distance."""
        total = int(counts.sum())
        wanted = total if matches_max is None else min(matches_max, total)
        if wanted == 0:
            return Matches((), total)
        reach = np.cumsum(counts)
        distance_max = int(np.searchsorted(reach, wanted))
        batch = self._run(query, 0, distance_max, int(reach[distance_max]))
        turn_to_rows(batch.values)
        order = np.lexsort((*batch.values.T[::-1], batch.distances))[:wanted]
        joined = join_rows(batch.values[order])
        nearest = zip(_split(joined), batch.distances[order].tolist(), strict=True)
        return Matches(tuple(Found(value, distance) for value, distance in nearest), total)


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one call of the kernel wrote; ``done`` is the first query it did not finish."""

    done: int
    ends: Numbers
    values: Words
    distances: np.typing.NDArray[np.uint8]
    counts: Numbers

    def read(self, first: int, matches_max: int | None) -> list[Matches]:
        """The answers to the queries from ``first`` on that are done."""
        ends = self.ends[first : self.done].tolist()
        if not ends or ends[-1] == 0:
            return [NO_MATCHES] * len(ends)
        matched = self.values[: ends[-1]]
        turn_to_rows(matched)
        values = _split(join_rows(matched))
        distances = self.distances[: ends[-1]].tolist()
        answers, begin = [], 0
        for end in ends:
            if begin == end:
                answers.append(NO_MATCHES)
                continue
            ordered = sorted(zip(distances[begin:end], values[begin:end], strict=True))
            nearest = tuple(Found(value, distance) for distance, value in ordered[:matches_max])
            answers.append(Matches(nearest, end - begin))
            begin = end
        return answers


def _split(joined: bytes) -> list[bytes]:
    return [joined[at : at + PDQ_BYTES] for at in range(0, len(joined), PDQ_BYTES)]
