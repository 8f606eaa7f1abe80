"""TLSH: every distance is the reference's, and a search finds all within it."""

from __future__ import annotations

import random

import numpy as np
import pytest
import tlsh

from federation.errors import RequestMalformed
from federation.local_errors.content import SignalMalformed
from federation.matching.tlsh_index import TlshIndex, _row, measure_rows
from federation.protocol.limits_content import TLSH_DISTANCE_MAX

RNG = random.Random(5)


def wounded(value: bytes) -> bytes:
    """A value near another: some bits turned, so that small distances come up too."""
    bits = int.from_bytes(value, "big")
    for _ in range(RNG.randrange(1, 12)):
        bits ^= 1 << RNG.randrange(8 * len(value))
    return bits.to_bytes(len(value), "big")


def values() -> list[bytes]:
    drawn = [RNG.randbytes(35) for _ in range(60)]
    return drawn + [wounded(value) for value in drawn for _ in range(4)]


def reference(one: bytes, other: bytes) -> int:
    return int(tlsh.diff(f"T1{one.hex().upper()}", f"T1{other.hex().upper()}"))


def test_distances_are_those_of_the_reference() -> None:
    known = values()
    rows = np.stack([_row(value) for value in known])
    distances = np.empty(len(known), dtype=np.int64)
    for asked in known[::10]:
        measure_rows(rows, len(known), _row(asked), distances)
        assert [reference(asked, value) for value in known] == distances.tolist()


def test_search_finds_all_within_the_distance_nearest_first() -> None:
    known = values()
    index = TlshIndex()
    assert len(known) == index.add(known)
    for asked in known[::25]:
        for distance_max in (0, 30, TLSH_DISTANCE_MAX):
            near = sorted((reference(asked, value), value) for value in known)
            expected = [pair for pair in near if pair[0] <= distance_max]
            (found,) = index.search_many([asked], distance_max, matches_max=None)
            assert expected == [(each.distance, each.value) for each in found]
            (few,) = index.search_many([asked], distance_max, matches_max=1)
            assert (1, len(expected)) == (len(few), few.total)


def test_removed_values_are_found_no_more_and_the_others_still_are() -> None:
    known = values()
    index = TlshIndex()
    index.add(known)
    gone = known[::3]
    assert len(gone) == index.remove(gone)
    assert 0 == index.remove(gone)
    left = [value for value in known if value not in gone]
    assert len(left) == len(index)
    assert [0] * len(gone) == [each.total for each in index.search_many(gone, 0)]
    assert [1] * len(left) == [each.total for each in index.search_many(left, 0)]
    assert len(gone) == index.add(gone)
    assert [1] * len(known) == [each.total for each in index.search_many(known, 0)]


def test_set_grows_past_its_first_room_and_takes_joined_values() -> None:
    index = TlshIndex()
    many = [number.to_bytes(35) for number in range(3_000)]
    assert 3_000 == index.add_joined(b"".join(many))
    assert 0 == index.add_joined(memoryview(many[7]))
    assert many[2_999] in index
    with pytest.raises(SignalMalformed):
        index.add_joined(bytes(36))


@pytest.mark.parametrize("length", [0, 34, 36])
def test_value_of_another_length_is_refused(length: int) -> None:
    index = TlshIndex()
    for refuse in (index.add, index.remove, index.search_many):
        with pytest.raises(SignalMalformed):
            refuse([bytes(length)])


@pytest.mark.parametrize("distance_max", [-1, TLSH_DISTANCE_MAX + 1])
def test_distance_out_of_range_is_refused(distance_max: int) -> None:
    with pytest.raises(RequestMalformed):
        TlshIndex().search_many([bytes(35)], distance_max)
