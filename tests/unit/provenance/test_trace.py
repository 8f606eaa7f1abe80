"""The story in words: what stood at a time, on whose word, and what changed since."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.bodies import Dispute, Endorse
from federation.protocol.headers import StatementId
from federation.protocol.origins import LogId
from federation.protocol.statements import Statement
from federation.provenance.taking_back import Rulings
from federation.provenance.trace import Holder, Traced, answer_at, events_of, format_ms
from tests.builders import (
    ACME,
    NEW_YEAR_2026_MS,
    NOVA,
    UMBRA,
    make_confirm,
    make_erase,
    make_log,
    make_roster,
    make_statement,
    make_withdraw,
)

FOUNDED = make_roster()
FEDERATION = FOUNDED.roster.federation_id
NONE = Rulings()
DAY = 86_400_000


def day(number: int) -> int:
    return NEW_YEAR_2026_MS + number * DAY


def traced(*statements: Statement, counts: bool = True) -> list[Traced]:
    """Statements as a node holds them, each in its own member's log."""
    told = []
    for at, statement in enumerate(statements):
        made = make_log(founded=FOUNDED)
        member = statement_member(statement)
        log = LogId(member, FEDERATION, made.log.lane)
        verified = made.verifier.open_statement(log, at, statement)
        told.append(Traced(verified, counts, (Holder(UMBRA, day(at) // 1_000),)))
    return told


def statement_member(statement: Statement) -> str:
    from federation.protocol.headers import decode_header

    return decode_header(statement.header_bytes).member


def confirm(number: int, at_ms: int, member: str = ACME, until: int | None = None) -> Statement:
    body = make_confirm(number, expires_at_ms=until)
    return make_statement(
        number, body, member=member, federation_id=FEDERATION, claimed_at_ms=at_ms
    )


def withdraw(number: int, target: StatementId, at_ms: int, member: str = ACME) -> Statement:
    return make_withdraw(
        number, target, member=member, federation_id=FEDERATION, claimed_at_ms=at_ms
    )


def review(number: int, body: object, target: StatementId, at_ms: int) -> Statement:
    return make_statement(
        number,
        body,  # type: ignore[arg-type]
        member=NOVA,
        federation_id=FEDERATION,
        references=[target],
        claimed_at_ms=at_ms,
    )


def test_active_then_on_whose_word_under_which_labels_and_what_changed_since() -> None:
    said = confirm(1, day(1))
    agreed = review(2, Endorse("same-content"), said.id, day(2))
    taken = withdraw(3, said.id, day(5))
    answer = answer_at(traced(said, agreed, taken), NONE, day(3))
    assert answer.was_active
    first, second, third = answer.words
    assert f"ACTIVE on {format_ms(day(3))}, on the word of {ACME}:" == first
    assert second.startswith(f"{ACME} confirmed it as tvec1, endorsed by {NOVA}")
    assert third.startswith(f"Since then, {ACME} withdrew {said.id} on {format_ms(day(5))}")
    assert not answer_at(traced(said, agreed, taken), NONE, day(6)).was_active


def test_before_anybody_said_it_it_was_not_active() -> None:
    answer = answer_at(traced(confirm(1, day(2))), NONE, day(1))
    assert f"NOT ACTIVE on {format_ms(day(1))}: nobody had confirmed it." == answer.words[0]
    assert 1 == len(answer.since)


def test_why_it_was_not_active_is_said() -> None:
    said, expiring = confirm(1, day(1)), confirm(2, day(1), NOVA, day(2))
    told = traced(said, expiring, withdraw(3, said.id, day(2)))
    assert "every confirm was expired or withdrawn" in answer_at(told, NONE, day(3)).words[0]


def test_anothers_withdraw_changes_nothing() -> None:
    said = confirm(1, day(1))
    told = traced(said, withdraw(2, said.id, day(2), NOVA))
    assert answer_at(told, NONE, day(3)).was_active


def test_a_dispute_is_told_beside_the_word_and_takes_nothing_from_it() -> None:
    said = confirm(1, day(1))
    told = traced(said, review(2, Dispute("benign"), said.id, day(2)))
    answer = answer_at(told, NONE, day(3))
    assert answer.was_active
    assert f"disputed by {NOVA}" in answer.words[1]


def test_an_erased_statement_says_so_and_nothing_of_what_it_said() -> None:
    said = confirm(1, day(0))
    erase = make_erase(2, said.id, federation_id=FEDERATION)
    (event, _) = events_of(traced(said, erase), NONE)
    assert event.is_erased
    assert event.words.startswith("erased: ")
    assert "tvec1" not in event.words
    assert "erased" == event.standing


def test_what_governance_took_back_bears_no_date_and_is_told() -> None:
    said = confirm(1, day(1))
    rulings = Rulings(withdrawn=frozenset({said.id}))
    words = answer_at(traced(said), rulings, day(2)).words
    assert words[0].startswith("ACTIVE")
    assert words[-1] == (
        f"Governance withdrew {said.id}, in a roster version, which bears no date."
    )


def test_what_the_roster_cut_off_was_never_active() -> None:
    told = traced(confirm(1, day(1)), counts=False)
    assert not answer_at(told, NONE, day(2)).was_active
    assert "cut-off" == events_of(told, NONE)[0].standing


@pytest.mark.parametrize("at_ms", [0, 2**53 - 1])
def test_times_beyond_every_calendar_are_told(at_ms: int) -> None:
    assert format_ms(at_ms)
    answer_at(traced(confirm(1, 2**53 - 1)), NONE, at_ms)


@given(st.permutations(range(5)))
def test_the_order_in_which_statements_were_found_does_not_matter(order: list[int]) -> None:
    said = confirm(1, day(1))
    told = traced(
        said,
        confirm(2, day(1), NOVA),
        review(3, Endorse("same-content"), said.id, day(2)),
        withdraw(4, said.id, day(3)),
        confirm(5, day(4)),
    )
    shuffled = [told[at] for at in order]
    assert events_of(told, NONE) == events_of(shuffled, NONE)
    assert answer_at(told, NONE, day(3)).words == answer_at(shuffled, NONE, day(3)).words
