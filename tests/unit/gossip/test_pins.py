"""Pins in the engine: where a log ends for it, and what becomes of what is told beyond."""

from __future__ import annotations

from dataclasses import replace

from federation.gossip import events
from federation.protocol.messages import AnnouncedHead, Announcement, HeldLog
from federation.protocol.origins import Lane
from federation.protocol.roster_amendments import lifted, propose_members, suspended
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_members import EMPTY_PIN, LogKey, Member, Pin
from federation.provenance.log_view import LogView
from federation.provenance.verifier import Verifier
from tests.builders import (
    ACME,
    NEW_YEAR_2026_MS,
    NOVA,
    UMBRA,
    make_key,
    make_log,
    make_roster,
    sign_and_finish,
)
from tests.unit.gossip.test_engine import Bench, of, only

FOUNDED = make_roster()
MADE = make_log(3, founded=FOUNDED)
MADE_OF_TWO = make_log(2, founded=FOUNDED)
ENDED = {**dict.fromkeys(Lane, EMPTY_PIN), Lane.LIVE: Pin(2, MADE.head(2).root_hash)}
SHORT: LogView = replace(MADE_OF_TWO.view, head=MADE.head(2))


def decided(member: Member, chain: RosterChain = FOUNDED.chain) -> RosterChain:
    """The chain after that change."""
    proposal = propose_members(chain, [member], now_ms=NEW_YEAR_2026_MS)
    return sign_and_finish(proposal, chain, FOUNDED.governors)


def judge(chain: RosterChain) -> Verifier:
    """The verifier of its newest version."""
    return Verifier(chain.newest, MADE.verifier.check_signature)


def told(size: int, version: int) -> Announcement:
    """Acme's live head of that size, from a node with that roster."""
    return Announcement((AnnouncedHead(MADE.head(size).note),), version)


SUSPENDED = decided(suspended(FOUNDED.roster.member(ACME), ENDED))


def pinned_bench() -> Bench:
    """An engine that holds three statements when the log is ended at two."""
    bench = Bench(MADE)
    bench.feed(events.RosterChanged(judge(SUSPENDED), (SHORT,)))
    return bench


def test_a_log_ends_for_the_engine_where_the_pin_says() -> None:
    bench = pinned_bench()
    assert 2 == bench.engine.logs[MADE.log].view.size
    bench.feed(events.RosterChanged(judge(SUSPENDED)))
    assert 2 == bench.engine.logs[MADE.log].view.size


def test_a_head_beyond_the_pin_is_applied_nowhere_blamed_on_nobody_and_told_once() -> None:
    """From a node with the same roster it is worth a look; an older node cannot know better."""
    bench = pinned_bench()
    assert [] == of(events.RaiseAlarm, bench.announced(told(3, 1), UMBRA))
    alarms = of(events.RaiseAlarm, bench.announced(told(3, 2), UMBRA))
    assert ["beyond-pin"] == [alarm.code for alarm in alarms]
    commands = bench.announced(told(3, 2), UMBRA)
    assert [] == of(events.RaiseAlarm, commands)
    assert [] == of(events.FetchRange, commands) + of(events.Persist, commands)
    assert 0 == bench.engine.peers[UMBRA].faults
    assert 2 == bench.engine.logs[MADE.log].view.size


def test_a_lifted_pin_gives_the_whole_log_back() -> None:
    bench = pinned_bench()
    chain = decided(lifted(SUSPENDED.newest.member(ACME)), SUSPENDED)
    bench.feed(events.RosterChanged(judge(chain), (MADE.view,)))
    assert MADE.view == bench.engine.logs[MADE.log].view


def test_a_receipt_is_shown_for_no_cut_log_and_is_there_again_when_the_pin_is_lifted() -> None:
    bench = pinned_bench()
    answer = only(events.AnswerAnnouncement, bench.announced(told(2, 2)))
    assert (HeldLog(MADE.log.sha256, 2),) == answer.message.held
    chain = decided(lifted(SUSPENDED.newest.member(ACME)), SUSPENDED)
    bench.feed(events.RosterChanged(judge(chain), (MADE.view,)))
    answer = only(events.AnswerAnnouncement, bench.announced(told(3, 3)))
    assert (HeldLog(MADE.log.sha256, 3, MADE.receipt(NOVA).line),) == answer.message.held


def test_a_step_that_became_durable_beyond_the_pin_does_not_move_the_log() -> None:
    """It was judged before the roster changed, and is stored: cut off."""
    bench = Bench(MADE_OF_TWO)
    bench.feed(events.RosterChanged(judge(SUSPENDED), (SHORT,)))
    longer = make_log(2, founded=FOUNDED)
    longer.say_numbers([2])
    bench.feed(events.Persisted(longer.advance(), None))
    assert SHORT == bench.engine.logs[MADE.log].view


def test_a_replaced_keys_head_falls_and_its_statements_wait_for_the_successor() -> None:
    bench = Bench(MADE)
    acme = FOUNDED.roster.member(ACME)
    following = LogKey(make_key("next").public, ENDED[Lane.LIVE])
    logs = tuple(
        replace(log, keys=(*log.keys, following)) if log.lane is Lane.LIVE else log
        for log in acme.logs
    )
    bench.feed(events.RosterChanged(judge(decided(replace(acme, logs=logs)))))
    view = bench.engine.logs[MADE.log].view
    assert (3, None) == (view.size, view.head)
