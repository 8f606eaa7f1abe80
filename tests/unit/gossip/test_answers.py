"""Requests that wait for a write: answered when it is over, or when they have waited enough."""

from __future__ import annotations

from federation.gossip.answers import ASKS_MAX, Answers, Ask
from federation.protocol.origins import Lane, LogId
from tests.builders import ACME, FEDERATION_ID, NOVA, UMBRA

LIVE, BULK = (LogId(ACME, FEDERATION_ID, lane) for lane in (Lane.LIVE, Lane.BULK))


def ask(number: int, *waiting: LogId, peer: str = NOVA, until: float = 1.0) -> Ask:
    return Ask(number, peer, (LIVE, BULK), set(waiting), until)


def test_a_request_that_waits_for_nothing_is_not_kept() -> None:
    assert not Answers().hold(ask(1))


def test_a_request_waits_for_all_of_its_writes() -> None:
    answers, waiting = Answers(), ask(1, LIVE, BULK)
    assert answers.hold(waiting)
    assert [] == answers.settle(LIVE)
    assert [waiting] == answers.settle(BULK)
    assert [] == answers.settle(BULK)


def test_those_who_wait_for_a_write_are_known() -> None:
    answers = Answers()
    answers.hold(ask(1, LIVE))
    answers.hold(ask(2, BULK, peer=UMBRA))
    assert {NOVA} == answers.askers_of(LIVE)
    answers.settle(LIVE)
    assert frozenset() == answers.askers_of(LIVE)


def test_a_request_is_answered_when_it_has_waited_enough() -> None:
    answers = Answers()
    late, later = ask(1, LIVE, until=1.0), ask(2, LIVE, until=2.0)
    answers.hold(late)
    answers.hold(later)
    assert 1.0 == answers.next_wake()
    assert [] == answers.overdue(0.9)
    assert [late] == answers.overdue(1.0)
    assert [later] == answers.settle(LIVE)
    assert answers.next_wake() is None


def test_no_more_than_so_many_wait() -> None:
    answers = Answers()
    assert all(answers.hold(ask(number, LIVE)) for number in range(ASKS_MAX))
    assert not answers.hold(ask(ASKS_MAX, LIVE))
