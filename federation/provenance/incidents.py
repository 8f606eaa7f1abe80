"""Incidents: what a crisis is called, how grave it is, and whether it is over.

A pure function of statements, like the rest of the view: the order in which they come does not
matter, and hearing one twice changes nothing. Only the member that opened an incident, or its
successor, changes or closes it; what is closed stays closed.

Source: docs/spec/view.md, "Incidents".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from federation.protocol.bodies import Erase, Withdraw
from federation.protocol.bodies_incident import Incident
from federation.protocol.headers import StatementId
from federation.provenance.reading import body_of
from federation.provenance.taking_back import Rulings
from federation.provenance.verifier import VerifiedStatement
from federation.provenance.view import NO_RULINGS


@dataclass(frozen=True, slots=True)
class IncidentState:
    """One incident as it stands.

    Attributes:
        id: the statement that opened it.
        member: who opened it.
        title: what it is called.
        level: how grave it is now.
        opened_at_ms: when it began, by that member's account, Unix milliseconds.
        changed_at_ms: when its level was last said.
        closed_at_ms: when it was closed; None while it is open.
    """

    id: StatementId
    member: str
    title: str
    level: str
    opened_at_ms: int
    changed_at_ms: int
    closed_at_ms: int | None

    @property
    def is_open(self) -> bool:
        """Whether it is going on."""
        return self.closed_at_ms is None


def incidents_of(
    statements: Iterable[VerifiedStatement], rulings: Rulings = NO_RULINGS
) -> tuple[IncidentState, ...]:
    """Every incident that was not taken back, in the order of statement ids.

    Args:
        statements: incident statements, and those that refer to them; others do not matter.
        rulings: what governance decided.
    """
    said: dict[StatementId, tuple[VerifiedStatement, Incident]] = {}
    taking_back: dict[StatementId, set[str]] = {}
    for statement in statements:
        body = body_of(statement)
        if isinstance(body, Incident):
            said[statement.id] = (statement, body)
        elif isinstance(body, Withdraw | Erase):
            for target in statement.header.references:
                taking_back.setdefault(target, set()).add(statement.header.member)
    gone = rulings.withdrawn | rulings.erased
    counting = {
        made: (statement, body)
        for made, (statement, body) in said.items()
        if made not in gone
        and not any(
            rulings.may_take_back(member, statement.header.member)
            for member in taking_back.get(made, ())
        )
    }
    updates: dict[StatementId, list[tuple[int, bytes, Incident]]] = {}
    for made, (statement, body) in counting.items():
        for target in statement.header.references:
            opening = counting.get(target)
            if opening is not None and rulings.may_take_back(
                statement.header.member, opening[0].header.member
            ):
                updates.setdefault(target, []).append((body.at_ms, made.entry, body))
    return tuple(
        _state_of(made, counting[made], updates.get(made, ()))
        for made in sorted(counting, key=lambda each: each.entry)
        if counting[made][1].title is not None
    )


def _state_of(
    made: StatementId,
    opening: tuple[VerifiedStatement, Incident],
    updates: Iterable[tuple[int, bytes, Incident]],
) -> IncidentState:
    statement, body = opening
    ordered = sorted(updates, key=lambda each: each[:2])
    levels = [(body.at_ms, body.level), *((at_ms, said.level) for at_ms, _, said in ordered)]
    closings = [at_ms for at_ms, _, said in ordered if said.is_closed]
    return IncidentState(
        id=made,
        member=statement.header.member,
        title=body.title or "",
        level=levels[-1][1],
        opened_at_ms=body.at_ms,
        changed_at_ms=levels[-1][0],
        closed_at_ms=min(closings, default=None),
    )
