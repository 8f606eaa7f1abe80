"""The verdict on a signal: a pure function of statements, members' standing and the time."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.bodies import Dispute, Endorse
from federation.protocol.headers import StatementId
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster_members import EMPTY_PIN, MemberStatus
from federation.provenance.verdict import (
    ALL_SOUND,
    NOTHING_SAID,
    Issuers,
    SignalState,
    Verdict,
    Word,
    issuers_of,
    verdict_of,
)
from federation.provenance.verifier import VerifiedStatement
from federation.provenance.view import facts_of, opinions_of, opinions_on
from tests.builders import ACME, NOVA, UMBRA, make_confirm, make_roster, make_signal
from tests.unit.provenance.test_view import POOL, about, confirm, erase, withdraw

SIGNAL = make_signal(0)
NOW = 1_800_000_000_000


def said(
    *statements: VerifiedStatement, issuers: Issuers = ALL_SOUND, now_ms: int = NOW
) -> Verdict:
    """The verdict on ``SIGNAL``."""
    opinions = opinions_of(facts_of(statements))
    return verdict_of(opinions_on(opinions, SIGNAL.type, SIGNAL.identity), now_ms, issuers)


def words(verdict: Verdict) -> dict[str, Word]:
    return {voice.opinion.member: voice.word for voice in verdict.voices}


def test_nothing_said_is_unknown_and_one_confirm_is_positive() -> None:
    assert NOTHING_SAID == said()
    verdict = said(confirm(0, ACME))
    assert SignalState.POSITIVE is verdict.state
    assert (ACME,) == verdict.members


def test_a_dispute_by_another_member_marks_the_signal_and_its_withdrawal_clears_it() -> None:
    stated = confirm(0, ACME)
    dispute = about(1, Dispute("collision"), stated.id, member=NOVA)
    assert SignalState.DISPUTED is said(stated, dispute).state
    assert SignalState.POSITIVE is said(stated, dispute, withdraw(2, dispute.id, member=NOVA)).state
    own = about(3, Dispute("collision"), stated.id, member=ACME)
    assert SignalState.POSITIVE is said(stated, own).state


def test_a_dispute_of_one_statement_leaves_another_members_word_in_force() -> None:
    first, second = confirm(0, ACME), confirm(0, NOVA)
    dispute = about(1, Dispute("benign"), first.id, member=UMBRA)
    verdict = said(first, second, dispute)
    assert SignalState.DISPUTED is verdict.state
    assert {ACME: Word.DISPUTED, NOVA: Word.IN_FORCE} == words(verdict)
    assert (ACME, NOVA) == verdict.members


def test_an_accused_or_suspended_member_cannot_dispute_what_others_say() -> None:
    stated = confirm(0, ACME)
    dispute = about(1, Dispute("collision"), stated.id, member=NOVA)
    for issuers in (Issuers(accused=frozenset({NOVA})), Issuers(suspended=frozenset({NOVA}))):
        assert SignalState.POSITIVE is said(stated, dispute, issuers=issuers).state


@pytest.mark.parametrize(
    ("issuers", "state"),
    [
        (Issuers(suspended=frozenset({ACME})), SignalState.SUSPENDED),
        (Issuers(accused=frozenset({ACME})), SignalState.ACCUSED),
        (Issuers(frozenset({ACME}), frozenset({ACME})), SignalState.SUSPENDED),
    ],
)
def test_a_word_by_nobody_in_good_standing_says_so_and_anothers_word_is_enough(
    issuers: Issuers, state: SignalState
) -> None:
    assert state is said(confirm(0, ACME), issuers=issuers).state
    assert SignalState.POSITIVE is said(confirm(0, ACME), confirm(0, NOVA), issuers=issuers).state


def test_withdrawn_expired_and_erased_statements_stand_behind_the_verdict_and_do_not_count() -> (
    None
):
    stated = confirm(0, ACME)
    passing = confirm(0, NOVA, make_confirm(0, expires_at_ms=NOW))
    verdict = said(stated, withdraw(1, stated.id), passing)
    assert SignalState.EXPIRED is verdict.state
    assert {ACME: Word.WITHDRAWN, NOVA: Word.EXPIRED} == words(verdict)
    assert SignalState.POSITIVE is said(passing, now_ms=NOW - 1).state
    assert NOW == said(passing, now_ms=NOW - 1).expires_at_ms
    assert SignalState.WITHDRAWN is said(stated, withdraw(1, stated.id)).state
    assert NOTHING_SAID == said(stated, erase(2, stated.id))


def test_an_endorse_is_no_dispute() -> None:
    stated = confirm(0, ACME)
    assert (
        SignalState.POSITIVE
        is said(stated, about(1, Endorse("agrees"), stated.id, member=NOVA)).state
    )


def test_a_member_is_suspended_by_the_roster_and_accused_by_evidence_against_any_log() -> None:
    roster = make_roster().roster
    log = LogId(NOVA, roster.federation_id, Lane.BULK)
    issuers = issuers_of(roster, [log])
    assert Issuers(accused=frozenset({NOVA})) == issuers
    assert not issuers.is_sound(NOVA)
    assert issuers.is_sound(ACME)


def test_a_fork_that_governance_settled_by_a_pin_accuses_nobody_any_more() -> None:
    roster = make_roster().roster
    nova = roster.members[NOVA]
    log = LogId(NOVA, roster.federation_id, Lane.BULK)
    logs = tuple(
        replace(each, pin=EMPTY_PIN) if each.lane is Lane.BULK else each for each in nova.logs
    )
    pinned = replace(roster, members={**roster.members, NOVA: replace(nova, logs=logs)})
    assert ALL_SOUND == issuers_of(pinned, [log])
    ended = tuple(replace(each, pin=EMPTY_PIN) for each in nova.logs)
    suspended = replace(nova, status=MemberStatus.SUSPENDED, logs=ended)
    told = issuers_of(replace(roster, members={**roster.members, NOVA: suspended}))
    assert Issuers(suspended=frozenset({NOVA})) == told


@given(st.lists(st.sampled_from(POOL)), st.integers())
def test_order_and_repetition_of_statements_change_no_verdict(
    some: list[VerifiedStatement], seed: int
) -> None:
    shuffled = some + some[: len(some) // 2]
    Random(seed).shuffle(shuffled)
    assert said(*some) == said(*shuffled)


def test_voices_come_in_the_order_of_their_statements() -> None:
    verdict = said(*[confirm(0, member) for member in (UMBRA, ACME, NOVA)])
    ids: list[StatementId] = [voice.opinion.id for voice in verdict.voices]
    assert sorted(ids, key=lambda each: each.entry) == ids
