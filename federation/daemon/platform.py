"""The platform's own side of a node: what matches, what changed, and what is done about it.

Joins these rooms, starts and stops them; nothing is decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from federation.daemon.matcher import Matcher
from federation.daemon.membership import Membership
from federation.daemon.teller import Teller
from federation.daemon.verdict_changes import VerdictChanges
from federation.daemon.view_reader import ViewReader
from federation.matching.index import SignalIndex
from federation.protocol.origins import LogId
from federation.protocol.signals import SignalType
from federation.provenance.log_view import Advance
from federation.store.stores import Stores


class Platform:
    """One node's matching and telling.

    Args:
        stores: what it holds.
        membership: the roster in force.
        unix_ms: the clock, Unix milliseconds.

    Attributes:
        reader: what the federation says, from the store.
        matcher: what matches uploaded content.
        teller: tells what changed, in order.
        verdict_changes: finds out which verdicts moved.
    """

    def __init__(self, stores: Stores, membership: Membership, unix_ms: Callable[[], int]) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self.reader = ViewReader(stores.signals, stores.evidence, membership, unix_ms)
        self.matcher = Matcher(SignalIndex(), stores.signals, stores.logs, self.reader, unix_ms)
        self.teller = Teller(stores.changes, stores.logs, membership)
        self.verdict_changes = VerdictChanges(self.reader, stores.logs)
        self.teller.derive(self.verdict_changes.derive)

    async def start(self, held: Mapping[LogId, int]) -> None:
        """Fill the index, and tell what was committed and not told before the node stopped.

        Args:
            held: how many statements of each log are durable.

        Raises:
            StoreError: the disk.
        """
        await self.matcher.fill()
        await self.teller.start(held)
        self._tasks = [asyncio.create_task(self.teller.run())]

    async def absorb(self, step: Advance) -> None:
        """A step is durable: it matches from now on, and what it changed will be told."""
        await self.matcher.absorb(step)
        self.teller.absorbed(step)

    async def erased(self, values: Sequence[tuple[SignalType, bytes]]) -> None:
        """Statements were erased that carried these signals, each a type and a value."""
        await self.matcher.reconsider(values)
        if self.teller.is_listened_to:
            self.teller.emit(*await self.verdict_changes.without(values))

    def issuers_changed(self) -> None:
        """Members may stand otherwise than before."""
        self.teller.emit(*self.verdict_changes.issuers_changed())

    async def keep_up(self) -> None:
        """What is due now and then."""
        await self.matcher.rebuild_if_due()
        self.issuers_changed()

    async def close(self) -> None:
        """Stop; what was not told is told after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.teller.close()
