"""What was erased here and is not told yet: read from the store, where the erase noted it.

An erase takes out and notes in one transaction, and the note goes after everybody was told. So
nothing that was carried out stays untold, whatever made it due (a statement of a log, a roster, a
body that came late) and wherever the node stopped.
"""

from __future__ import annotations

from collections.abc import Iterable

from federation.daemon.changes import ChangeBatch, StatementsErased
from federation.daemon.membership import Membership
from federation.protocol.headers import StatementId
from federation.provenance.taking_back import erase_targets, rulings_of
from federation.provenance.verifier import VerifiedStatement
from federation.store.erasure_store import ErasureStore
from federation.store.places import StoredStatement


class Erasures:
    """Erasures in the order in which they were carried out, for the teller.

    Args:
        store: where they are noted.
        membership: judges what the store gives back; who may take back what.
    """

    def __init__(self, store: ErasureStore, membership: Membership) -> None:
        self._store, self._membership = store, membership

    async def following(self) -> ChangeBatch | None:
        """The oldest erasure that is not told, the same one until it is; None where all are.

        Raises:
            StoreError: the disk.
        """
        untold = await self._store.untold()
        if untold is None:
            return None
        gone = {each.id: each for each in map(self._judge, untold.statements)}
        if not gone:
            return ChangeBatch((), erasure=untold.number)
        told = StatementsErased(_in_order(gone), await self._by(gone))
        return ChangeBatch((told,), erasure=untold.number)

    async def told(self, batch: ChangeBatch) -> None:
        """Everybody was told of it.

        Raises:
            StoreError: the disk; it may be told again.
        """
        await self._store.told(batch.erasure)

    async def _by(self, gone: dict[StatementId, VerifiedStatement]) -> tuple[StatementId, ...]:
        """The erases that count against any of some statements."""
        rulings = rulings_of(self._membership.roster)
        erases = map(self._judge, await self._store.erases_of(gone))
        return _in_order(
            erase.id
            for erase in erases
            if any(
                rulings.may_take_back(erase.header.member, gone[target].header.member)
                for target in gone.keys() & set(erase_targets(erase))
            )
        )

    def _judge(self, stored: StoredStatement) -> VerifiedStatement:
        return self._membership.verifier.open_statement(stored.log, stored.index, stored.statement)


def _in_order(ids: Iterable[StatementId]) -> tuple[StatementId, ...]:
    return tuple(sorted(ids, key=lambda each: each.entry))
