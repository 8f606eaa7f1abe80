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

import numpy as np

from federation.local_errors.disk import IndexFileInvalid
from federation.matching.found import MATCHES_MAX, Matches
from federation.matching.pdq_diagonals import turn_to_diagonals
from federation.matching.pdq_kernels import CHUNKS, TABLE_SIZE, fill_table
from federation.matching.pdq_view import PDQ_WORDS, PdqView, RingTables
from federation.matching.row_kernels import Words
from federation.matching.sections import Sections, take_section
from federation.matching.sorted_rows import SortedRows, check_offsets, restore_sorted
from federation.matching.value_set import ValueSet
from federation.protocol.limits_content import PDQ_BYTES, PDQ_DISTANCE_MAX

# Up to so many values a plain scan is as fast as the tables, which take 4 MiB however few.
SCAN_ROWS_MAX = 2_048


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


def restore_ring(sections: Sections, count: int) -> RingTables:
    """The tables of ``count`` rows from their sections.

    Raises:
        IndexFileInvalid: they are not such tables; see ``sorted_rows.restore_sorted``.
    """
    tabulated = "offsets" in sections and len(sections["offsets"]) > 0
    chunks, entries = (CHUNKS, count) if tabulated else (0, 0)
    offsets = take_section(sections, "offsets", np.uint32, (chunks * TABLE_SIZE,))
    ids = take_section(sections, "ids", np.uint32, (max(chunks - 1, 0) * entries,))
    tags = take_section(sections, "tags", np.uint16, (chunks * entries,))
    for chunk in range(chunks):
        check_offsets(offsets[chunk * TABLE_SIZE : (chunk + 1) * TABLE_SIZE], count)
    if ids.size and int(ids.max()) >= count:
        raise IndexFileInvalid("a table of the index leads out of its bounds")
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

    def restore_sorted(self, sections: Sections) -> SortedRows[RingTables]:
        """See :func:`federation.matching.sorted_rows.restore_sorted`.

        Raises:
            IndexFileInvalid: see there.
        """
        return restore_sorted(sections, PDQ_WORDS, restore_ring)

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
        """See :meth:`federation.matching.pdq_view.PdqView.search_many`.

        Raises:
            SignalMalformed: a value is not 32 bytes.
            RequestMalformed: a distance outside 0 to 31, or a negative number of matches.
        """
        return self.view().search_many(values, distance_max, matches_max=matches_max)

    def view(self) -> PdqView:
        """The set as it is now, for searching in another thread while this one changes it."""
        return PdqView(
            self._sorted,
            self._dead,
            self._frozen.columns,
            self._frozen.count,
            self._frozen.dead,
            self._active.columns,
            self._active.count,
            self._active.dead,
        )
