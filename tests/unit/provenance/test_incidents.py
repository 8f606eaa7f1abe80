"""What an incident is, from statements in any order: level, open or closed, and by whose word."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from federation.protocol.bodies import Readable, Withdraw
from federation.protocol.bodies_incident import Incident
from federation.protocol.headers import StatementId
from federation.protocol.origins import Lane
from federation.provenance.incidents import incidents_of
from federation.provenance.taking_back import Rulings
from federation.provenance.verifier import VerifiedStatement
from tests.builders import ACME, NOVA, make_log, make_roster, make_statement

FOUNDED = make_roster()
FID = FOUNDED.roster.federation_id


def judged(
    number: int, body: Readable, *references: StatementId, member: str = ACME
) -> VerifiedStatement:
    made = make_log(founded=FOUNDED, member=member, lane=Lane.CRISIS)
    said = make_statement(number, body, member=member, federation_id=FID, references=references)
    return made.verifier.open_statement(made.log, number, said)


OPENED = judged(0, Incident("incident", 1_000, "Somewhere attack"))
GRAVER = judged(1, Incident("content-incident-protocol", 2_000), OPENED.id)
LESS = judged(2, Incident("content-incident", 3_000), OPENED.id)
CLOSED = judged(3, Incident("content-incident", 4_000, is_closed=True), OPENED.id)
BY_ANOTHER = judged(4, Incident("incident", 9_000, is_closed=True), OPENED.id, member=NOVA)
WITHDRAWN = judged(5, Withdraw("mistake"), OPENED.id)
LESS_WITHDRAWN = judged(6, Withdraw("mistake"), LESS.id)


def test_opened_incident_has_the_level_said_last_whatever_came_first() -> None:
    (state,) = incidents_of([LESS, GRAVER, OPENED])
    assert (OPENED.id, ACME, "Somewhere attack") == (state.id, state.member, state.title)
    assert ("content-incident", 1_000, 3_000) == (
        state.level,
        state.opened_at_ms,
        state.changed_at_ms,
    )
    assert state.is_open


def test_closed_incident_stays_closed() -> None:
    later = judged(7, Incident("incident", 5_000), OPENED.id)
    (state,) = incidents_of([OPENED, CLOSED, later])
    assert 4_000 == state.closed_at_ms
    assert not state.is_open


def test_another_member_cannot_close_it_but_a_successor_can() -> None:
    (state,) = incidents_of([OPENED, BY_ANOTHER])
    assert state.is_open
    (state,) = incidents_of([OPENED, BY_ANOTHER], Rulings(successors={ACME: NOVA}))
    assert 9_000 == state.closed_at_ms


def test_what_was_taken_back_does_not_count() -> None:
    assert () == incidents_of([OPENED, GRAVER, WITHDRAWN])
    assert () == incidents_of([OPENED], Rulings(erased=frozenset({OPENED.id})))
    (state,) = incidents_of([OPENED, GRAVER, LESS, LESS_WITHDRAWN])
    assert "content-incident-protocol" == state.level


def test_change_without_what_it_changes_waits() -> None:
    assert () == incidents_of([GRAVER, CLOSED])


@given(st.permutations([OPENED, GRAVER, LESS, CLOSED, BY_ANOTHER, LESS_WITHDRAWN]), st.data())
def test_order_and_repetition_change_nothing(
    statements: list[VerifiedStatement], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(statements)))
    expected = incidents_of([OPENED, GRAVER, LESS, CLOSED, BY_ANOTHER, LESS_WITHDRAWN])
    assert expected == incidents_of([*statements, *again])
