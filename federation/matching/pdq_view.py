"""The PDQ index as it was at one moment, and how it is searched.

A view holds on to the arrays of that moment. What the set's owner does to them afterwards is to
append beyond what the view counts, to set or clear the bit of a value that died or came back, or to
put other arrays in their place: so a view may be searched in any thread, and says of a value that
changes meanwhile what was true before or after.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from federation.errors import RequestMalformed
from federation.matching.found import MATCHES_MAX, NO_MATCHES, Found, Matches
from federation.matching.pdq_diagonals import turn_to_diagonals, turn_to_rows
from federation.matching.pdq_kernels import CHUNKS, Numbers, Offsets, Tags, search_rows
from federation.matching.row_kernels import Bitmap, Words
from federation.matching.rows import WORD_BYTES, join_rows, pack_values
from federation.matching.sections import Sections
from federation.matching.sorted_rows import SortedRows
from federation.protocol.limits_content import PDQ_BYTES, PDQ_DISTANCE_MAX

PDQ_WORDS = PDQ_BYTES // WORD_BYTES

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

    def sections(self) -> Sections:
        """The three arrays."""
        return {"offsets": self.offsets, "ids": self.ids, "tags": self.tags}


def radii_for(distance_max: int) -> tuple[int, ...]:
    """Spread distance_max + 1 over the 16 chunks; each gets one less than its share as radius."""
    each, more = divmod(distance_max + 1, CHUNKS)
    return tuple(each - 1 + (chunk < more) for chunk in range(CHUNKS))


_RADII: tuple[Numbers, ...] = tuple(
    np.array(radii_for(distance), dtype=np.int64) for distance in range(PDQ_DISTANCE_MAX + 1)
)


@dataclass(frozen=True, slots=True)
class NearRows:
    """All matches of some consecutive queries, without an object for each.

    Attributes:
        first: the number of the first query.
        ends: for each query, how many matches there are of all up to it.
        values: the matches, 32 bytes each as rows of words, in no particular order.
    """

    first: int
    ends: Numbers
    values: Words


@dataclass(frozen=True, slots=True)
class PdqView:
    """What a search reads; made by :meth:`federation.matching.pdq_index.PdqIndex.view`."""

    settled: SortedRows[RingTables]
    dead: Bitmap
    frozen: Words
    frozen_count: int
    frozen_dead: Bitmap
    active: Words
    active_count: int
    active_dead: Bitmap

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
        queries = pack_values(values, PDQ_BYTES)
        turn_to_diagonals(queries)
        answers: list[Matches] = []
        while len(answers) < len(queries):
            room = min(ROOM_MIN + ROOM_PER_QUERY * len(queries), ROOM_MAX)
            batch = self._run(queries, len(answers), distance_max, room)
            answers.extend(batch.read(len(answers), matches_max))
            if batch.done < len(queries):
                crowded = queries[batch.done : batch.done + 1]
                answers.append(self._search_crowd(crowded, batch.counts, matches_max))
        return answers

    def near_rows(self, values: Iterable[bytes], distance_max: int) -> Iterator[NearRows]:
        """All matches of each value, some queries at a time, for those who only count them.

        Args:
            values: 32 bytes each.
            distance_max: 0 to 31.

        Raises:
            SignalMalformed: a value is not 32 bytes.
        """
        queries = pack_values(values, PDQ_BYTES)
        turn_to_diagonals(queries)
        done = 0
        while done < len(queries):
            room = min(ROOM_MIN + ROOM_PER_QUERY * len(queries), ROOM_MAX)
            batch = self._run(queries, done, distance_max, room)
            if batch.done > done:
                yield batch.rows(done)
            done = batch.done
            if done < len(queries):
                crowded = self._run(
                    queries[done : done + 1], 0, distance_max, int(batch.counts.sum())
                )
                yield NearRows(done, crowded.ends, crowded.rows(0).values)
                done += 1

    def _run(self, queries: Words, first: int, distance_max: int, room: int) -> _Batch:
        settled, tables = self.settled, self.settled.tables
        ends = np.zeros(len(queries), dtype=np.int64)
        matched = np.empty((room, PDQ_WORDS), dtype=np.uint64)
        distances = np.empty(room, dtype=np.uint8)
        counts = np.zeros(PDQ_DISTANCE_MAX + 1, dtype=np.int64)
        done = search_rows(
            queries, first, distance_max, _RADII[distance_max],
            settled.rows, self.dead, tables.offsets, tables.ids, tables.tags,
            self.frozen, self.frozen_count, self.frozen_dead,
            self.active, self.active_count, self.active_dead,
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

    def rows(self, first: int) -> NearRows:
        """The matches of the queries from ``first`` on that are done, as rows."""
        ends = self.ends[first : self.done]
        matched = self.values[: int(ends[-1])]
        turn_to_rows(matched)
        return NearRows(first, ends, matched)

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
