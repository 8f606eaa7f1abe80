"""The PDQ index against brute force: nothing within the distance missed, nothing else found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.pdq_sets import SHAPES, BruteForce, make_flips, make_uniform, plant, to_values
from federation.errors import RequestMalformed
from federation.local_errors.content import SignalMalformed
from federation.matching.found import MATCHES_MAX, NO_MATCHES, Found, Matches
from federation.matching.pdq_diagonals import turn_to_diagonals, turn_to_rows
from federation.matching.pdq_index import PdqIndex
from federation.matching.pdq_view import radii_for
from federation.matching.rows import join_rows, pack_values, unjoin_rows

CHUNKS = 16
ZERO = bytes(32)


def make_index(values: list[bytes], *, scan_rows_max: int = 0) -> PdqIndex:
    """An index whose values are all in the tables, however few they are."""
    index = PdqIndex(scan_rows_max=scan_rows_max)
    index.add(values)
    index.rebuild()
    return index


def flip(value: bytes, *bits: int) -> bytes:
    """Flip bits by their place in the index: bit 16 c + k is the k-th of chunk c."""
    row = pack_values((bytes(32),), 32)
    for bit in bits:
        row[0, bit >> 6] ^= np.uint64(1) << np.uint64(63 - (bit & 63))
    turn_to_rows(row)
    flips = int.from_bytes(join_rows(row))
    return (int.from_bytes(value) ^ flips).to_bytes(32)


def pairs(matches: Matches) -> list[tuple[int, bytes]]:
    return [(found.distance, found.value) for found in matches]


shapes = st.sampled_from(sorted(SHAPES))
seeds = st.integers(0, 2**32)
distances = st.integers(0, 31)


@given(shape=shapes, seed=seeds, count=st.integers(0, 2000), distance_max=distances)
@settings(max_examples=60)
def test_finds_what_brute_force_finds(shape: str, seed: int, count: int, distance_max: int) -> None:
    rng = np.random.default_rng(seed)
    rows = SHAPES[shape](rng, count)
    queries = [make_uniform(rng, 5)] + ([plant(rng, rows, 2)[0]] if count else [])
    asked = to_values(np.concatenate(queries))
    brute = BruteForce(rows)
    expected = [brute.search(query, distance_max) for query in asked]

    tables = make_index(to_values(rows))
    actual = tables.search_many(asked, distance_max, matches_max=None)
    assert expected == [pairs(matches) for matches in actual]

    delta = PdqIndex()
    delta.add(to_values(rows))
    actual = delta.search_many(asked, distance_max, matches_max=None)
    assert expected == [pairs(matches) for matches in actual]


@pytest.mark.parametrize("shape", sorted(SHAPES))
def test_planted_neighbour_at_every_distance_is_found_up_to_it_and_not_below(shape: str) -> None:
    rng = np.random.default_rng(11)
    rows = SHAPES[shape](rng, 30_000)
    queries, planted = plant(rng, rows, 5)
    index, brute = make_index(to_values(rows)), BruteForce(rows)
    for query, distance in zip(to_values(queries), planted.tolist(), strict=True):
        for distance_max in {max(distance - 1, 0), distance, 31}:
            expected = brute.search(query, distance_max)
            assert expected == pairs(index.search(query, distance_max, matches_max=None))
        assert distance in {found.distance for found in index.search(query, distance)}


@given(seed=seeds, distance_max=distances, spread=st.lists(st.integers(0, 15), max_size=31))
def test_bits_flipped_in_chosen_chunks_never_hide_a_neighbour(
    seed: int, distance_max: int, spread: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    value = rng.bytes(32)
    used = [0] * CHUNKS
    bits = []
    for chunk in spread:
        if used[chunk] < CHUNKS:
            bits.append(16 * chunk + used[chunk])
            used[chunk] += 1
    query = flip(value, *bits)
    index = make_index([value, *to_values(make_uniform(rng, 50))])
    expected = [(len(bits), value)] if len(bits) <= distance_max else []
    assert expected == pairs(index.search(query, distance_max))


@pytest.mark.parametrize("spared", range(CHUNKS))
def test_tightest_spread_of_31_bits_is_found(spared: int) -> None:
    # Two bits in every chunk but one: only that one, with a single bit, is within its radius.
    bits = [16 * chunk + bit for chunk in range(CHUNKS) for bit in (3, 12)]
    bits.remove(16 * spared + 3)
    index = make_index([ZERO])
    assert [(31, ZERO)] == pairs(index.search(flip(ZERO, *bits)))
    assert NO_MATCHES == index.search(flip(ZERO, *bits, 16 * spared + 3))


def test_neighbour_that_only_one_very_long_bucket_leads_to_is_found() -> None:
    rng = np.random.default_rng(13)
    rows = make_uniform(rng, 3_000)
    arranged = unjoin_rows(rows.tobytes(), 32)
    arranged[:, 0] >>= np.uint64(16)  # chunk 0 is zero in all
    turn_to_rows(arranged)
    joined = join_rows(arranged)
    values = [joined[at : at + 32] for at in range(0, len(joined), 32)]
    bits = [16 + bit for bit in range(3)]
    bits += [16 * chunk + bit for chunk in range(2, CHUNKS) for bit in (0, 9)]
    index = make_index(values)
    answers = index.search_many([flip(value, *bits) for value in values])
    assert [[(31, value)] for value in values] == [pairs(matches) for matches in answers]


@given(distance_max=distances, spread=st.lists(st.integers(0, 16), min_size=16, max_size=16))
def test_ring_conditions_hold_somewhere_for_every_spread(
    distance_max: int, spread: list[int]
) -> None:
    radii = radii_for(distance_max)
    assert distance_max + 1 == sum(radius + 1 for radius in radii)
    while sum(spread) > distance_max:
        largest = spread.index(max(spread))
        spread[largest] -= 1
    assert any(
        spread[chunk] <= radii[chunk]
        and spread[chunk] + spread[following] <= radii[chunk] + radii[following] + 1
        for chunk in range(CHUNKS)
        for following in [(chunk + 1) % CHUNKS]
    )


def test_every_chunk_takes_one_bit_of_each_row_and_of_each_column() -> None:
    taken: list[set[tuple[int, int]]] = [set() for _ in range(CHUNKS)]
    for bit in range(256):
        row = pack_values(((1 << (255 - bit)).to_bytes(32),), 32)
        turn_to_diagonals(row)
        place = 256 - int.from_bytes(join_rows(row)).bit_length()
        taken[place // 16].add((bit // 16, bit % 16))
    for chunk in taken:
        assert list(range(16)) == sorted(row for row, _ in chunk)
        assert list(range(16)) == sorted(column for _, column in chunk)


@given(joined=st.binary(min_size=32, max_size=32))
def test_turning_there_and_back_changes_nothing(joined: bytes) -> None:
    row = unjoin_rows(joined, 32)
    turn_to_diagonals(row)
    assert int.from_bytes(joined).bit_count() == int.from_bytes(join_rows(row)).bit_count()
    turn_to_rows(row)
    assert joined == join_rows(row)


@pytest.mark.parametrize("scan_rows_max", [0, 10_000])
@pytest.mark.parametrize("removed", [[], [ZERO]])
def test_empty_index_finds_nothing(scan_rows_max: int, removed: list[bytes]) -> None:
    index = make_index(removed, scan_rows_max=scan_rows_max)
    index.remove([ZERO])
    for _ in range(2):
        assert 0 == len(index)
        assert ZERO not in index
        assert [NO_MATCHES, NO_MATCHES] == index.search_many([ZERO, b"\xff" * 32])
        index.rebuild()


def test_no_queries_have_no_answers() -> None:
    assert [] == make_index([ZERO]).search_many([])


def test_value_added_twice_is_found_once() -> None:
    index = PdqIndex(scan_rows_max=0)
    assert 1 == index.add([ZERO, ZERO])
    index.rebuild()
    assert 0 == index.add([ZERO])
    index.prepare_rebuild()
    assert 0 == index.add([ZERO])
    assert 1 == len(index)
    assert Matches((Found(ZERO, 0),), 1) == index.search(ZERO)


@pytest.mark.parametrize("wrong", [b"", bytes(31), bytes(33), bytes(64)])
def test_wrong_length_is_refused_everywhere(wrong: bytes) -> None:
    index = make_index([ZERO])
    for refuse in (
        lambda: index.add([ZERO, wrong]),
        lambda: index.remove([ZERO, wrong]),
        lambda: index.search(wrong),
        lambda: index.search_many([ZERO, wrong]),
        lambda: wrong in index,
    ):
        with pytest.raises(SignalMalformed):
            refuse()
    assert 1 == len(index)


def test_joined_values_that_end_within_one_are_refused() -> None:
    index = PdqIndex()
    with pytest.raises(SignalMalformed):
        index.add_joined(bytes(33))
    assert 0 == len(index)
    assert 1 == index.add_joined(bytes(64))


@pytest.mark.parametrize("distance_max", [-1, 32, 256])
def test_distance_outside_the_cap_is_refused(distance_max: int) -> None:
    with pytest.raises(RequestMalformed):
        make_index([ZERO]).search(ZERO, distance_max)


def test_negative_number_of_matches_is_refused() -> None:
    with pytest.raises(RequestMalformed):
        make_index([ZERO]).search(ZERO, matches_max=-1)


def make_flood(near: int, far: int) -> tuple[list[bytes], bytes]:
    """``near`` different values within 4 bits of one centre, and ``far`` random ones."""
    rng = np.random.default_rng(7)
    centre = make_uniform(rng, 1)
    swarm: set[bytes] = set()
    while len(swarm) < near:
        swarm.update(to_values(centre ^ make_flips(rng, rng.integers(0, 5, near))))
    return sorted(swarm)[:near] + to_values(make_uniform(rng, far)), centre.tobytes()


# So many that the tables are given up at once; only while reading them; and not at all, though
# the candidates of one query do not fit together.
@pytest.mark.parametrize(("near", "far"), [(20_000, 5_000), (3_000, 27_000), (120, 60_000)])
def test_flood_of_near_identical_signals_is_answered_in_full(near: int, far: int) -> None:
    values, centre = make_flood(near, far)
    brute = BruteForce(np.frombuffer(b"".join(values), dtype=np.uint8).reshape(-1, 32))
    index = make_index(values)
    for distance_max in (0, 2, 31):
        expected = brute.search(centre, distance_max)
        answer = index.search(centre, distance_max, matches_max=None)
        assert expected == pairs(answer)
        assert (len(expected), False) == (answer.total, answer.is_truncated)


def test_flood_in_the_delta_is_answered_in_full() -> None:
    values, centre = make_flood(5_000, 1_000)
    index = PdqIndex()
    index.add(values)
    assert 5_000 == index.search(centre).total
    index.remove(values[:1_000])
    assert 4_000 == index.search(centre).total


@pytest.mark.parametrize("matches_max", [0, 1, 2, 999, 1_000, 4_999, 5_000, 5_001])
def test_capped_answer_is_the_nearest_and_says_what_it_leaves_out(matches_max: int) -> None:
    values, centre = make_flood(5_000, 10_000)
    index = make_index(values[::2])
    index.add(values[1::2])
    everything = pairs(index.search(centre, matches_max=None))
    answer = index.search(centre, matches_max=matches_max)
    assert everything[:matches_max] == pairs(answer)
    assert 5_000 == answer.total == len(everything)
    assert (matches_max < 5_000) == answer.is_truncated


def test_answers_are_capped_unless_asked_otherwise() -> None:
    values, centre = make_flood(5_000, 0)
    answer = make_index(values).search(centre)
    assert (MATCHES_MAX, 5_000, True) == (len(answer), answer.total, answer.is_truncated)


def test_crowded_queries_do_not_disturb_their_neighbours_in_a_batch() -> None:
    values, centre = make_flood(2_000, 6_000)
    index = make_index(values)
    lone, miss = values[-1], flip(values[-1], *range(0, 256, 4))
    batch = [miss, centre, lone, centre, centre, miss, lone] * 3
    expected = [index.search(query) for query in batch]
    assert expected == index.search_many(batch)
    assert [0, 2_000, 1] == [answer.total for answer in expected[:3]]


def test_found_signal_does_not_show_its_value() -> None:
    answer = make_index([b"\xab" * 32]).search(b"\xab" * 32)
    assert "ab" not in repr(answer).replace("total", "").replace("nearest", "")
    assert r"\x" not in repr(answer)
