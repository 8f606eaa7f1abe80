"""The merged view, read from the store and judged again: opinions and verdicts on signals.

One read brings the statements that carry the signals, a second what is about those, a third what
takes those back. The view itself is a pure function of them (``provenance/view``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from federation.daemon.changes import Mark
from federation.daemon.membership import Membership
from federation.protocol.bodies import Kind
from federation.protocol.headers import StatementId
from federation.provenance.taking_back import Rulings, rulings_of
from federation.provenance.verdict import Issuers, Verdict, issuers_of, verdict_of
from federation.provenance.verifier import VerifiedStatement
from federation.provenance.view import Opinion, facts_of, opinions_of
from federation.store.evidence_store import EvidenceStore
from federation.store.places import StoredStatement
from federation.store.signal_store import SignalStore

_REVIEWS = frozenset({Kind.ENDORSE, Kind.DISPUTE})


@dataclass(frozen=True, slots=True)
class MovedVerdict:
    """What the federation said of a signal, and says now.

    Attributes:
        before: without some statements.
        after: with them.
    """

    before: Verdict
    after: Verdict


@dataclass(frozen=True, slots=True)
class _Held:
    """A statement, and whether the place where it stands counts (``provenance.pins``)."""

    statement: VerifiedStatement
    counts: bool

    @property
    def id(self) -> StatementId:
        return self.statement.id


class ViewReader:
    """Answers from the store.

    Args:
        signals: where statements are looked up by signal and reference.
        evidence: which logs are accused.
        membership: judges what the store gives back; how members stand.
        clock_ms: Unix milliseconds; expiry is asked with it.
    """

    def __init__(
        self,
        signals: SignalStore,
        evidence: EvidenceStore,
        membership: Membership,
        clock_ms: Callable[[], int],
    ) -> None:
        self._signals, self._evidence = signals, evidence
        self._membership, self._clock_ms = membership, clock_ms

    def issuers(self) -> Issuers:
        """How members stand now."""
        return issuers_of(self._membership.roster, self._evidence.accused)

    def rulings(self) -> Rulings:
        """What the roster in force decides about statements."""
        return rulings_of(self._membership.roster)

    async def opinions(self, marks: Sequence[Mark]) -> tuple[Opinion, ...]:
        """Every opinion on any of some signals, in the order of statement ids."""
        return self._view(await self._statements_on(marks))

    async def opinions_among(self, stored: Iterable[StoredStatement]) -> tuple[Opinion, ...]:
        """The merged view on some statements: with what is about them, and what is about that."""
        return self._view(await self._with_what_is_about(stored))

    async def verdicts(self, marks: Sequence[Mark]) -> dict[Mark, Verdict]:
        """What the federation says of each signal."""
        return self._verdicts(marks, await self.opinions(marks))

    async def moved(
        self, marks: Sequence[Mark], by: Collection[StatementId]
    ) -> dict[Mark, MovedVerdict]:
        """What some statements changed about each signal: the verdict without and with them.

        Args:
            marks: the signals.
            by: statements that are stored already.
        """
        statements = await self._statements_on(marks)
        after = self._verdicts(marks, self._view(statements))
        # Pure functions of sets: what was said before is what is said without them.
        earlier = [each for each in statements if each.id not in by]
        before = self._verdicts(marks, self._view(earlier))
        return {mark: MovedVerdict(before[mark], after[mark]) for mark in marks}

    def judge(self, stored: StoredStatement) -> VerifiedStatement:
        """A stored statement as a verified one."""
        return self._membership.verifier.open_statement(stored.log, stored.index, stored.statement)

    def judge_all(self, stored: Iterable[StoredStatement]) -> list[VerifiedStatement]:
        """Stored statements as verified ones, in their order."""
        return [self.judge(each) for each in stored]

    def _verdicts(self, marks: Sequence[Mark], opinions: Sequence[Opinion]) -> dict[Mark, Verdict]:
        now_ms, issuers = self._clock_ms(), self.issuers()
        on_it = group_by_mark(marks, opinions)
        return {mark: verdict_of(on_it[mark], now_ms, issuers) for mark in on_it}

    def _view(self, statements: Iterable[_Held]) -> tuple[Opinion, ...]:
        held = list(statements)
        counting = [each.statement for each in held if each.counts]
        cut_off = [each.statement for each in held if not each.counts]
        return opinions_of(facts_of(counting, cut_off), self.rulings())

    async def _statements_on(self, marks: Sequence[Mark]) -> list[_Held]:
        found = await self._signals.carriers_many(marks)
        return await self._with_what_is_about(each for on_it in found.values() for each in on_it)

    async def _with_what_is_about(self, stored: Iterable[StoredStatement]) -> list[_Held]:
        held = self._held(stored)
        about = self._held(await self._signals.references_to(each.id for each in held))
        # An endorse and a dispute can be taken back; a withdraw and an erase cannot.
        reviews = [each.id for each in about if each.statement.header.kind in _REVIEWS]
        beyond = self._held(await self._signals.references_to(reviews)) if reviews else []
        return [*held, *about, *beyond]

    def _held(self, stored: Iterable[StoredStatement]) -> list[_Held]:
        """Each statement once: at a place that counts, where it stands at one."""
        cuts = self._membership.cuts
        found: dict[StatementId, _Held] = {}
        for each in stored:
            statement_id = each.statement.id
            if statement_id not in found or not found[statement_id].counts:
                counts = cuts.counts(each.log, each.branch, each.index)
                found[statement_id] = _Held(self.judge(each), counts)
        return list(found.values())


def group_by_mark(marks: Iterable[Mark], opinions: Iterable[Opinion]) -> dict[Mark, list[Opinion]]:
    """The opinions on each of some signals, in the order in which they come."""
    by_mark: dict[Mark, list[Opinion]] = {mark: [] for mark in marks}
    for opinion in opinions:
        for signal in opinion.confirm.signals if opinion.confirm else ():
            if (mark := (signal.type, signal.identity)) in by_mark:
                by_mark[mark].append(opinion)
    return by_mark
