"""The merged view: many members' statements on one signal, and what the federation says.

A pure function of (statements, what the roster decides about them, view version). Facts are growing
sets, so joining them is union: associative, commutative and idempotent, whatever the order, path
and number of times in which statements arrive. Nothing resurrects: a withdraw or erase that arrives
before its confirm waits in its set. Expiry and policy are not in the view; they are asked with
``now``.

Who may take back is one question for withdraws and erases (``provenance.taking_back``).
An erase beats a withdraw. One member's endorse and dispute of one statement may both stand, since
nobody can order them; then both are shown, until the member withdraws one.

Source: docs/spec/view.md.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from federation.protocol.bodies import (
    ERASABLE_KINDS,
    Confirm,
    Dispute,
    Endorse,
    Erase,
    Kind,
    Withdraw,
)
from federation.protocol.encoding_writing import encode_ordered
from federation.protocol.headers import StatementId
from federation.protocol.origins import LogId
from federation.protocol.signals import SignalType
from federation.provenance.reading import body_of
from federation.provenance.taking_back import Rulings
from federation.provenance.verifier import VerifiedStatement

VIEW_VERSION: Final = 1
"""Two nodes on one view version and roster, holding the same logs, have byte-equal views."""

NO_RULINGS: Final = Rulings()


class Standing(StrEnum):
    """What became of one member's confirm."""

    ACTIVE = "active"
    WITHDRAWN = "withdrawn"
    ERASED = "erased"
    CUT_OFF = "cut-off"
    """Beyond a pin or off it: its member is suspended, departed, or was robbed of its key. Shown to
    who asks about it; without effect, and not part of the merged view."""

    @property
    def counts(self) -> bool:
        """Whether the confirm still stands, expiry aside."""
        return self is Standing.ACTIVE


@dataclass(frozen=True, slots=True)
class Stated:
    """That a member made a statement which can be taken back: all that outlives its body.

    Attributes:
        id: the statement.
        member: who made it.
        kind: as its header says.
    """

    id: StatementId
    member: str
    kind: str


@dataclass(frozen=True, slots=True)
class Confirmation:
    """One member's confirm, as a fact.

    Attributes:
        id: the statement.
        member: who said it.
        confirm: what they said.
    """

    id: StatementId
    member: str
    confirm: Confirm


@dataclass(frozen=True, slots=True)
class Review:
    """One member's endorse or dispute of another's statement, as a fact.

    Attributes:
        id: the endorse or dispute.
        member: who looked at it.
        target: what they looked at.
        agrees: endorsed, or disputed.
        reason: a code.
    """

    id: StatementId
    member: str
    target: StatementId
    agrees: bool
    reason: str


@dataclass(frozen=True, slots=True)
class TakingBack:
    """One member's withdraw or erase, as a fact; inert unless the member may do it.

    Attributes:
        id: the withdraw or erase.
        member: who took back.
        target: what was taken back.
        reason: a code.
    """

    id: StatementId
    member: str
    target: StatementId
    reason: str


@dataclass(frozen=True)
class Facts:
    """What statements say, as sets: a join semilattice under :meth:`join`.

    Attributes:
        cut_off: confirms held where nothing counts; all else that is said there says nothing.
    """

    stated: frozenset[Stated] = frozenset()
    confirmations: frozenset[Confirmation] = frozenset()
    reviews: frozenset[Review] = frozenset()
    withdrawals: frozenset[TakingBack] = frozenset()
    erasures: frozenset[TakingBack] = frozenset()
    cut_off: frozenset[Confirmation] = frozenset()

    def join(self, other: Facts) -> Facts:
        """The union: everything either side knows."""
        return Facts(
            self.stated | other.stated,
            self.confirmations | other.confirmations,
            self.reviews | other.reviews,
            self.withdrawals | other.withdrawals,
            self.erasures | other.erasures,
            self.cut_off | other.cut_off,
        )


@dataclass(frozen=True, slots=True)
class Opinion:
    """One confirm and what became of it.

    Attributes:
        id: the confirm.
        member: who confirmed.
        confirm: what; None where it was erased, also where its body is still at hand.
        standing: active, withdrawn, erased or cut off.
        withdrawn_by: the withdraws that count, sorted; empty where only governance withdrew it.
        erased_by: the erases that count, sorted; empty where only governance erased it.
        reviews: other members' endorses and disputes that stand, in the order of their ids.
    """

    id: StatementId
    member: str
    confirm: Confirm | None
    standing: Standing
    withdrawn_by: tuple[StatementId, ...]
    erased_by: tuple[StatementId, ...]
    reviews: tuple[Review, ...]

    @property
    def is_cut_off(self) -> bool:
        """Whether the issuer's word does not count here, by a pin of the roster."""
        return self.standing is Standing.CUT_OFF

    @property
    def endorsed_by(self) -> tuple[str, ...]:
        """The members whose endorse stands, sorted."""
        return tuple(sorted({review.member for review in self.reviews if review.agrees}))

    @property
    def disputed_by(self) -> tuple[str, ...]:
        """The members whose dispute stands, sorted."""
        return tuple(sorted({review.member for review in self.reviews if not review.agrees}))

    def is_in_force(self, now_ms: int) -> bool:
        """Active, and not past the expiry its member set; ``now_ms`` in Unix milliseconds."""
        if self.confirm is None or self.standing is not Standing.ACTIVE:
            return False
        expires_at_ms = self.confirm.expires_at_ms
        return expires_at_ms is None or now_ms < expires_at_ms


def facts_of(
    statements: Iterable[VerifiedStatement], cut_off: Iterable[VerifiedStatement] = ()
) -> Facts:
    """What verified statements say; inert ones, and those without a body, only that they are.

    Args:
        statements: those that count.
        cut_off: those held beyond a pin or off it.
    """
    stated: set[Stated] = set()
    confirmations: set[Confirmation] = set()
    reviews: set[Review] = set()
    withdrawals: set[TakingBack] = set()
    erasures: set[TakingBack] = set()
    for statement in statements:
        header, made, body = statement.header, statement.id, body_of(statement)
        member, targets = header.member, header.references
        if header.kind in ERASABLE_KINDS:
            stated.add(Stated(made, member, header.kind))
        match body:
            case Confirm():
                confirmations.add(Confirmation(made, member, body))
            case Endorse(reason) | Dispute(reason):
                agrees = isinstance(body, Endorse)
                reviews |= {Review(made, member, each, agrees, reason) for each in targets}
            case Withdraw(reason):
                withdrawals |= {TakingBack(made, member, each, reason) for each in targets}
            case Erase(reason):
                erasures |= {TakingBack(made, member, each, reason) for each in targets}
    return Facts(
        frozenset(stated),
        frozenset(confirmations),
        frozenset(reviews),
        frozenset(withdrawals),
        frozenset(erasures),
        frozenset(
            Confirmation(each.id, each.header.member, body)
            for each in cut_off
            if isinstance(body := body_of(each), Confirm)
        ),
    )


def opinions_of(facts: Facts, rulings: Rulings = NO_RULINGS) -> tuple[Opinion, ...]:
    """Every confirm that can be read or was erased, in the order of statement ids.

    Those that are cut off come last, in the same order; nothing took them back or reviews them.

    Args:
        facts: what was said.
        rulings: what the roster decides about it.
    """
    members = {each.id: each.member for each in facts.stated}
    withdrawn = _counting(facts.withdrawals, members, rulings)
    erased = _counting(facts.erasures, members, rulings)
    is_gone = withdrawn.keys() | erased.keys() | rulings.withdrawn | rulings.erased
    reviews: dict[StatementId, list[Review]] = {}
    for review in sorted(facts.reviews, key=lambda fact: fact.id.entry):
        # A second opinion is another member's.
        if review.id not in is_gone and members.get(review.target) != review.member:
            reviews.setdefault(review.target, []).append(review)
    confirms = {each.id: each.confirm for each in facts.confirmations}
    opinions = []
    for stated in sorted(facts.stated, key=lambda fact: fact.id.entry):
        if stated.kind != Kind.CONFIRM:
            continue
        confirm, standing = confirms.get(stated.id), Standing.ACTIVE
        if stated.id in erased or stated.id in rulings.erased:
            confirm, standing = None, Standing.ERASED
        elif confirm is None:
            continue  # inert, or its body is missing: nothing can be said of it
        elif stated.id in is_gone:
            standing = Standing.WITHDRAWN
        opinions.append(
            Opinion(
                stated.id,
                stated.member,
                confirm,
                standing,
                withdrawn.get(stated.id, ()),
                erased.get(stated.id, ()),
                tuple(reviews.get(stated.id, ())),
            )
        )
    return (*opinions, *_cut_off(facts, members.keys() | rulings.erased))


def _cut_off(facts: Facts, otherwise: Container[StatementId]) -> list[Opinion]:
    """The confirms held at no place that counts; the same one may stand in another log too."""
    held = sorted(facts.cut_off, key=lambda fact: fact.id.entry)
    return [
        Opinion(each.id, each.member, each.confirm, Standing.CUT_OFF, (), (), ())
        for each in held
        if each.id not in otherwise
    ]


def _counting(
    takings: Iterable[TakingBack], members: dict[StatementId, str], rulings: Rulings
) -> dict[StatementId, tuple[StatementId, ...]]:
    """What each statement was taken back by, of those who may, sorted."""
    counting: dict[StatementId, set[StatementId]] = {}
    for taking in takings:
        member = members.get(taking.target)
        if member is not None and rulings.may_take_back(taking.member, member):
            counting.setdefault(taking.target, set()).add(taking.id)
    return {
        target: tuple(sorted(by, key=lambda each: each.entry)) for target, by in counting.items()
    }


def opinions_on(
    opinions: Iterable[Opinion], signal_type: SignalType, identity: bytes
) -> tuple[Opinion, ...]:
    """Those of the opinions whose confirm carries the signal of that identity, in the same order.

    Args:
        opinions: any.
        signal_type: the signal's type.
        identity: its value, or what stands for it (``protocol.signals.identity_of``).
    """
    return tuple(
        opinion
        for opinion in opinions
        if any(
            signal.type is signal_type and signal.identity == identity
            for signal in (opinion.confirm.signals if opinion.confirm else ())
        )
    )


def encode_view(
    facts: Facts, rulings: Rulings = NO_RULINGS, accused: Iterable[LogId] = ()
) -> bytes:
    """The merged view as bytes, equal on all nodes that hold the same: for comparing nodes.

    One map: the view version, the logs under evidence, and each confirm's id with its standing,
    what took it back, and the endorses and disputes that stand.
    """
    return encode_ordered(
        {
            "accused": sorted(log.sha256 for log in accused),
            "opinions": [
                {
                    "by": [each.entry for each in opinion.withdrawn_by],
                    "disputes": [each.id.entry for each in opinion.reviews if not each.agrees],
                    "endorses": [each.id.entry for each in opinion.reviews if each.agrees],
                    "erased": [each.entry for each in opinion.erased_by],
                    "id": opinion.id.entry,
                    "standing": opinion.standing,
                }
                for opinion in opinions_of(facts, rulings)
                if not opinion.is_cut_off
            ],
            "v": VIEW_VERSION,
        }
    )
