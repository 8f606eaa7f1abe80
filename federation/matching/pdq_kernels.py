"""The inner loops of PDQ matching: building the chunk tables, looking into them, plain scans.

A value is a row of four unsigned 64-bit words, most significant first (in a delta it is a column,
so that a scan reads one word of many values at once). The tables cut it into 16 chunks of 16 bits.
Per chunk, one table lists all rows in the order of their bits there (``offsets`` says where
each of the 65,536 buckets begins), and beside each entry stands its tag: the bits of the *next*
chunk, chunk 0 coming after chunk 15.

Which buckets and which tags are enough, and why nothing is missed: ``pdq_index.py``. Every path
here ends in ``_distance`` over all 256 bits. Tables only choose what to compare: they can make a
search slow, never wrong, and where they would make it slower than a scan, a scan is done.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.matching.jit import (
    differing_bits,
    fewer_differing,
    kernel,
    popcount,
    prefetch,
    smaller,
)

Words = NDArray[np.uint64]
Bitmap = NDArray[np.uint8]
Numbers = NDArray[np.int64]
Offsets = NDArray[np.uint32]
Tags = NDArray[np.uint16]
# Where matches go: values, distances, and how many there are at each distance.
Answer = tuple[Words, Bitmap, Numbers]

CHUNKS = 16
CHUNK_BITS = 16
BUCKETS = 1 << CHUNK_BITS
TABLE_SIZE = BUCKETS + 1
PROBES_MAX = CHUNKS * (1 + CHUNK_BITS)

# Cache lines asked for so many buckets ahead of the one being read: measured best of 4 to 272.
BUCKETS_AHEAD = 16
TAGS_PER_LINE = 32
# Entries that pass the tag test are collected, fetched ahead and compared so many at a time,
# and tags are read in stretches so short that a whole one fits in what room is left.
CANDIDATES_AT_ONCE = 1024
STRETCH = 256
# Reading a tag in a long run costs about a quarter of scanning a row; fetching a candidate row
# from a random place about sixteen times as much. Beyond these shares of all rows, scan.
ENTRIES_PER_ROW_MAX = 4
ROWS_PER_CANDIDATE_MIN = 16


@kernel
def chunk_of(rows: Words, row: int, chunk: int) -> Any:
    """The 16 bits of a row's chunk; chunk 0 holds the most significant ones."""
    word = rows[row, chunk >> 2]
    return np.uint16((word >> np.uint64(48 - 16 * (chunk & 3))) & np.uint64(0xFFFF))


@kernel
def fill_table(
    rows: Words, chunk: int, offsets: Offsets, ids: Offsets, tags: Tags, entries: Words
) -> None:
    """Fill one chunk's table by a radix sort of two passes, a byte each.

    Args:
        rows: all values, ascending.
        chunk: 0 to 15. Rows are in the order of chunk 0 already, so that it takes no ids.
        offsets: room for 65,537 entries.
        ids: room for one row number per row; empty for chunk 0.
        tags: room for one tag per row.
        entries: room for one word per row, to work in.
    """
    following = (chunk + 1) % CHUNKS
    offsets[:] = 0
    by_low, by_high = np.zeros(257, np.int64), np.zeros(257, np.int64)
    for row in range(rows.shape[0]):
        key = np.int64(chunk_of(rows, row, chunk))
        offsets[key + 1] += np.uint32(1)
        by_low[(key & 255) + 1] += 1
        by_high[(key >> 8) + 1] += 1
    for bucket in range(1, offsets.size):
        offsets[bucket] += offsets[bucket - 1]
    for byte in range(1, 257):
        by_low[byte] += by_low[byte - 1]
        by_high[byte] += by_high[byte - 1]
    for row in range(rows.shape[0]):
        key = np.int64(chunk_of(rows, row, chunk))
        place = by_low[key & 255]
        by_low[key & 255] += 1
        tag = np.uint64(chunk_of(rows, row, following))
        entries[place] = (
            np.uint64(key >> 8) << np.uint64(48) | tag << np.uint64(32) | np.uint64(row)
        )
    for number in range(rows.shape[0]):
        entry = entries[number]
        high = np.int64(entry >> np.uint64(48))
        place = by_high[high]
        by_high[high] += 1
        tags[place] = np.uint16((entry >> np.uint64(32)) & np.uint64(0xFFFF))
        if chunk > 0:
            ids[place] = np.uint32(entry & np.uint64(0xFFFFFFFF))


@kernel
def _distance(queries: Words, query: int, rows: Words, row: int) -> Any:
    return (
        popcount(queries[query, 0] ^ rows[row, 0])
        + popcount(queries[query, 1] ^ rows[row, 1])
        + popcount(queries[query, 2] ^ rows[row, 2])
        + popcount(queries[query, 3] ^ rows[row, 3])
    )


@kernel
def _note(rows: Words, row: int, distance: int, found: int, answer: Answer) -> Any:
    """Write one match down, or only count it when there is no room left."""
    values, distances, counts = answer
    if found < distances.size:
        for word in range(4):
            values[found, word] = rows[row, word]
        distances[found] = distance
    counts[distance] += 1
    return found + 1


@kernel
def _scan(
    queries: Words,
    query: int,
    distance_max: int,
    rows: Words,
    dead: Bitmap,
    found: int,
    answer: Answer,
) -> Any:
    """Compare one query with each of the sorted rows."""
    for row in range(rows.shape[0]):
        distance = _distance(queries, query, rows, row)
        if distance <= distance_max and not (dead[row >> 3] >> (row & 7)) & 1:
            found = _note(rows, row, distance, found, answer)
    return found


@kernel
def _scan_delta(
    queries: Words,
    query: int,
    distance_max: int,
    columns: Words,
    column_count: int,
    dead: Bitmap,
    found: int,
    answer: Answer,
) -> Any:
    """Compare one query with each of the first ``column_count`` values of a delta.

    Half the bits of a stretch of values first, which becomes SIMD: what differs in more than
    ``distance_max`` of 128 bits need not be looked at further.
    """
    first, second = queries[query, 0], queries[query, 1]
    for begin in range(0, column_count, STRETCH):
        end = min(begin + STRETCH, column_count)
        nearest = np.int64(128)
        for place in range(np.uint64(begin), np.uint64(end)):  # unsigned: this loop becomes SIMD
            half = popcount(first ^ columns[0, place]) + popcount(second ^ columns[1, place])
            nearest = smaller(nearest, half)
        if nearest > distance_max:
            continue
        for place in range(begin, end):
            distance = (
                popcount(first ^ columns[0, place])
                + popcount(second ^ columns[1, place])
                + popcount(queries[query, 2] ^ columns[2, place])
                + popcount(queries[query, 3] ^ columns[3, place])
            )
            if distance <= distance_max and not (dead[place >> 3] >> (place & 7)) & 1:
                found = _note(columns.T, place, distance, found, answer)
    return found


@kernel
def _aim(
    queries: Words,
    query: int,
    radii: Numbers,
    row_count: int,
    offsets: Offsets,
    begins: Numbers,
    ends: Numbers,
    wanted: Tags,
    limits: Numbers,
) -> Any:
    """List the buckets to read: where each lies, the tag wanted there, and how far off it may be.

    Returns:
        How many buckets, and how many entries they hold.
    """
    probes = 0
    for chunk in range(CHUNKS):
        if radii[chunk] < 0:
            continue
        following = (chunk + 1) % CHUNKS
        key = np.int64(chunk_of(queries, query, chunk))
        tag = chunk_of(queries, query, following)
        limit = radii[chunk] + radii[following] + 1
        for flip in range(-1, CHUNK_BITS if radii[chunk] > 0 else 0):
            bucket = key if flip < 0 else key ^ (1 << flip)
            begins[probes] = chunk * TABLE_SIZE + bucket
            ends[probes] = chunk * row_count
            wanted[probes] = tag
            limits[probes] = limit if flip < 0 else limit - 1
            prefetch(offsets, begins[probes])
            probes += 1
    entries = 0
    for probe in range(probes):
        place, table = begins[probe], ends[probe]
        begins[probe] = table + np.int64(offsets[place])
        ends[probe] = table + np.int64(offsets[place + 1])
        entries += ends[probe] - begins[probe]
    return probes, entries


@kernel
def _is_known(queries: Words, query: int, rows: Words, row: int, chunk: int, radii: Numbers) -> Any:
    """Whether an earlier chunk has led to this row too, so that it was noted already."""
    for earlier in range(chunk):
        following = earlier + 1
        near = differing_bits(chunk_of(queries, query, earlier), chunk_of(rows, row, earlier))
        if near <= radii[earlier]:
            beside = differing_bits(
                chunk_of(queries, query, following), chunk_of(rows, row, following)
            )
            if near + beside <= radii[earlier] + radii[following] + 1:
                return True
    return False


@kernel
def _compare(
    queries: Words,
    query: int,
    distance_max: int,
    radii: Numbers,
    rows: Words,
    dead: Bitmap,
    ids: Offsets,
    places: Numbers,
    place_count: int,
    found: int,
    answer: Answer,
) -> Any:
    """Compare one query with the rows behind the table entries in ``places``."""
    row_count = rows.shape[0]
    chunks = np.empty(place_count, np.int64)
    for i in range(place_count):
        place = places[i]
        chunks[i] = place // row_count
        places[i] = place if place < row_count else np.int64(ids[place - row_count])
        prefetch(rows, places[i])
    for i in range(place_count):
        row = places[i]
        distance = _distance(queries, query, rows, row)
        if distance > distance_max or (dead[row >> 3] >> (row & 7)) & 1:
            continue
        if not _is_known(queries, query, rows, row, chunks[i], radii):
            found = _note(rows, row, distance, found, answer)
    return found


@kernel
def _collect(
    begin: int,
    end: int,
    wanted: Any,
    limit: int,
    row_count: int,
    tags: Tags,
    ids: Offsets,
    places: Numbers,
    place_count: int,
) -> Any:
    """Add the entries of one stretch of a bucket whose tag is near enough to ``places``."""
    nearest = np.uint16(CHUNK_BITS)
    for place in range(np.uint64(begin), np.uint64(end)):  # unsigned: this loop becomes SIMD
        nearest = fewer_differing(nearest, tags[place], wanted)
    if np.int64(nearest) > limit:
        return place_count
    for place in range(begin, end):
        if differing_bits(tags[place], wanted) <= limit:
            places[place_count] = place
            place_count += 1
            if place >= row_count:
                prefetch(ids, place - row_count)
    return place_count


@kernel
def _probe(
    queries: Words,
    query: int,
    distance_max: int,
    radii: Numbers,
    rows: Words,
    dead: Bitmap,
    offsets: Offsets,
    ids: Offsets,
    tags: Tags,
    found: int,
    answer: Answer,
) -> Any:
    """Search the tables for one query; -1 when a scan is cheaper (some may be noted by then)."""
    row_count = rows.shape[0]
    begins, ends = np.empty(PROBES_MAX, np.int64), np.empty(PROBES_MAX, np.int64)
    wanted, limits = np.empty(PROBES_MAX, np.uint16), np.empty(PROBES_MAX, np.int64)
    places = np.empty(CANDIDATES_AT_ONCE, np.int64)
    probes, entries = _aim(queries, query, radii, row_count, offsets, begins, ends, wanted, limits)
    if entries > ENTRIES_PER_ROW_MAX * row_count:
        return -1
    place_count: Any = np.int64(0)  # not a literal 0, for which callees would be compiled apart
    candidates, fetched = 0, 0
    for probe in range(probes):
        while fetched < min(probe + BUCKETS_AHEAD, probes):
            for place in range(begins[fetched], ends[fetched], TAGS_PER_LINE):
                prefetch(tags, place)
            fetched += 1
        begin = begins[probe]
        while begin < ends[probe]:
            end = min(ends[probe], begin + STRETCH)
            place_count = _collect(
                begin, end, wanted[probe], limits[probe], row_count, tags, ids, places, place_count
            )
            begin = end
            if place_count > CANDIDATES_AT_ONCE - STRETCH:
                candidates += place_count
                if candidates * ROWS_PER_CANDIDATE_MIN > row_count:
                    return np.int64(-1)
                found = _compare(
                    queries, query, distance_max, radii, rows, dead, ids, places, place_count,
                    found, answer,
                )  # fmt: skip
                place_count = 0
    return _compare(
        queries, query, distance_max, radii, rows, dead, ids, places, place_count,
        found, answer,
    )  # fmt: skip


@kernel
def search_rows(
    queries: Words,
    first: int,
    distance_max: int,
    radii: Numbers,
    rows: Words,
    dead: Bitmap,
    offsets: Offsets,
    ids: Offsets,
    tags: Tags,
    frozen: Words,
    frozen_count: int,
    frozen_dead: Bitmap,
    active: Words,
    active_count: int,
    active_dead: Bitmap,
    ends: Numbers,
    values: Words,
    distances: Bitmap,
    counts: Numbers,
) -> Any:
    """Search sorted rows and deltas for queries ``first`` and on, until the room is used up.

    Args:
        queries, first: rows; those before ``first`` are passed over.
        distance_max: 0 to 31.
        radii: per chunk, -1 to 1; what ``radii_for(distance_max)`` says.
        rows, dead, offsets, ids, tags: the sorted rows; without tables they are scanned.
        frozen .. active_dead: the deltas, of which the first ``count`` columns are meant.
        ends: written: per query, how many matches there are of all queries up to it.
        values, distances: written: the matches, query by query, in no particular order.
        counts: written: how many matches at each distance the last query looked at has.

    Returns:
        How many queries are done. When fewer than all: the matches of the next one did not fit;
        its ``ends`` says how far they would have reached.
    """
    answer = (values, distances, counts)
    found: Any = np.int64(0)  # not a literal 0, for which callees would be compiled apart
    for query in range(first, queries.shape[0]):
        before = found
        counts[:] = 0
        found = np.int64(-1)
        if offsets.size > 0:
            found = _probe(
                queries, query, distance_max, radii, rows, dead, offsets, ids, tags, before, answer
            )
        if found < 0:
            counts[:] = 0
            found = _scan(queries, query, distance_max, rows, dead, before, answer)
        found = _scan_delta(
            queries, query, distance_max, frozen, frozen_count, frozen_dead, found, answer
        )
        found = _scan_delta(
            queries, query, distance_max, active, active_count, active_dead, found, answer
        )
        ends[query] = found
        if found > distances.size:
            return query
    return queries.shape[0]
