"""Who may take a statement back, and whether it must be gone: pure, and the same at every node.

A member takes back what it said; the successor that the roster names takes back what a departed
member said; governance takes back what it lists in the roster. Nobody else can, and what took back
is never itself taken back: nothing resurrects.

Source: docs/spec/view.md; docs/adr/0003-erasure.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from federation.protocol.bodies import ERASABLE_KINDS, Erase, Kind
from federation.protocol.headers import Header, StatementId
from federation.protocol.roster import Roster
from federation.protocol.statements import erased_statement
from federation.provenance.reading import body_of
from federation.provenance.verifier import VerifiedStatement


@dataclass(frozen=True)
class Rulings:
    """What a roster decides about statements.

    Attributes:
        withdrawn: statements that governance took back.
        erased: statements that governance ordered to be erased.
        successors: departed member -> who may take back what it said.
    """

    withdrawn: frozenset[StatementId] = frozenset()
    erased: frozenset[StatementId] = frozenset()
    successors: Mapping[str, str] = field(default_factory=dict)

    def may_take_back(self, speaker: str, member: str) -> bool:
        """Whether one member may take back what another, or the same, said."""
        seen: set[str] = set()
        while member != speaker:
            # A successor may depart as well, and two may have named each other.
            if member in seen or member not in self.successors:
                return False
            seen.add(member)
            member = self.successors[member]
        return True


def rulings_of(roster: Roster) -> Rulings:
    """What a roster version decides about statements."""
    successors = {
        member.name: member.successor
        for member in roster.members.values()
        if member.successor is not None
    }
    return Rulings(roster.withdrawn, roster.erased, successors)


def erase_targets(statement: VerifiedStatement) -> tuple[StatementId, ...]:
    """What a statement says must go; nothing where it is no erase, or its body is not at hand."""
    if statement.header.kind != Kind.ERASE or not isinstance(body_of(statement), Erase):
        return ()
    return statement.header.references


def must_go(
    statement_id: StatementId,
    header: Header,
    erases: Iterable[VerifiedStatement],
    rulings: Rulings,
) -> bool:
    """Whether salt and body of a statement must be gone.

    Args:
        statement_id: which.
        header: its header, which stays.
        erases: statements that may be erases of it; others among them do not matter.
        rulings: what governance decided.
    """
    if header.kind not in ERASABLE_KINDS:
        return False
    return statement_id in rulings.erased or any(
        statement_id in erase_targets(erase)
        and rulings.may_take_back(erase.header.member, header.member)
        for erase in erases
    )


def without_opening(verified: VerifiedStatement) -> VerifiedStatement:
    """The same statement, proven as before, without salt and body."""
    said = verified.statement
    return replace(verified, statement=erased_statement(said.header_bytes, said.commitment))
