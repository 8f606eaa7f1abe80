"""The engine as a whole: what it orders for what happened, and that nothing can upset it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.gossip import events
from federation.gossip.answers import ANSWER_SECONDS_MAX
from federation.gossip.catching_up import is_caught_up
from federation.gossip.dissemination import RELAY_WAIT_SECONDS
from federation.gossip.engine import WAKE_SECONDS_MIN, GossipEngine, GossipSettings
from federation.gossip.peers import COMPARE_GAP_SECONDS, JITTER, SILENT_FAILURES
from federation.gossip.reopening import PAUSE_SECONDS_FIRST
from federation.gossip.vectors import head_vector
from federation.gossip.waves import WAVE_SECONDS
from federation.protocol.messages import (
    AnnouncedHead,
    Announcement,
    AnnouncementAnswer,
    Comparison,
    ComparisonAnswer,
    HeldLog,
    StatementRange,
)
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster_amendments import propose_remove
from federation.protocol.roster_members import EMPTY_PIN, Pin
from federation.protocol.roster_proposals import propose_add
from federation.provenance.verifier import Verifier
from tests.builders import (
    ACME,
    NEW_YEAR_2026_MS,
    NOVA,
    UMBRA,
    MadeLog,
    make_log,
    make_member,
    make_roster,
    sign_and_finish,
)

_T = TypeVar("_T")

FOUNDED = make_roster()
MADE = make_log(3, founded=FOUNDED)
"""Three statements of acme's."""


class Bench:
    """An engine of nova's that has met its peers and has nothing else to do."""

    def __init__(self, *held: MadeLog, member: str = NOVA) -> None:
        self.now, self.rng = 0.0, Random(1)
        self.engine = GossipEngine(member, MADE.verifier, GossipSettings(1e9))
        receipts = [
            made.receipt(member) for made in held if made.log.member != member and made.said
        ]
        self.feed(events.Started(tuple(made.view for made in held), tuple(receipts)))
        told: list[events.Command] = []
        for peer in self.engine.peers:
            told += self.feed(events.ComparisonAnswered(peer, ComparisonAnswer(None, 1)))
        told += self.feed(events.Woke(), 0.1)
        while announces := of(events.Announce, told):
            told = self.feed(events.Woke(), 0.1)
            for each in announces:
                answered = events.AnnouncementAnswered(each.peer, each.lane, all_of(each.message))
                told += self.feed(answered)

    def feed(self, event: events.Event, seconds: float = 0.0) -> list[events.Command]:
        self.now += seconds
        return self.engine.handle(event, self.now, self.rng)

    def announced(self, message: Announcement, peer: str = ACME) -> list[events.Command]:
        return self.feed(events.AnnouncementReceived(peer, 7, message))


def of(kind: type[_T], commands: Sequence[object]) -> list[_T]:
    return [command for command in commands if isinstance(command, kind)]


def only(kind: type[_T], commands: Sequence[object]) -> _T:
    (command,) = of(kind, commands)
    return command


def all_of(message: Announcement) -> AnnouncementAnswer:
    """The answer of one who has all that was announced."""
    heads = [MADE.verifier.open_head(head.note) for head in message.heads]
    return AnnouncementAnswer(tuple(HeldLog(head.log.sha256, head.size) for head in heads), 1)


def announcement(made: MadeLog, *, inline: bool = True) -> Announcement:
    head = AnnouncedHead(made.head().note, tuple(made.said) if inline else ())
    return Announcement((head,), 1)


# --- its own word -------------------------------------------------------------------------------


def test_what_is_published_is_told_to_everybody_at_once_with_the_statements() -> None:
    bench = Bench(member=ACME)
    told = of(events.Announce, bench.feed(events.Published(MADE.moves[0])))
    assert [NOVA, UMBRA] == [announce.peer for announce in told]
    assert [tuple(MADE.said)] * 2 == [announce.message.heads[0].inline for announce in told]


def test_what_could_not_be_told_is_told_again_when_the_wait_is_over() -> None:
    bench = Bench(member=ACME)
    bench.feed(events.Published(MADE.moves[0]))
    bench.feed(events.AnnouncementAnswered(UMBRA, Lane.LIVE, all_of(announcement(MADE))))
    commands = bench.feed(events.AnnouncementFailed(NOVA, Lane.LIVE, "no answer"))
    assert [] == of(events.Announce, commands)
    retry_at = only(events.WakeAt, commands).at
    assert retry_at > bench.now
    commands = bench.feed(events.Woke(), retry_at - bench.now)
    assert [NOVA] == [announce.peer for announce in of(events.Announce, commands)]


def test_what_grew_meanwhile_is_told_when_the_answer_is_there() -> None:
    bench, made = Bench(member=ACME), make_log(3, founded=FOUNDED)
    bench.feed(events.Published(made.moves[0]))
    answered = all_of(announcement(made))
    made.say_numbers([3])
    assert [] == of(events.Announce, bench.feed(events.Published(made.advance())))
    told = only(events.Announce, bench.feed(events.AnnouncementAnswered(NOVA, Lane.LIVE, answered)))
    assert tuple(made.said[3:]) == told.message.heads[0].inline


# --- what it hears ------------------------------------------------------------------------------


def test_statements_are_written_before_anything_is_said_of_them() -> None:
    bench = Bench()
    commands = bench.announced(announcement(MADE))
    step = only(events.Persist, commands).step
    assert MADE.moves[0].view == step.view
    assert [] == of(events.AnswerAnnouncement, commands)
    assert [] == of(events.Announce, commands)

    receipt = MADE.receipt(NOVA)
    commands = bench.feed(events.Persisted(step, receipt))
    answer = only(events.AnswerAnnouncement, commands)
    assert (7, (HeldLog(MADE.log.sha256, 3, receipt.line),)) == (answer.ask, answer.message.held)
    told = only(events.Announce, bench.feed(events.Woke(), RELAY_WAIT_SECONDS[Lane.LIVE][1]))
    assert (UMBRA, receipt.line) == (told.peer, told.message.heads[0].receipt)


def test_an_answer_does_not_wait_for_a_slow_disk_for_ever() -> None:
    bench = Bench()
    step = only(events.Persist, bench.announced(announcement(MADE))).step
    commands = bench.feed(events.Woke(), ANSWER_SECONDS_MAX)
    held = only(events.AnswerAnnouncement, commands).message.held
    assert (HeldLog(MADE.log.sha256, 0),) == held
    # Then the receipt is shown to the issuer in an announcement of one's own.
    bench.feed(events.Persisted(step, MADE.receipt(NOVA)))
    told = of(events.Announce, bench.feed(events.Woke(), 0.1))
    (to_acme,) = [announce for announce in told if announce.peer == ACME]
    assert MADE.receipt(NOVA).line == to_acme.message.heads[0].receipt
    assert () == to_acme.message.heads[0].inline


def test_a_receipt_is_owed_until_the_issuer_has_answered() -> None:
    bench = Bench()
    commands = bench.announced(announcement(MADE, inline=False))
    fetch = only(events.FetchRange, commands)
    commands = bench.feed(events.RangeReceived(fetch.peer, fetch.log, served(MADE)))
    bench.feed(events.Persisted(only(events.Persist, commands).step, MADE.receipt(NOVA)))
    told = of(events.Announce, bench.feed(events.Woke(), 0.1))
    assert ACME in {announce.peer for announce in told}
    bench.feed(events.AnnouncementFailed(ACME, Lane.LIVE, "no answer"))
    told = of(events.Announce, bench.feed(events.Woke(), 1.0))
    assert MADE.receipt(NOVA).line == only_to(ACME, told).message.heads[0].receipt
    bench.feed(events.AnnouncementAnswered(ACME, Lane.LIVE, all_of(announcement(MADE))))
    assert {} == bench.engine.peers[ACME].owed


def only_to(peer: str, told: Sequence[events.Announce]) -> events.Announce:
    (announce,) = [announce for announce in told if announce.peer == peer]
    return announce


def served(made: MadeLog) -> StatementRange:
    return StatementRange(0, tuple(made.said), ())


def test_a_failed_write_answers_what_is_held_and_promises_nothing() -> None:
    bench = Bench()
    bench.announced(announcement(MADE))
    commands = bench.feed(events.PersistFailed(MADE.log, "the disk is full"))
    held = only(events.AnswerAnnouncement, commands).message.held
    assert (HeldLog(MADE.log.sha256, 0),) == held
    assert 0 == bench.engine.logs[MADE.log].view.size


def test_one_bad_head_does_not_keep_the_others_of_its_message_from_being_heard() -> None:
    bench, bulk = Bench(), make_log(2, founded=FOUNDED, lane=Lane.BULK)
    heads = (AnnouncedHead(b"junk"), *announcement(MADE).heads, *announcement(bulk).heads)
    commands = bench.announced(Announcement(heads, 1))
    steps = {persist.step.view.log for persist in of(events.Persist, commands)}
    assert {MADE.log, bulk.log} == steps
    assert 1 == bench.engine.peers[ACME].faults


def test_an_unproven_range_is_its_senders_fault_and_another_peer_is_asked() -> None:
    bench = Bench()
    bench.announced(announcement(MADE, inline=False), ACME)
    bench.feed(events.AnnouncementReceived(UMBRA, 8, announcement(MADE, inline=False)))
    commands = bench.feed(
        events.RangeReceived(ACME, MADE.log, StatementRange(0, tuple(reversed(MADE.said)), ()))
    )
    assert [] == of(events.Persist, commands)
    assert UMBRA == only(events.FetchRange, commands).peer
    assert (1, 0) == tuple(bench.engine.peers[name].faults for name in (ACME, UMBRA))


def test_a_range_that_nobody_served_is_asked_for_again_soon() -> None:
    bench = Bench()
    bench.announced(announcement(MADE, inline=False))
    commands = bench.feed(events.RangeFailed(ACME, MADE.log, "the connection broke"))
    assert [] == of(events.FetchRange, commands)
    assert 0 == bench.engine.peers[ACME].faults
    again = [command for _ in range(20) for command in bench.feed(events.Woke(), 0.1)]
    assert 1 == len(of(events.FetchRange, again))


# --- comparisons --------------------------------------------------------------------------------


def test_equal_vectors_are_answered_with_nothing() -> None:
    bench = Bench(MADE)
    vector = head_vector([MADE.head()])
    commands = bench.feed(events.ComparisonReceived(UMBRA, 9, Comparison(vector, 1)))
    answer = only(events.AnswerComparison, commands)
    assert (9, ComparisonAnswer(None, 1)) == (answer.ask, answer.message)


def test_other_vectors_are_answered_with_all_heads_and_receipts() -> None:
    bench = Bench(MADE)
    commands = bench.feed(events.ComparisonReceived(UMBRA, 9, Comparison(bytes(32), 1)))
    answer = only(events.AnswerComparison, commands)
    head = AnnouncedHead(MADE.head().note, (), MADE.receipt(NOVA).line)
    assert ComparisonAnswer((head,), 1) == answer.message


def test_a_peer_that_holds_nothing_is_told_everything() -> None:
    bench = Bench(MADE)
    compare(bench, UMBRA)
    commands = bench.feed(events.ComparisonAnswered(UMBRA, ComparisonAnswer((), 1)))
    assert UMBRA == only(events.Announce, commands).peer


def test_whose_vector_is_equal_holds_what_is_held_here_by_then() -> None:
    made = make_log(3, founded=FOUNDED)
    bench = Bench(made)
    peer = bench.engine.peers[UMBRA]
    bench.feed(events.ComparisonAnswered(UMBRA, ComparisonAnswer(None, 1)))
    assert {made.log: 3} == peer.holds
    made.say_numbers([4])
    step = made.view.advance(made.head(), made.said[3:], (), made.verifier)
    bench.feed(events.Persisted(step, None))
    bench.feed(events.ComparisonAnswered(UMBRA, ComparisonAnswer(None, 1)))
    assert {made.log: 4} == peer.holds


def compare(bench: Bench, peer: str) -> None:
    bench.engine.peers[peer].compare_soon(bench.now)
    assert peer == only(events.Compare, bench.feed(events.Woke(), COMPARE_GAP_SECONDS)).peer


def test_a_peer_cannot_have_itself_compared_with_without_end() -> None:
    bench, count = Bench(MADE), 0
    nonsense = HeldLog(MADE.log.sha256, 3, "\u2014 nonsense AAAA")
    for _ in range(100):
        # A receipt that is none asks for a comparison: it may be honest, of another history.
        bench.engine.peers[UMBRA].in_flight[Lane.LIVE] = {MADE.log: 3}
        answer = AnnouncementAnswer((nonsense,), 1)
        commands = bench.feed(events.AnnouncementAnswered(UMBRA, Lane.LIVE, answer), 0.01)
        for each in of(events.Compare, commands):
            count += 1
            bench.feed(events.ComparisonAnswered(each.peer, ComparisonAnswer(None, 1)))
    assert count <= 1


def test_of_an_answer_no_more_heads_are_judged_than_there_are_logs() -> None:
    bench = Bench(MADE)
    compare(bench, UMBRA)
    bad = AnnouncedHead(MADE.head().note.replace(b"\n3\n", b"\n9\n"))
    bench.feed(events.ComparisonAnswered(UMBRA, ComparisonAnswer((bad,) * 200, 1)))
    assert bench.engine.peers[UMBRA].faults <= len(FOUNDED.roster.logs)


def test_who_compares_equal_is_asked_for_what_is_missing() -> None:
    """A restarted node has nothing else to tell it that a peer holds a log."""
    bench = Bench(member=NOVA)
    view, gaps = MADE.view, events.GapsKnown(MADE.log, {1: MADE.said[1].id})
    bench.engine = GossipEngine(NOVA, MADE.verifier, GossipSettings(1e9))
    bench.feed(events.Started((view,), (), (gaps,)))
    commands = bench.feed(events.ComparisonAnswered(UMBRA, ComparisonAnswer(None, 1)))
    assert [] == of(events.FetchOpenings, commands)  # the first round found nobody yet
    commands = bench.feed(events.Woke(), PAUSE_SECONDS_FIRST)
    assert events.FetchOpenings(UMBRA, MADE.log, 1, 2) == only(events.FetchOpenings, commands)


def test_a_comparison_brings_what_either_side_lacks() -> None:
    theirs = make_log(2, founded=FOUNDED, member=UMBRA)
    bench = Bench(MADE)
    compare(bench, UMBRA)
    heads = (AnnouncedHead(theirs.head().note),)
    commands = bench.feed(events.ComparisonAnswered(UMBRA, ComparisonAnswer(heads, 1)))
    told = only(events.Announce, commands)
    assert (UMBRA, MADE.head().note) == (told.peer, told.message.heads[0].note)
    fetch = only(events.FetchRange, commands)
    assert (UMBRA, theirs.log, 0, 2) == (fetch.peer, fetch.log, fetch.start, fetch.end)


def test_in_step_with_a_peer_whose_receipt_is_missing_it_is_asked_for_once_more() -> None:
    bench = Bench(MADE, member=ACME)
    compare(bench, UMBRA)
    commands = bench.feed(events.ComparisonAnswered(UMBRA, ComparisonAnswer(None, 1)))
    assert UMBRA == only(events.Announce, commands).peer
    held = (HeldLog(MADE.log.sha256, 3, MADE.receipt(UMBRA).line),)
    commands = bench.feed(
        events.AnnouncementAnswered(UMBRA, Lane.LIVE, AnnouncementAnswer(held, 1))
    )
    assert MADE.receipt(UMBRA) == only(events.KeepReceipt, commands).receipt
    compare(bench, UMBRA)
    commands = bench.feed(events.ComparisonAnswered(UMBRA, ComparisonAnswer(None, 1)))
    assert [] == of(events.Announce, commands)


# --- the roster ---------------------------------------------------------------------------------


def grown() -> Verifier:
    request = make_member("delta.example").request
    proposal = propose_add(FOUNDED.chain, request, now_ms=NEW_YEAR_2026_MS)
    chain = sign_and_finish(proposal, FOUNDED.chain, FOUNDED.governors)
    return Verifier(chain.newest, MADE.verifier.check_signature)


def test_a_newer_roster_is_fetched_one_version_at_a_time() -> None:
    bench = Bench()
    commands = bench.announced(Announcement((), 3))
    assert events.FetchRoster(ACME, 2) == only(events.FetchRoster, commands)
    assert [] == of(events.FetchRoster, bench.announced(Announcement((), 3)))
    bench.feed(events.RosterChanged(grown()))
    commands = bench.feed(events.RosterFetchEnded(ACME))
    assert events.FetchRoster(ACME, 3) == only(events.FetchRoster, commands)


def test_a_peer_that_promised_a_roster_it_does_not_give_is_not_asked_again_and_again() -> None:
    bench = Bench()
    bench.announced(Announcement((), 3))
    assert [] == of(events.FetchRoster, bench.feed(events.RosterFetchEnded(ACME)))
    assert [] == of(events.FetchRoster, bench.feed(events.Woke(), 60.0))
    assert 1 == len(of(events.FetchRoster, bench.announced(Announcement((), 3))))


def test_a_roster_that_a_peer_only_claims_to_have_excuses_nothing_any_more() -> None:
    bench = Bench()
    note = MADE.head().note.replace(b"\n3\n", b"\n4\n")
    junk = Announcement((AnnouncedHead(note),), 99)
    peer = bench.engine.peers[ACME]
    fetch = only(events.FetchRoster, bench.announced(junk))
    assert 0 == peer.faults
    # It may be the line: that is no word about the claim.
    bench.feed(events.RosterFetchEnded(fetch.peer))
    assert fetch == only(events.FetchRoster, bench.announced(junk))
    assert 0 == peer.faults
    bench.feed(events.RosterFetchEnded(fetch.peer, is_refuted=True))
    bench.announced(junk)
    assert 1 == peer.faults
    # Under the version that it could not show, it may speak of the one after it.
    bench.feed(events.RosterChanged(grown()))
    bench.announced(junk)
    assert 1 == peer.faults


def test_a_new_member_is_met_and_a_removed_one_forgotten() -> None:
    bench = Bench()
    compared = of(events.Compare, bench.feed(events.RosterChanged(grown()), COMPARE_GAP_SECONDS))
    # Those who were known are told in the same way that there is a newer roster.
    assert {ACME, UMBRA, "delta.example"} == {compare.peer for compare in compared}
    assert {2} == {compare.message.roster_version for compare in compared}
    proposal = propose_remove(FOUNDED.chain, UMBRA, pins_of(UMBRA), now_ms=NEW_YEAR_2026_MS)
    chain = sign_and_finish(proposal, FOUNDED.chain, FOUNDED.governors)
    bench.feed(events.RosterChanged(Verifier(chain.newest, MADE.verifier.check_signature)))
    assert {ACME} == set(bench.engine.peers)
    for event in (
        events.AnnouncementAnswered(UMBRA, Lane.LIVE, AnnouncementAnswer((), 1)),
        events.AnnouncementFailed(UMBRA, Lane.LIVE, "gone"),
        events.ComparisonAnswered(UMBRA, ComparisonAnswer((), 1)),
        events.ComparisonFailed(UMBRA, "gone"),
        events.RangeReceived(UMBRA, MADE.log, served(MADE)),
        events.RangeFailed(UMBRA, MADE.log, "gone"),
        events.RosterFetchEnded(UMBRA),
    ):
        assert [] == bench.feed(event)


def pins_of(member: str) -> dict[LogId, Pin]:
    return {log: EMPTY_PIN for log in FOUNDED.roster.logs if log.member == member}


# --- anything at all ----------------------------------------------------------------------------

LOGS = [
    make_log(5, founded=FOUNDED, member=member, lane=lane)
    for member in (ACME, UMBRA, NOVA)
    for lane in (Lane.CRISIS, Lane.BULK)
]


def _other(made: MadeLog) -> MadeLog:
    other = make_log(founded=FOUNDED, member=made.log.member, lane=made.log.lane)
    other.say_numbers(range(50, 55))
    return other


HISTORIES = [*LOGS, *map(_other, LOGS[:2])]
PEERS = st.sampled_from([ACME, UMBRA, "stranger.example"])
LANES = st.sampled_from(list(Lane))
MADES = st.sampled_from(HISTORIES)


@st.composite
def some_heads(draw: st.DrawFn) -> tuple[AnnouncedHead, ...]:
    heads = []
    for made in draw(st.lists(MADES, max_size=3)):
        size = draw(st.integers(0, 5))
        begin = draw(st.integers(0, size))
        note = draw(st.sampled_from([made.head(size).note, b"junk"]))
        receipt = made.receipt(ACME, size=size).line
        line = draw(st.sampled_from([None, receipt, "junk"]))
        heads.append(AnnouncedHead(note, tuple(made.said[begin:size]), line))
    return tuple(heads)


@st.composite
def some_event(draw: st.DrawFn) -> Callable[[Sequence[events.Command]], events.Event]:
    """An event, perhaps about an order that was given before."""
    peer, lane, made = draw(PEERS), draw(LANES), draw(MADES)
    size, version = draw(st.integers(0, 6)), draw(st.integers(0, 3))
    heads = draw(some_heads())
    held = HeldLog(made.log.sha256, size, draw(st.sampled_from([None, "junk"])))
    message = StatementRange(size, tuple(made.said[: draw(st.integers(1, 5))]), ())
    fixed: list[events.Event] = [
        events.Woke(),
        events.AnnouncementReceived(peer, size, Announcement(heads, version)),
        events.AnnouncementAnswered(peer, lane, AnnouncementAnswer((held,), version)),
        events.AnnouncementFailed(peer, lane, "no answer", draw(st.none() | st.just(60.0))),
        events.ComparisonReceived(peer, size, Comparison(bytes(32), version)),
        events.ComparisonAnswered(peer, ComparisonAnswer(heads, version)),
        events.ComparisonFailed(peer, "no answer"),
        events.RangeReceived(peer, made.log, message),
        events.RangeFailed(peer, made.log, "no answer"),
        events.RosterFetchEnded(peer),
    ]
    chosen, succeeds = draw(st.sampled_from(fixed)), draw(st.booleans())

    def choose(ordered: Sequence[events.Command]) -> events.Event:
        persist = next(iter(of(events.Persist, ordered)), None)
        if persist is None or not succeeds:
            return chosen
        return events.Persisted(persist.step, None)

    return choose


@given(st.lists(st.tuples(some_event(), st.floats(0, 40)), max_size=25))
def test_no_sequence_of_events_upsets_it_or_makes_it_say_what_is_not_durable(
    happenings: list[tuple[Callable[[Sequence[events.Command]], events.Event], float]],
) -> None:
    bench = Bench()
    durable = dict.fromkeys(bench.engine.logs, 0)
    writing: list[events.Command] = []
    for choose, seconds in happenings:
        event = choose(writing)
        if isinstance(event, events.Persisted):
            log = event.step.view.log
            assert durable.get(log, 0) == event.step.before.size
            durable[log] = event.step.view.size
            writing = [each for each in of(events.Persist, writing) if each.step.view.log != log]
        commands = bench.feed(event, seconds)
        writing += of(events.Persist, commands)
        logs = [persist.step.view.log for persist in of(events.Persist, writing)]
        assert len(set(logs)) == len(logs), "two writes of one log under way"
        assert NOVA not in {log.member for log in logs}, "somebody else's word on one's own log"
        for announce in of(events.Announce, commands):
            for head in announce.message.heads:
                told = MADE.verifier.open_head(head.note)
                assert told.size <= durable.get(told.log, 0)
        wakes = of(events.WakeAt, commands)
        assert all(each.at >= bench.now + WAKE_SECONDS_MIN for each in wakes)
        assert len(wakes) <= 1


def test_a_timer_that_rang_a_moment_early_is_set_again() -> None:
    """Loops round times up: nothing would ever wake the engine again."""
    bench = Bench(make_log(3, founded=FOUNDED))
    at = only(events.WakeAt, bench.feed(events.Woke())).at
    assert [] == of(events.WakeAt, bench.feed(events.RosterFetchEnded(ACME)))
    assert at == only(events.WakeAt, bench.feed(events.Woke(), at - bench.now - 1.0)).at


@pytest.mark.parametrize("lane", list(Lane))
def test_an_engine_with_nothing_to_do_sleeps_until_the_next_round(lane: Lane) -> None:
    bench = Bench(make_log(3, founded=FOUNDED, lane=lane))
    assert only(events.WakeAt, bench.feed(events.Woke())).at > 1e8


def test_busy_crisis_reaches_a_peer_that_came_back_whatever_its_breaker_says() -> None:
    made = make_log(founded=FOUNDED, lane=Lane.CRISIS)
    bench, tried = Bench(member=ACME), list[float]()
    for number in range(40):  # a statement each 0.9 s, and nobody answers
        made.say_numbers([number])
        commands = bench.feed(events.Published(made.advance()), 0.4)
        commands += bench.feed(events.Woke(), 0.5)
        for announce in of(events.Announce, commands):
            bench.feed(events.AnnouncementFailed(announce.peer, announce.lane, "no answer"))
            if announce.peer == NOVA:
                tried.append(bench.now)
    assert max(after - before for before, after in pairwise(tried)) <= 2 * WAVE_SECONDS


# --- what is bounded and counted ----------------------------------------------------------------


def test_the_same_message_a_thousand_times_is_counted_and_costs_nothing_more() -> None:
    bench = Bench(MADE)
    for _ in range(1_000):
        commands = bench.announced(announcement(MADE), UMBRA)
        assert [] == of(events.Persist, commands)
        assert 1 == len(of(events.AnswerAnnouncement, commands))
    peer = bench.engine.peers[UMBRA]
    assert (1_000, 0) == (peer.repeats, peer.faults)


def test_peers_that_say_they_are_busy_are_told_when_they_said_and_fail_at_nothing() -> None:
    made, bench, tried = make_log(founded=FOUNDED), Bench(member=ACME), list[float]()
    made.say_numbers([0])
    busy_until = bench.now + 30.0
    commands = bench.feed(events.Published(made.advance()))
    while bench.now < busy_until:
        for each in of(events.Announce, commands):
            tried += [bench.now] if each.peer == NOVA else []
            bench.feed(events.AnnouncementFailed(each.peer, each.lane, "too busy", 5.0))
        commands = bench.feed(events.Woke(), 0.5)
    assert len(tried) >= SILENT_FAILURES
    assert min(after - before for before, after in pairwise(tried)) >= 5.0
    peer = bench.engine.peers[NOVA]
    assert (len(tried), 0, False) == (peer.waits, peer.failures, peer.is_silent)
    assert not bench.engine.is_isolated


def test_a_busy_peer_that_was_silent_ends_the_suspicion_of_being_cut_off() -> None:
    bench = Bench(member=ACME)
    bench.engine.peers[NOVA].note_failed(bench.now, Random(1), "no answer")
    bench.engine._circle.is_isolated = True
    failed = events.ComparisonFailed(NOVA, "too busy", 5.0)
    bench.feed(failed)
    assert (0, False) == (bench.engine.peers[NOVA].failures, bench.engine.is_isolated)
    assert [] == of(events.Compare, bench.feed(events.Woke(), 4.9))
    (compare,) = of(events.Compare, bench.feed(events.Woke(), 5.0 * (1 + JITTER) - 4.9))
    assert NOVA == compare.peer


def test_a_start_waits_for_no_peer_that_asks_for_patience() -> None:
    bench = Bench()
    peer = bench.engine.peers[UMBRA]
    peer.compare_soon(bench.now)
    late = bench.now + 60.0
    assert not is_caught_up([peer], [], (), 1, late)
    peer.note_asked_to_wait(late, Random(1), 5.0)
    assert is_caught_up([peer], [], (), 1, late)
    assert not is_caught_up([peer], [], (), 1, late + 5.0 * (1 + JITTER))


@pytest.mark.parametrize("retry_after", [None, 60.0])
def test_a_peer_that_caps_its_bulk_is_asked_for_a_crisis_at_once(
    retry_after: float | None,
) -> None:
    bench = Bench()
    bulk, crisis = (make_log(3, founded=FOUNDED, lane=lane) for lane in (Lane.BULK, Lane.CRISIS))
    (fetch,) = of(events.FetchRange, bench.announced(announcement(bulk, inline=False)))
    bench.feed(events.RangeFailed(fetch.peer, fetch.log, "over the upload limit", retry_after))
    (fetch,) = of(events.FetchRange, bench.announced(announcement(crisis, inline=False)))
    assert (ACME, crisis.log) == (fetch.peer, fetch.log)


def test_a_peer_that_offers_what_it_never_serves_is_asked_less_and_less() -> None:
    bench, asked, end = Bench(), list[float](), 600.0
    commands = bench.announced(announcement(MADE, inline=False))
    while bench.now < end:
        for fetch in of(events.FetchRange, commands):
            asked.append(bench.now)
            bench.feed(events.RangeFailed(fetch.peer, fetch.log, "not held"))
        commands = bench.feed(events.Woke(), 0.25)
    assert 3 <= len(asked) <= 15
    assert len(asked) <= bench.engine.peers[ACME].unserved <= len(asked) + 1
