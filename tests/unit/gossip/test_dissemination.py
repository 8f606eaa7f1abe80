"""What a peer is told: the newest head of each log, never too much, and inline without gaps."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest

from federation.gossip.dissemination import (
    FLOOD_WAIT_SECONDS,
    INLINE_BYTES_MAX,
    RECEIPTS_PER_SECOND,
    RECENT_LOGS_MAX,
    RELAY_WAIT_SECONDS,
    Dissemination,
)
from federation.gossip.events import Announce
from federation.gossip.peers import PeerView
from federation.protocol.limits_messages import ANNOUNCE_BYTES_MAX, INLINE_STATEMENTS_MAX
from federation.protocol.messages import AnnouncedHead, encode_announcement
from federation.protocol.origins import Lane, LogId
from federation.protocol.statements import Statement, opened_statement
from federation.provenance.log_view import LogView
from tests.builders import ACME, FEDERATION_ID, NOVA, MadeLog, make_log, make_roster, make_salt

FOUNDED = make_roster()


class Bench:
    """A dissemination with one peer and some made logs."""

    def __init__(self, *logs: MadeLog) -> None:
        self.dissemination = Dissemination(ACME)
        self.peer = PeerView(NOVA)
        self.views: dict[LogId, LogView] = {}
        for log in logs:
            self.grow(log, log.said)

    def grow(self, made: MadeLog, statements: Sequence[Statement]) -> None:
        self.views[made.log] = made.view
        self.dissemination.remember(made.log, statements)
        self.dissemination.spread_own(made.log, [self.peer], 0.0)

    def told(self, now: float = 0.0) -> list[Announce]:
        commands = self.dissemination.pump([self.peer], self.views.get, {}, 1, now)
        return [command for command in commands if isinstance(command, Announce)]

    def told_heads(self) -> tuple[AnnouncedHead, ...]:
        (announce,) = self.told()
        return announce.message.heads


def made_log(count: int, lane: Lane = Lane.LIVE) -> MadeLog:
    return make_log(count, founded=FOUNDED, lane=lane)


def test_a_new_head_is_told_at_once_with_its_statements() -> None:
    made = made_log(3)
    (head,) = Bench(made).told_heads()
    assert (made.head().note, tuple(made.said), None) == (head.note, head.inline, head.receipt)


def test_a_peer_is_told_one_thing_at_a_time_on_each_lane() -> None:
    made = made_log(3)
    bench = Bench(made)
    assert 1 == len(bench.told())
    made.say_numbers([3])
    made.advance()
    bench.grow(made, made.said[3:])
    assert [] == bench.told()
    bench.peer.in_flight.clear()
    bench.peer.holds[made.log] = 3
    (head,) = bench.told_heads()
    assert (made.head().note, tuple(made.said[3:])) == (head.note, head.inline)


def test_a_newer_head_takes_the_older_ones_place() -> None:
    made = made_log(2)
    bench = Bench(made)
    for number in range(2, 5):
        made.say_numbers([number])
        made.advance()
        bench.grow(made, made.said[number:])
    (head,) = bench.told_heads()
    assert made.head().note == head.note
    assert tuple(made.said) == head.inline


def test_a_peer_that_has_it_is_not_told() -> None:
    made = made_log(3)
    bench = Bench(made)
    bench.peer.holds[made.log] = 3
    assert [] == bench.told()
    assert {} == bench.peer.due


def test_a_peer_that_has_it_is_told_when_it_is_owed_a_receipt() -> None:
    made = made_log(3)
    bench = Bench(made)
    bench.peer.holds[made.log] = 3
    bench.dissemination.owe(made.view, bench.peer, 0.0, Random(1), 3)
    bench.peer.due[made.log] = 0.0
    (head,) = bench.told_heads()
    assert () == head.inline
    # It is owed until the peer has answered: the message may be lost.
    assert {made.log: 3} == bench.peer.owed


def test_a_peer_behind_by_more_than_is_kept_is_told_the_head_alone() -> None:
    made = made_log(INLINE_STATEMENTS_MAX + 1)
    bench = Bench(made)
    assert () == bench.told_heads()[0].inline
    bench.peer.in_flight.clear()
    bench.peer.holds[made.log] = 1
    bench.dissemination.spread_own(made.log, [bench.peer], 0.0)
    assert tuple(made.said[1:]) == bench.told_heads()[0].inline


def test_a_log_that_is_not_held_up_to_its_head_is_not_told() -> None:
    made = made_log(0)
    made.say_numbers(range(5))
    made.advance(3)
    bench = Bench(made)
    assert [] == bench.told()


def test_what_is_kept_for_inlining_never_has_a_gap_and_never_is_too_much() -> None:
    dissemination = Dissemination(ACME)
    log = LogId("acme.example", FEDERATION_ID, Lane.LIVE)
    rng, said = Random(3), list[Statement]()
    for _ in range(60):
        body = bytes(rng.choice((1, 100, 5_000, 9_000)))
        fresh = [opened_statement(b"h", make_salt(len(said)), body)] * rng.randint(1, 3)
        said += fresh
        dissemination.remember(log, fresh)
        kept = dissemination._recent[log]
        assert tuple(said[len(said) - len(kept) :]) == kept
        assert len(kept) <= INLINE_STATEMENTS_MAX
        assert sum(each.bytes_on_wire for each in kept) <= INLINE_BYTES_MAX


def test_only_so_many_logs_are_remembered() -> None:
    dissemination = Dissemination(ACME)
    logs = [LogId(f"m{number}", FEDERATION_ID, Lane.LIVE) for number in range(2 * RECENT_LOGS_MAX)]
    for log in logs:
        dissemination.remember(log, [opened_statement(b"h", make_salt(), b"b")])
    assert logs[RECENT_LOGS_MAX:] == list(dissemination._recent)


def test_announcements_stay_within_their_limit_and_the_rest_rides_in_the_next() -> None:
    members = tuple(f"m{number:03}.{'x' * 60}.example" for number in range(20))
    founded = make_roster(*members)
    big = opened_statement(b"h", make_salt(), bytes(8_000))
    logs = []
    for member in members:
        made = make_log(founded=founded, member=member)
        made.say_numbers(range(2))
        made.advance()
        logs.append(made)
    bench = Bench(*logs)
    for made in logs:
        bench.dissemination._recent[made.log] = (big, big)
    told = 0
    while bench.peer.due:
        (announce,) = bench.told()
        assert len(encode_announcement(announce.message)) <= ANNOUNCE_BYTES_MAX
        told += len(announce.message.heads)
        bench.peer.in_flight.clear()
    assert len(members) == told


@pytest.mark.parametrize("is_flooding", [False, True])
@pytest.mark.parametrize("lane", list(Lane))
def test_what_was_learned_is_passed_on_to_neighbours_who_lack_it(
    lane: Lane, *, is_flooding: bool
) -> None:
    made = made_log(3, lane)
    dissemination = Dissemination(NOVA)
    dissemination.is_flooding = is_flooding
    peers = [PeerView(f"m{number}") for number in range(8)]
    for peer in peers[5:]:
        peer.holds[made.log] = 3
    dissemination.pass_on(made.view, peers, 10.0, Random(1))
    assert peers[:5] == [peer for peer in peers if peer.due]
    least, most = (FLOOD_WAIT_SECONDS if is_flooding else RELAY_WAIT_SECONDS)[lane]
    assert all(10.0 + least <= peer.due[made.log] <= 10.0 + most for peer in peers[:5])


@pytest.mark.parametrize("lane", list(Lane))
def test_what_was_learned_rides_inline_but_in_bulk(lane: Lane) -> None:
    made = made_log(3, lane)
    bench = Bench(made)
    bench.dissemination = Dissemination(NOVA)
    bench.grow(made, made.said)
    expected = () if lane is Lane.BULK else tuple(made.said)
    assert expected == bench.told_heads()[0].inline


def test_a_thousand_receipts_do_not_come_at_once() -> None:
    made, dissemination = made_log(1), Dissemination(NOVA)
    dissemination.is_flooding = True
    times = []
    for seed in range(200):
        issuer = PeerView(ACME)
        dissemination.owe(made.view, issuer, 0.0, Random(seed), 1_000)
        times.append(issuer.due[made.log])
    assert max(times) > 0.9 * 1_000 / RECEIPTS_PER_SECOND
    assert min(times) < 0.1 * 1_000 / RECEIPTS_PER_SECOND


def test_nothing_is_told_to_a_peer_that_is_being_left_alone() -> None:
    bench = Bench(made_log(3))
    bench.peer.retry_at = 5.0
    assert [] == bench.told(4.9)
    assert 1 == len(bench.told(5.0))
