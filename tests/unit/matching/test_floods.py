"""A flood is what matches far above its usual; counting it is bounded in memory."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from federation.matching.decisions import Mark
from federation.matching.floods import FloodCounters
from federation.matching.policy_terms import FloodGuard
from federation.protocol.signals import SignalType

GUARD = FloodGuard(matches=10, window_seconds=600, times_usual=5)


def mark(number: int = 0) -> Mark:
    return SignalType.SHA256, number.to_bytes(32, "big")


def matched(counters: FloodCounters, times: int, at: float, spread: float = 0.0) -> int:
    """The last count of so many matches from a time on."""
    return [
        counters.count(mark(), at + spread * number / max(times, 1), GUARD)
        for number in range(times)
    ][-1]


def test_a_signal_never_seen_before_is_a_flood_at_the_guards_own_number() -> None:
    counters = FloodCounters()
    assert 0 == matched(counters, 9, 0.0)
    assert 10 == matched(counters, 1, 1.0)


def test_matches_spread_over_two_windows_count_together_and_old_ones_fade() -> None:
    counters = FloodCounters()
    matched(counters, 9, 590.0)
    assert 10 <= matched(counters, 2, 601.0)
    assert 0 == matched(counters, 1, 1_790.0), "nine tenths of that window are over"
    assert 0 == matched(counters, 1, 50_000.0)


def test_what_matches_so_every_hour_is_usual_and_several_times_as_much_is_not() -> None:
    counters = FloodCounters()
    for window in range(1_000):
        matched(counters, 20, window * 600.0, 599.0)
    assert 0 == matched(counters, 60, 1_000 * 600.0, 599.0)
    assert 100 <= matched(counters, 140, 1_001 * 600.0, 599.0)


def test_what_a_person_released_at_its_present_rate_is_usual_from_then_on() -> None:
    counters = FloodCounters()
    assert matched(counters, 40, 0.0)
    counters.accept(mark())
    assert 0 == matched(counters, 40, 100.0)
    counters.accept(mark(99))  # never counted: nothing happens


def test_a_guard_that_is_off_counts_nothing() -> None:
    counters = FloodCounters()
    off = FloodGuard(matches=0)
    assert [0] * 1_000 == [counters.count(mark(), 0.0, off) for _ in range(1_000)]
    assert 0 == len(counters)


def test_other_signals_push_out_only_what_matched_longest_ago() -> None:
    counters = FloodCounters(counted_max=3)
    for number in (0, 1, 2, 0, 3):
        counters.count(mark(number), 0.0, GUARD)
    assert 3 == len(counters)
    assert 10 == [counters.count(mark(0), 0.0, GUARD) for _ in range(8)][-1], "it was kept"
    assert 0 == [counters.count(mark(1), 0.0, GUARD) for _ in range(9)][-1], "it began anew"


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0, 1e6)), max_size=200))
def test_whatever_matches_when_the_memory_is_bounded_and_rates_are_never_made_up(
    seen: list[tuple[int, float]],
) -> None:
    counters = FloodCounters(counted_max=7)
    times: dict[int, int] = {}
    for number, at in sorted(seen, key=lambda each: each[1]):
        times[number] = times.get(number, 0) + 1
        assert counters.count(mark(number), at, GUARD) <= times[number]
        assert len(counters) <= 7


def test_a_longer_window_begins_to_count_at_once() -> None:
    """Windows are numbered by their length: the older counts would stand still for days."""
    counters, at = FloodCounters(), 1e6
    for _ in range(9):
        counters.count(mark(), at, GUARD)
    longer = replace(GUARD, window_seconds=10 * GUARD.window_seconds)
    assert 0 == counters.count(mark(), at, longer)
    later = at + 3 * longer.window_seconds
    assert [0] * 9 == [counters.count(mark(), later, longer) for _ in range(9)]
    assert 10 == counters.count(mark(), later, longer)
