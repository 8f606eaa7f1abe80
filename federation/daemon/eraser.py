"""Erasing: what must go is gone here before anybody is served, and what is missing is known.

Before a step is stored, whatever in it is under a valid erase loses its body. After it is stored,
its own erases are applied to what is held, and what it holds is asked about once more: an erase
that became durable in between is found by one of the two. Until salt and body are here, or a valid
erase of them, a statement is missing, and this node's mirror signs no head that covers it.

Source: docs/adr/0003-erasure.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from federation.daemon.membership import Membership
from federation.gossip.events import Erased, Event, GapsKnown
from federation.local_errors.disk import StoreFull, StoreUnavailable
from federation.protocol.bodies import ERASABLE_KINDS, Confirm
from federation.protocol.headers import StatementId
from federation.protocol.limits_messages import RANGE_BYTES_MAX
from federation.protocol.origins import LogId
from federation.protocol.statements import Statement
from federation.provenance.log_view import Advance
from federation.provenance.reading import body_of, forget_readings
from federation.provenance.taking_back import erase_targets, must_go, rulings_of, without_opening
from federation.provenance.verifier import Receipt, VerifiedStatement
from federation.store.places import StoredStatement
from federation.store.stores import Stores

log_lines = logging.getLogger(__name__)

_Erases: TypeAlias = Mapping[StatementId, Sequence[VerifiedStatement]]


@dataclass(slots=True)
class _Going:
    """Statements that are being taken out, and how far that came."""

    statements: Sequence[tuple[StoredStatement, VerifiedStatement]]
    is_erased: bool = False
    is_reconsidered: bool = False


LOOKED_UP_AT_ONCE: Final = 64
"""Statements looked up by their ids side by side."""


class Eraser:
    """What must go and what is missing, kept true in the store.

    Args:
        stores: where statements are.
        membership: the roster in force and its judge.
        erased: given what some statements said, has the index drop what nothing supports any more,
            and has told what is gone; the store has noted which statements those are.
        index: counts statements that have their bodies back.
        before_erase: takes the index's files away, which hold what is about to be erased.
        receipt: this node's receipt on the newest head of a log; None where it gives none.
        receipted: a receipt is durable; whether it may leave.
        tell: gives the engine an event.

    Attributes:
        lacking: the logs of which something is missing.
        scrub_due: whether erased bytes may still stand in the write-ahead log.
    """

    def __init__(
        self,
        stores: Stores,
        membership: Membership,
        *,
        erased: Callable[[Sequence[VerifiedStatement]], Awaitable[None]],
        index: Callable[[Sequence[VerifiedStatement]], Awaitable[None]],
        before_erase: Callable[[], None],
        receipt: Callable[[LogId], Awaitable[Receipt | None]],
        receipted: Callable[[Receipt], Awaitable[bool]],
        tell: Callable[[Event], None],
    ) -> None:
        self.lacking: set[LogId] = set()
        self._left: dict[LogId | None, list[_Going]] = {}
        self._successors: Mapping[str, str] | None = None  # as of the erases that were applied
        self.scrub_due = True  # a crash may have come between an erase and the scrub behind it
        self._stores, self._membership = stores, membership
        self._erased, self._index = erased, index
        self._before_erase = before_erase
        self._receipt, self._receipted, self._tell = receipt, receipted, tell

    async def start(self) -> tuple[GapsKnown, ...]:
        """Apply every erase that is known, and say what is missing.

        Raises:
            StoreError: the disk.
        """
        self.lacking = set(await self._stores.erasures.missing_counts())
        await self.apply_roster()
        await self.scrub()
        return tuple(
            [each for log in sorted(self.lacking, key=str) for each in await self._gaps(log)]
        )

    # --- steps ----------------------------------------------------------------------------------

    async def prepare(self, step: Advance) -> tuple[Advance, frozenset[StatementId]]:
        """Take out of a judged step what must go.

        Returns:
            The step to store, and which of its statements are under a valid erase.
        """
        erases = await self._erases_of(step.statements)
        for statement in step.statements:
            for target in erase_targets(statement):
                erases.setdefault(target, []).append(statement)
        if not erases and not self._membership.roster.erased:  # nearly always
            if _lacks(step.statements, ()):
                self.lacking.add(step.view.log)
            return step, frozenset()
        gone = frozenset(each.id for each in step.statements if self._must_go(each, erases))
        kept = tuple(without_opening(each) if each.id in gone else each for each in step.statements)
        if _lacks(kept, gone):
            self.lacking.add(step.view.log)
        return replace(step, statements=kept), gone

    async def absorb(
        self, step: Advance, erased: Collection[StatementId] = (), *, branch: int = 0
    ) -> None:
        """A step is durable: apply its erases, and those that became durable beside it.

        Where it fails it may be repeated, and goes on from where it was.

        Args:
            step: as it was stored.
            erased: the statements in it that were stored as erased.
            branch: which branch of its log it went to.
        """
        log = step.view.log
        if _lacks(step.statements, erased):
            # Again: a look at what was stored before it may have found nothing missing.
            self.lacking.add(log)
        if erased:
            await self._erased(())
        await self._take_out_left(log)
        await self._apply_among(step.statements, log)
        if any(erase_targets(each) for each in step.statements):
            erasures = self._stores.erasures
            places = await erasures.places_of(log, step.before.size, step.view.size, branch=branch)
            await self._apply_stored(*places, log)

    async def settle(self, log: LogId) -> None:
        """Look again at what is missing of a log; where nothing is, give the receipt that waited.

        Raises:
            StoreError: the disk.
        """
        first, *others = await self._gaps(log)
        receipt = None if first.missing else await self._receipt(log)
        if (
            receipt is not None
            and await self._stores.receipts.keep_receipts([receipt])
            and await self._receipted(receipt)
        ):
            first = replace(first, receipt=receipt)
        for each in (first, *others):
            self._tell(each)

    async def opened_here(
        self, log: LogId, start: int, end: int, *, branch: int = 0
    ) -> list[Statement]:
        """Statements ``[start, end)`` of a branch, opened where they stand whole in another place.

        No more of them than a peer would send at once.

        Raises:
            RangeNotHeld, LogNotFound: they are not held.
            StoreError: the disk.
        """
        stored = await self._stores.logs.statements(log, start, end, RANGE_BYTES_MAX, branch=branch)
        found: list[Statement] = []
        room = RANGE_BYTES_MAX
        for at in range(0, len(stored), LOOKED_UP_AT_ONCE):
            some = stored[at : at + LOOKED_UP_AT_ONCE]
            places = await asyncio.gather(*(self._stores.logs.places(each.id) for each in some))
            for each, same in zip(some, places, strict=True):
                whole = next((one.statement for one in same if one.statement.opening), each)
                room -= whole.bytes_on_wire
                if room < 0:
                    return found
                found.append(whole)
        return found

    async def reopen(
        self, log: LogId, statements: Mapping[int, Statement], *, branch: int = 0
    ) -> list[VerifiedStatement]:
        """Put back salts and bodies that a peer had, unless they must go.

        Returns:
            What was put back, for :meth:`reopened`.

        Raises:
            ProtocolError, VerificationError: what the peer had is not it.
            StoreError: the disk.
        """
        verified = [
            self._membership.verifier.open_statement(log, index, statement)
            for index, statement in statements.items()
        ]
        erases = await self._erases_of(verified)
        kept = [each for each in verified if not self._must_go(each, erases)]
        await self._stores.erasures.reopen(kept, branch=branch)
        return kept

    async def reopened(self, log: LogId, kept: Sequence[VerifiedStatement]) -> None:
        """What was put back is durable: it counts, and its erases apply; may be repeated.

        Raises:
            StoreError: the disk.
        """
        await self._take_out_left(log)
        await self._index(kept)
        await self._apply_among(kept, log)
        if any(erase_targets(each) for each in kept):
            await self._apply_stored(-1, 2**63 - 1, log)

    # --- applying -------------------------------------------------------------------------------

    async def apply_roster(self) -> None:
        """Erase what the roster in force says must go; may be repeated.

        That is what governance listed; and whoever became a successor, or no longer stands behind
        another one, may have said erases that counted for nothing until now.

        Raises:
            StoreError: the disk.
        """
        await self._take_out_left(None)
        successors = rulings_of(self._membership.roster).successors
        if successors != self._successors:
            await self._apply_stored(-1, 2**63 - 1)
            self._successors = successors
        ids = sorted(self._membership.roster.erased, key=str)
        for at in range(0, len(ids), LOOKED_UP_AT_ONCE):
            found = await asyncio.gather(
                *map(self._stores.logs.places, ids[at : at + LOOKED_UP_AT_ONCE])
            )
            await self._erase([each for places in found for each in places], None)

    async def scrub(self) -> None:
        """Empty the write-ahead log after an erase: what it held of the body is gone."""
        feed = self._stores.feed
        if not self.scrub_due and not feed.scrub_due:
            return
        self.scrub_due = feed.scrub_due = False  # whatever is erased from here on is for the next
        is_done = False
        try:
            is_done = await self._stores.erasures.scrub()
        finally:
            self.scrub_due = self.scrub_due or not is_done

    async def _apply_stored(self, first: int, last: int, cause: LogId | None = None) -> None:
        """Apply the stored erases that stand between two places."""
        after: int | None = -1
        while after is not None:
            found, after = await self._stores.erasures.asked_for_page(after, first, last)
            await self._erase(found, cause)

    async def _apply_among(self, statements: Sequence[VerifiedStatement], cause: LogId) -> None:
        """Erase those of some stored statements that an erase became durable for meanwhile."""
        erases = await self._erases_of(statements)
        if not erases:  # nearly always
            return
        for each in statements:
            if each.id in erases:
                await self._erase(await self._stores.logs.places(each.id), cause)

    async def _erase(self, found: Sequence[StoredStatement], cause: LogId | None) -> None:
        """Take out what must go of some stored statements, at every place where it stands.

        Args:
            found: those.
            cause: the log whose step this follows, which comes again where the disk refuses; None
                for a roster.
        """
        judged = [(each, self._judge(each)) for each in found]
        judged = [
            (stored, each)
            for stored, each in judged
            if each.statement.opening is not None or stored.log in self.lacking
        ]
        erases = await self._erases_of(each for _, each in judged)
        going = [(stored, each) for stored, each in judged if self._must_go(each, erases)]
        if going:
            await self._take_out(_Going(going), cause)

    async def _take_out_left(self, cause: LogId | None) -> None:
        """Go on with what the disk interrupted: nothing in the store says that it is due."""
        left = self._left.get(cause, [])
        while left:
            await self._take_out(left.pop(), cause)
        self._left.pop(cause, None)

    async def _take_out(self, going: _Going, cause: LogId | None) -> None:
        try:
            await self._take_out_steps(going)
        except (StoreFull, StoreUnavailable):
            # Also where the erase itself was reported as failed: it may be durable all the same.
            self._left.setdefault(cause, []).append(going)
            raise

    async def _take_out_steps(self, going: _Going) -> None:
        said = [each for _, each in going.statements]
        ids = {each.id for each in said}
        if not going.is_erased:
            if any(isinstance(body_of(each), Confirm) for each in said):
                self._before_erase()
            await self._stores.feed.blank(ids)  # first: what is gone here is not looked at again
            await self._stores.erasures.erase(going.statements)
            self.scrub_due = going.is_erased = True
            forget_readings()
            self._tell(Erased(frozenset(ids)))
            log_lines.info("erased %d statements", len(going.statements))
        if not going.is_reconsidered:
            await self._erased(said)
            going.is_reconsidered = True
        forget_readings()  # again: what was said has just been read
        for log in {stored.log for stored, _ in going.statements} & self.lacking:
            await self.settle(log)

    # --- asking ---------------------------------------------------------------------------------

    async def _erases_of(
        self, statements: Iterable[VerifiedStatement]
    ) -> dict[StatementId, list[VerifiedStatement]]:
        """The stored erases that refer to any of some statements, by what they refer to."""
        if not await self._stores.erasures.has_erases():
            return {}
        ids = {each.id for each in statements if each.header.kind in ERASABLE_KINDS}
        found: dict[StatementId, list[VerifiedStatement]] = {}
        if ids:
            for stored in await self._stores.erasures.erases_of(ids):
                erase = self._judge(stored)
                for target in ids.intersection(erase_targets(erase)):
                    found.setdefault(target, []).append(erase)
        return found

    def _must_go(self, statement: VerifiedStatement, erases: _Erases) -> bool:
        rulings = rulings_of(self._membership.roster)
        known = erases.get(statement.id, ())
        return must_go(statement.id, statement.header, known, rulings)

    async def _gaps(self, log: LogId) -> list[GapsKnown]:
        """What is missing of each branch of a log, the first branch first."""
        gaps = []
        for branch in sorted(await self._stores.stems.branches_of(log)) or [0]:
            missing = await self._stores.erasures.missing(log, branch=branch)
            ids = {each.index: each.statement.id for each in missing}
            gaps.append(GapsKnown(log, ids, branch=branch))
        if any(each.missing for each in gaps):
            self.lacking.add(log)
        else:
            self.lacking.discard(log)
        return gaps

    def _judge(self, stored: StoredStatement) -> VerifiedStatement:
        return self._membership.verifier.open_statement(stored.log, stored.index, stored.statement)


def _lacks(statements: Iterable[VerifiedStatement], erased: Container[StatementId]) -> bool:
    """Whether a body is absent that no erase accounts for."""
    return any(each.statement.opening is None and each.id not in erased for each in statements)
