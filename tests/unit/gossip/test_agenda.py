"""The agenda gives back who is due, once, at the newest of the times it was given."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from federation.gossip.agenda import STALE_MIN, Agenda


def test_a_newer_time_replaces_the_older_one() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.put("a", 5.0)
    agenda.put("b", 6.0)
    agenda.put("a", 7.0)
    assert 6.0 == agenda.next_wake()
    assert [] == agenda.take(5.9)
    assert ["b", "a"] == agenda.take(7.0)
    assert [] == agenda.take(100.0)
    assert agenda.next_wake() is None


def test_a_name_without_a_time_is_never_due() -> None:
    agenda: Agenda[str] = Agenda()
    agenda.put("a", 5.0)
    agenda.put("a", None)
    assert (None, []) == (agenda.next_wake(), agenda.take(9.0))


@given(st.lists(st.tuples(st.integers(0, 9), st.one_of(st.none(), st.integers(0, 50)))))
def test_it_agrees_with_a_plain_mapping(puts: list[tuple[int, int | None]]) -> None:
    agenda: Agenda[str] = Agenda()
    plain: dict[str, float] = {}
    for number, at in puts:
        agenda.put(str(number), at)
        if at is None:
            plain.pop(str(number), None)
        else:
            plain[str(number)] = at
    assert min(plain.values(), default=None) == agenda.next_wake()
    taken = sorted((at, name) for name, at in plain.items() if at <= 25)
    assert [name for _, name in taken] == agenda.take(25)


def test_times_that_were_replaced_do_not_pile_up() -> None:
    agenda: Agenda[str] = Agenda()
    rng = Random(1)
    for _ in range(10_000):
        agenda.put("a", rng.random())
    assert len(agenda._heap) <= STALE_MIN + 3
