"""Adding, removing and rebuilding in any order, against a plain Python set."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from benchmarks.pdq_sets import make_uniform, to_values
from federation.matching.exact_index import ExactIndex
from federation.matching.found import Matches
from federation.matching.pdq_index import PdqIndex
from federation.matching.pdq_view import RingTables
from federation.matching.value_set import DELTA_MIN, RebuildJob, Rebuilt

# Few values, near each other, so that they come back, die twice, and find one another.
POOL = [bytes(30) + bytes([first, second]) for first in range(4) for second in (0, 1, 255)]
pool = st.sampled_from(POOL)
values = st.lists(pool, max_size=6)


def distance(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one) ^ int.from_bytes(other)).bit_count()


def nearest(model: set[bytes], query: bytes, distance_max: int) -> list[tuple[int, bytes]]:
    ranked = sorted((distance(query, value), value) for value in model)
    return [(far, value) for far, value in ranked if far <= distance_max]


class Changes(RuleBasedStateMachine):
    """What a daemon does, and what may go wrong: rebuilds run late, are lost, are adopted twice."""

    def __init__(self) -> None:
        super().__init__()
        self.index = PdqIndex(scan_rows_max=0)
        self.model: set[bytes] = set()
        self.jobs: list[RebuildJob[RingTables]] = []

    @rule(values=values)
    def add(self, values: list[bytes]) -> None:
        assert len(set(values) - self.model) == self.index.add(values)
        self.model.update(values)

    @rule(values=values)
    def remove(self, values: list[bytes]) -> None:
        assert len(set(values) & self.model) == self.index.remove(values)
        self.model.difference_update(values)

    @rule()
    def prepare(self) -> None:
        self.jobs.append(self.index.prepare_rebuild())

    @precondition(lambda self: self.jobs)
    @rule()
    def finish(self) -> None:
        rebuilt = self.jobs.pop().run()
        assert self.index.adopt(rebuilt)
        assert not self.index.adopt(rebuilt)
        assert not any(self.index.adopt(late.run()) for late in self.jobs)
        self.jobs.clear()

    @rule(query=pool, distance_max=st.integers(0, 31))
    def search(self, query: bytes, distance_max: int) -> None:
        expected = nearest(self.model, query, distance_max)
        answer = self.index.search(query, distance_max)
        assert expected == [(found.distance, found.value) for found in answer]

    @invariant()
    def holds_the_same(self) -> None:
        assert len(self.model) == len(self.index)
        assert [value in self.model for value in POOL] == [value in self.index for value in POOL]


TestChanges = Changes.TestCase
TestChanges.settings = settings(max_examples=60, stateful_step_count=40)


def test_rebuild_in_another_thread_loses_nothing_that_happens_meanwhile() -> None:
    rng = np.random.default_rng(3)
    values = to_values(make_uniform(rng, 60_000))
    index = PdqIndex()
    index.add(values[:40_000])
    index.rebuild()
    model = set(values[:40_000])
    for begin in range(40_000, 58_000, 6_000):
        index.add(values[begin : begin + 3_000])
        model.update(values[begin : begin + 3_000])
        job = index.prepare_rebuild()
        done: list[Rebuilt[RingTables]] = []
        thread = threading.Thread(target=lambda job=job, done=done: done.append(job.run()))
        thread.start()
        for step in range(3_000):
            come, gone = values[begin + 3_000 + step], values[begin - 5 * step - 1]
            back = values[begin + step]
            index.add([come])
            index.remove([gone, back])
            index.add([back])
            model.add(come)
            model.discard(gone)
            assert [(0, come)] == [(found.distance, found.value) for found in index.search(come)]
            assert Matches((), 0) == index.search(gone)
        thread.join()
        assert index.adopt(done[0])
    assert len(model) == len(index)
    answers = index.search_many(values)
    assert [value in model for value in values] == [answer.total == 1 for answer in answers]
    assert [value in model for value in values] == [value in index for value in values]


@pytest.mark.parametrize("rebuilt_before", [[], POOL[:1]])
def test_value_that_died_before_a_rebuild_and_comes_back_during_it_stays(
    rebuilt_before: list[bytes],
) -> None:
    index = PdqIndex(scan_rows_max=0)
    index.add(rebuilt_before)
    index.rebuild()
    index.add(POOL[:2])
    index.remove(POOL[:1])
    job = index.prepare_rebuild()
    index.add(POOL[:1])
    index.remove(POOL[1:2])
    assert index.adopt(job.run())
    assert [True, False] == [value in index for value in POOL[:2]]
    assert [1, 0] == [answer.total for answer in index.search_many(POOL[:2], 0)]


def test_job_once_prepared_sees_nothing_that_happens_later() -> None:
    index = PdqIndex(scan_rows_max=0)
    index.add(POOL[:6])
    index.rebuild()
    index.add(POOL[6:9])
    index.remove([POOL[0], POOL[6]])
    job = index.prepare_rebuild()
    first = job.run().sorted_rows.rows.tolist()
    index.remove([POOL[1], POOL[7]])
    index.add([POOL[0], POOL[6], POOL[9]])
    assert first == job.run().sorted_rows.rows.tolist()
    assert 7 == len(first)


def test_removed_value_stays_removed_while_the_delta_grows() -> None:
    values = to_values(make_uniform(np.random.default_rng(17), 1_000))
    index = PdqIndex()
    index.add(values[:10])
    index.remove(values[:5])
    for value in values[10:]:
        index.add([value])
    assert [False] * 5 + [True] * 995 == [value in index for value in values]
    assert 995 == len(index) == sum(answer.total for answer in index.search_many(values, 0))


def test_rebuild_is_asked_for_after_many_changes_and_not_again() -> None:
    values = to_values(make_uniform(np.random.default_rng(5), 2 * DELTA_MIN + 2))
    index = PdqIndex()
    index.add(values[:DELTA_MIN])
    assert not index.needs_rebuild()
    index.add(values)
    assert index.needs_rebuild()
    index.rebuild()
    assert not index.needs_rebuild()
    index.remove(values[: DELTA_MIN + 1])
    assert index.needs_rebuild()
    index.rebuild()
    assert not index.needs_rebuild()
    assert len(values) - DELTA_MIN - 1 == len(index)


def test_lost_rebuild_is_superseded_and_its_late_result_refused() -> None:
    index = PdqIndex(scan_rows_max=0)
    index.add(POOL[:4])
    lost = index.prepare_rebuild()
    index.remove(POOL[:1])
    index.add(POOL[4:8])
    later = index.prepare_rebuild()
    index.remove(POOL[7:8])
    assert not index.adopt(lost.run())
    assert index.adopt(later.run())
    assert not index.adopt(later.run())
    assert sorted(POOL[1:7]) == sorted(value for value in POOL if value in index)


def test_values_that_crowd_one_prefix_are_told_apart() -> None:
    # All in one bucket of every prefix table, and different only in the last word.
    values = [bytes(24) + number.to_bytes(8) for number in range(5_000)]
    index = ExactIndex(32)
    index.add(reversed(values))
    index.rebuild()
    assert 5_000 == len(index)
    index.remove(values[::2])
    assert [False, True] * 2_500 == [value in index for value in values]


def test_seed_changes_no_answer() -> None:
    values = to_values(make_uniform(np.random.default_rng(9), 500))
    for seed in (0, 1, 2**64 - 1):
        index = ExactIndex(32, seed=seed)
        assert 250 == index.add(values[:250])
        assert [True] * 250 + [False] * 250 == [value in index for value in values]


def test_memory_is_what_the_signals_need() -> None:
    pdq, md5 = PdqIndex(), ExactIndex(16)
    assert 30_000 > pdq.memory_bytes()
    pdq.add_joined(b"".join(number.to_bytes(32) for number in range(50_000)))
    md5.add_joined(b"".join(number.to_bytes(16) for number in range(50_000)))
    for index in (pdq, md5):
        before = index.memory_bytes()
        index.rebuild()
        assert 50_000 * 16 < index.memory_bytes()
        assert index is pdq or index.memory_bytes() < before
    offsets = 16 * 65_537 * 4
    assert 124 <= (pdq.memory_bytes() - offsets) / 50_000 < 126
    assert 16 <= md5.memory_bytes() / 50_000 < 18
