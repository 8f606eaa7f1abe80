"""Fetching: one range of a log at a time, from whoever offers most, and judged on arrival."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from federation.errors import FederationError
from federation.gossip.events import FetchRange, Persist
from federation.gossip.reconciliation import (
    SET_ASIDE_SECONDS,
    WRITE_RETRY_SECONDS,
    Reconciliation,
)
from federation.gossip.slots import (
    FETCHES_MAX,
    FETCHES_PER_PEER_MAX,
    STALL_SECONDS,
    STALLED_MAX,
)
from federation.gossip.vectors import head_vector
from federation.local_errors.proofs import Fork, MessageMalformed, RootMismatch
from federation.protocol.limits_messages import RANGE_STATEMENTS_MAX
from federation.protocol.merkle_proofs import consistency_proof
from federation.protocol.messages import StatementRange
from federation.protocol.origins import Lane
from federation.protocol.statements import Statement
from tests.builders import ACME, NOVA, UMBRA, MadeLog, make_log, make_roster

FOUNDED = make_roster()


def made_log(count: int, lane: Lane = Lane.LIVE) -> MadeLog:
    made = make_log(founded=FOUNDED, lane=lane)
    made.say_numbers(range(count))
    return made


def other_history(count: int) -> MadeLog:
    made = make_log(founded=FOUNDED)
    made.say_numbers(range(1_000, 1_000 + count))
    return made


def follower(*logs: MadeLog, peers: Sequence[str] = (NOVA,)) -> Reconciliation:
    """Somebody who holds nothing and to whom these peers offer these logs."""
    reconciliation = Reconciliation(make_log(founded=FOUNDED).verifier)
    for made in logs:
        for peer in peers:
            reconciliation.hear(peer, made.head(), ())
    return reconciliation


def fetches(reconciliation: Reconciliation, now: float = 0.0) -> list[FetchRange]:
    commands = reconciliation.pump(now, Random(1), lambda _peer, _lane: 0.0)
    return [command for command in commands if isinstance(command, FetchRange)]


def served(
    made: MadeLog, fetch: FetchRange, count: int | None = None, *, start: int | None = None
) -> StatementRange:
    """What an honest peer answers, or the first so many statements of it."""
    begin = fetch.start if start is None else start
    end = fetch.end if count is None else begin + count
    proof = consistency_proof(end, fetch.head_size, made.node) if end < fetch.head_size else ()
    return StatementRange(begin, tuple(made.said[begin:end]), proof)


def persisted(reconciliation: Reconciliation, persist: Persist | None) -> None:
    assert persist is not None
    reconciliation.note_persisted(persist.step.view)


# --- what is asked ------------------------------------------------------------------------------


def test_what_is_offered_is_fetched_once_at_a_time() -> None:
    made = made_log(5)
    reconciliation = follower(made)
    (fetch,) = fetches(reconciliation)
    assert FetchRange(NOVA, made.log, 0, 5, 5) == fetch
    assert [] == fetches(reconciliation)
    persist = reconciliation.receive(NOVA, made.log, served(made, fetch))
    assert [] == fetches(reconciliation)
    persisted(reconciliation, persist)
    assert [] == fetches(reconciliation)
    assert {} == reconciliation.logs[made.log].offers


def test_a_long_log_is_fetched_in_whole_tiles_wherever_one_begins() -> None:
    made = made_log(2 * RANGE_STATEMENTS_MAX + 3)
    reconciliation = follower(made)
    reconciliation.note_persisted(
        made.view.advance(made.head(1), made.said[:1], (), made.verifier).view
    )
    ranges = []
    while found := fetches(reconciliation):
        (fetch,) = found
        ranges.append((fetch.start, fetch.end))
        persisted(reconciliation, reconciliation.receive(NOVA, made.log, served(made, fetch)))
    size = RANGE_STATEMENTS_MAX
    assert [(1, size), (size, 2 * size), (2 * size, 2 * size + 3)] == ranges
    assert reconciliation.logs[made.log].view.is_complete


def test_a_range_cut_short_is_taken_and_the_rest_asked_for() -> None:
    made = made_log(9)
    reconciliation = follower(made)
    (fetch,) = fetches(reconciliation)
    persisted(reconciliation, reconciliation.receive(NOVA, made.log, served(made, fetch, 4)))
    (rest,) = fetches(reconciliation)
    assert (4, 9) == (rest.start, rest.end)


def test_whoever_offers_most_is_asked() -> None:
    made = made_log(9)
    reconciliation = follower(peers=())
    reconciliation.hear(NOVA, made.head(4), ())
    reconciliation.hear(UMBRA, made.head(9), ())
    assert [UMBRA] == [fetch.peer for fetch in fetches(reconciliation)]


def test_a_peer_that_may_not_be_asked_is_not() -> None:
    reconciliation = follower(made_log(3), peers=(NOVA, UMBRA))
    (fetch,) = reconciliation.pump(0.0, Random(1), lambda peer, _: 0.0 if peer == UMBRA else 1.0)
    assert isinstance(fetch, FetchRange)
    assert UMBRA == fetch.peer


def test_an_urgent_lane_never_waits_for_a_slot_of_a_slower_one() -> None:
    members = tuple(f"m{number:02}.example" for number in range(40))
    founded = make_roster(*members)
    reconciliation = Reconciliation(make_log(founded=founded, member=members[0]).verifier)
    for lane in (Lane.BULK, Lane.LIVE, Lane.CRISIS):
        for number, member in enumerate(members):
            made = make_log(founded=founded, member=member, lane=lane)
            made.say_numbers([0])
            reconciliation.hear(members[number % 8], made.head(), ())
    asked = [fetch.log.lane for fetch in fetches(reconciliation)]
    assert [lane for lane in Lane for _ in range(FETCHES_MAX[lane])] == asked
    assert [] == fetches(reconciliation)


def test_an_older_offer_is_not_fetched_under_once_a_newer_head_was_accepted() -> None:
    made = made_log(9)
    reconciliation = follower(made, peers=(UMBRA,))
    (fetch,) = fetches(reconciliation)
    persisted(reconciliation, reconciliation.receive(UMBRA, made.log, served(made, fetch, 4)))
    reconciliation.note_failed(UMBRA, made.log, 100.0)
    # Honest, and behind: it would be blamed for a head that is older than one already accepted.
    reconciliation.hear(NOVA, made.head(6), ())
    assert [] == fetches(reconciliation)
    assert [UMBRA] == [fetch.peer for fetch in fetches(reconciliation, now=100.0)]


# --- what is answered ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "count", "error"),
    [(1, 3, MessageMalformed), (0, 5, MessageMalformed), (1, 1, MessageMalformed)],
    ids=["another start", "more than asked", "another part"],
)
def test_another_range_than_was_asked_for_is_a_fault(
    start: int, count: int, error: type[FederationError]
) -> None:
    made = made_log(2 * RANGE_STATEMENTS_MAX)
    reconciliation = follower(peers=())
    reconciliation.hear(NOVA, made.head(4), ())
    (fetch,) = fetches(reconciliation)
    with pytest.raises(error):
        reconciliation.receive(NOVA, made.log, served(made, fetch, count, start=start))


def test_statements_that_are_not_the_logs_are_refused_and_others_are_asked() -> None:
    made = made_log(3)
    reconciliation = follower(made, peers=(NOVA, UMBRA))
    (fetch,) = fetches(reconciliation)
    wrong = StatementRange(0, tuple(reversed(made.said)), ())
    with pytest.raises(RootMismatch):
        reconciliation.receive(fetch.peer, made.log, wrong)
    reconciliation.note_failed(fetch.peer, made.log, SET_ASIDE_SECONDS)
    (again,) = fetches(reconciliation)
    assert {NOVA, UMBRA} == {fetch.peer, again.peer}
    assert 0 == reconciliation.logs[made.log].view.size


def test_an_answer_that_nobody_asked_for_is_nothing() -> None:
    made = made_log(3)
    reconciliation = follower(made)
    (fetch,) = fetches(reconciliation)
    assert reconciliation.receive(UMBRA, made.log, served(made, fetch)) is None
    # And what was asked for is still awaited.
    assert reconciliation.receive(NOVA, made.log, served(made, fetch)) is not None


def test_a_range_that_came_too_late_is_nothing() -> None:
    made = made_log(3)
    reconciliation = follower(made)
    (fetch,) = fetches(reconciliation)
    persisted(reconciliation, reconciliation.hear(UMBRA, made.head(), tuple(made.said)))
    assert reconciliation.receive(NOVA, made.log, served(made, fetch)) is None
    assert [] == fetches(reconciliation)


def test_a_failed_write_is_tried_again_after_a_pause() -> None:
    made = made_log(3)
    reconciliation = follower(made)
    (fetch,) = fetches(reconciliation)
    reconciliation.receive(NOVA, made.log, served(made, fetch))
    reconciliation.note_not_persisted(made.log, None, 10.0)
    assert [] == fetches(reconciliation, now=10.0)
    assert 10.0 + WRITE_RETRY_SECONDS == reconciliation.next_wake(10.0, lambda _peer, _lane: 0.0)
    assert 1 == len(fetches(reconciliation, now=10.0 + WRITE_RETRY_SECONDS))


# --- inline -------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [3, 4, 7])
def test_statements_inline_are_taken_from_where_they_are_needed(told: int) -> None:
    made = made_log(7)
    reconciliation = follower(peers=())
    persisted(reconciliation, reconciliation.hear(NOVA, made.head(4), tuple(made.said[:4])))
    persist = reconciliation.hear(NOVA, made.head(), tuple(made.said[-told:]))
    assert persist is not None
    assert made.said[4:] == [each.statement for each in persist.step.statements]


def test_statements_inline_that_leave_a_gap_are_fetched_instead() -> None:
    made = made_log(7)
    reconciliation = follower(peers=())
    assert reconciliation.hear(NOVA, made.head(), tuple(made.said[2:])) is None
    assert [(0, 7)] == [(fetch.start, fetch.end) for fetch in fetches(reconciliation)]


def inlines(made: MadeLog) -> list[tuple[Statement, ...]]:
    one, two, three = made.said
    return [(three, two, one), (one, one, three), (one, two, other_history(1).said[0])]


@pytest.mark.parametrize("number", range(3))
def test_statements_inline_that_are_not_the_logs_are_refused(number: int) -> None:
    made = made_log(3)
    reconciliation = follower(peers=())
    with pytest.raises(RootMismatch):
        reconciliation.hear(NOVA, made.head(), inlines(made)[number])
    assert not reconciliation.logs[made.log].writing


def test_only_one_write_of_a_log_is_under_way() -> None:
    made = made_log(4)
    reconciliation = follower(peers=())
    assert reconciliation.hear(NOVA, made.head(3), tuple(made.said[:3])) is not None
    assert reconciliation.hear(UMBRA, made.head(3), tuple(made.said[:3])) is None
    assert reconciliation.hear(UMBRA, made.head(), tuple(made.said)) is None


# --- forks --------------------------------------------------------------------------------------


def test_a_head_that_contradicts_an_offer_is_a_fork_before_anything_is_fetched() -> None:
    made, other = made_log(3), other_history(3)
    reconciliation = follower(made)
    with pytest.raises(Fork) as caught:
        reconciliation.hear(UMBRA, other.head(), ())
    assert {made.head().note, other.head().note} == {caught.value.first, caught.value.second}


def test_a_head_that_contradicts_what_is_held_is_a_fork() -> None:
    made, other = made_log(3), other_history(3)
    reconciliation = follower(peers=())
    persisted(reconciliation, reconciliation.hear(NOVA, made.head(), tuple(made.said)))
    with pytest.raises(Fork):
        reconciliation.hear(NOVA, other.head(), ())


def test_nothing_more_is_fetched_of_a_forked_log() -> None:
    made = made_log(3)
    reconciliation = follower(made, peers=(NOVA, UMBRA))
    reconciliation.note_branches(made.log, (made.head(),))
    assert [] == fetches(reconciliation)
    assert reconciliation.is_forked(made.log)
    assert reconciliation.view_of(made.log) is None


# --- vectors ------------------------------------------------------------------------------------


def test_vectors_are_equal_exactly_when_the_complete_heads_are() -> None:
    live, bulk = (make_log(3, founded=FOUNDED, lane=lane) for lane in (Lane.LIVE, Lane.BULK))
    theirs = make_log(3, founded=FOUNDED, member=ACME, lane=Lane.CRISIS)
    both = [live.head(), bulk.head()]
    assert head_vector(both) == head_vector(reversed(both))
    others = [
        [],
        [live.head()],
        [*both, theirs.head()],
        [bulk.head(), other_history(3).head()],
        [bulk.head(), make_log(2, founded=FOUNDED).head()],
        [*both, other_history(3).head()],
    ]
    vectors = {head_vector(both), *(head_vector(each) for each in others)}
    vectors.add(head_vector(both, [live.log]))
    assert len(others) + 2 == len(vectors)


def test_a_vector_is_over_what_is_complete() -> None:
    reconciliation, partial = follower(peers=()), made_log(5, Lane.CRISIS)
    partial.advance(2)
    empty = reconciliation.vector()
    reconciliation.hold(partial.view)
    assert empty == reconciliation.vector()
    partial.advance()
    reconciliation.hold(partial.view)
    assert head_vector([partial.head()]) == reconciliation.vector()


# --- taking turns -------------------------------------------------------------------------------


def test_a_peer_that_lets_one_wait_is_given_up_where_another_could_be_asked() -> None:
    made = made_log(3)
    reconciliation = follower(made)
    (fetch,) = fetches(reconciliation)
    assert [] == fetches(reconciliation, now=100.0)  # there is nobody else
    reconciliation.hear(UMBRA, made.head(), ())
    stalls_at = STALL_SECONDS[Lane.LIVE]
    assert [] == fetches(reconciliation, now=stalls_at - 0.01)
    assert stalls_at == reconciliation.next_wake(0.0, lambda _peer, _lane: 0.0)
    assert [UMBRA] == [again.peer for again in fetches(reconciliation, now=stalls_at)]
    # What the slow one sends after all was asked of another by now.
    assert reconciliation.receive(NOVA, made.log, served(made, fetch)) is None


def test_a_long_log_is_fetched_by_turns_with_the_others() -> None:
    members = tuple(f"m{number:02}.example" for number in range(3))
    founded = make_roster(*members)
    reconciliation = Reconciliation(make_log(founded=founded, member=members[0]).verifier)
    made = {}
    for member in members:
        log = make_log(founded=founded, member=member, lane=Lane.BULK)
        log.say_numbers(range(2 * RANGE_STATEMENTS_MAX if member == members[0] else 1))
        for peer in (NOVA, UMBRA):
            reconciliation.hear(peer, log.head(), ())
        made[log.log] = log
    turns = []
    for _ in range(2):
        asked = fetches(reconciliation)
        assert FETCHES_MAX[Lane.BULK] == len(asked)
        turns += [fetch.log.member for fetch in asked]
        for fetch in asked:
            answer = served(made[fetch.log], fetch)
            persisted(reconciliation, reconciliation.receive(fetch.peer, fetch.log, answer))
    # The third one's turn comes before the first one's second.
    assert [members[0], members[1], members[2], members[0]] == turns


# --- peers that send a byte a second ------------------------------------------------------------


class Dripping:
    """A node whose peers each offer a log of their own; whoever is asked never comes to an end."""

    def __init__(self, lane: Lane, count: int) -> None:
        self.lane = lane
        self.members = tuple(f"m{number:02}.example" for number in range(count + 1))
        self.founded = make_roster(*self.members)
        verifier = make_log(founded=self.founded, member=self.members[0]).verifier
        self.reconciliation = Reconciliation(verifier)

    def offer(self, member: str, peer: str) -> None:
        made = make_log(founded=self.founded, member=member, lane=self.lane)
        made.say_numbers([0])
        self.reconciliation.hear(peer, made.head(), ())


@pytest.mark.parametrize("lane", list(Lane))
def test_one_peer_that_offers_many_logs_does_not_fill_a_lane(lane: Lane) -> None:
    node = Dripping(lane, FETCHES_MAX[lane] + 1)
    *others, honest = node.members
    for member in others:
        node.offer(member, UMBRA)
    assert FETCHES_PER_PEER_MAX[lane] == len(fetches(node.reconciliation))
    node.offer(honest, NOVA)
    assert [(NOVA, honest)] == [
        (fetch.peer, fetch.log.member) for fetch in fetches(node.reconciliation)
    ]


@pytest.mark.parametrize("lane", list(Lane))
def test_peers_that_drip_hold_a_lane_up_for_no_longer_than_a_stall(lane: Lane) -> None:
    node = Dripping(lane, FETCHES_MAX[lane] + 1)
    *others, honest = node.members
    for member in others[: FETCHES_MAX[lane]]:
        node.offer(member, member)
    assert FETCHES_MAX[lane] == len(fetches(node.reconciliation))
    node.offer(honest, honest)
    assert [] == fetches(node.reconciliation, now=STALL_SECONDS[lane] / 2)
    assert STALL_SECONDS[lane] == node.reconciliation.next_wake(0.0, lambda _peer, _lane: 0.0)
    (fetch,) = fetches(node.reconciliation, now=STALL_SECONDS[lane])
    assert honest == fetch.peer


def test_what_is_awaited_in_vain_is_bounded_too() -> None:
    most = FETCHES_MAX[Lane.BULK] + STALLED_MAX
    node = Dripping(Lane.BULK, most + 4)
    for member in node.members:
        node.offer(member, member)
    asked = sum(len(fetches(node.reconciliation, 15.0 * turn)) for turn in range(20))
    assert most == asked


def test_with_everything_wanted_from_everybody_an_event_looks_through_no_offers() -> None:
    members = [f"m{number}.example" for number in range(3 * FETCHES_MAX[Lane.LIVE])]
    founded = make_roster(*members)
    reconciliation = Reconciliation(make_log(founded=founded, member=members[0]).verifier)
    for member in members:
        made = make_log(founded=founded, member=member)
        made.say_numbers(range(2))
        for peer in members:
            reconciliation.hear(peer, made.head(), ())
    asked: list[str] = []

    def ask_at(peer: str, _lane: Lane) -> float:
        asked.append(peer)
        return 0.0

    fetches = reconciliation.pump(0.0, Random(1), ask_at)
    assert FETCHES_MAX[Lane.LIVE] == len(fetches)
    asked.clear()
    assert [] == reconciliation.pump(0.0, Random(1), ask_at)
    assert STALL_SECONDS[Lane.LIVE] == reconciliation.next_wake(0.0, ask_at)
    assert [] == asked
