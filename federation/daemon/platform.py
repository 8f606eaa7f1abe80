"""The platform's own side of a node: what matches, what changed, and what is done about it.

Joins these rooms, starts and stops them; nothing is decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from federation.config import NodeConfig
from federation.daemon.index_keeper import IndexKeeper
from federation.daemon.live_index import LiveIndex
from federation.daemon.matcher import Matcher
from federation.daemon.membership import Membership
from federation.daemon.teller import Teller
from federation.daemon.verdict_changes import VerdictChanges
from federation.daemon.view_reader import ViewReader
from federation.protocol.origins import LogId
from federation.protocol.signals import SignalType
from federation.provenance.log_view import Advance
from federation.store.index_files import IndexFiles
from federation.store.index_source import IndexSource
from federation.store.stores import Stores

INDEX_FOLDER: Final = "index"
"""In the data directory."""


class Platform:
    """One node's matching and telling.

    Args:
        config: the node's settings.
        stores: what it holds.
        membership: the roster in force.
        unix_ms: the clock, Unix milliseconds.

    Attributes:
        reader: what the federation says, from the store.
        index: the signals that match.
        index_folder: where their files are.
        index_keeper: keeps it on disk.
        matcher: what matches uploaded content.
        teller: tells what changed, in order.
        verdict_changes: finds out which verdicts moved.
    """

    def __init__(
        self,
        config: NodeConfig,
        stores: Stores,
        membership: Membership,
        unix_ms: Callable[[], int],
    ) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self.reader = ViewReader(stores.signals, stores.evidence, membership, unix_ms)
        self.index_folder = config.path(config.data_directory) / INDEX_FOLDER
        self.index = LiveIndex()
        self.index_keeper = IndexKeeper(
            self.index,
            IndexFiles(self.index_folder),
            IndexSource(stores.database, stores.stems),
            stores.trees,
            (membership.roster.federation_id, config.member),
            lambda: membership.roster.version,
        )
        self.matcher = Matcher(self.index, stores.signals, stores.logs, self.reader, unix_ms)
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
        await self.index_keeper.fill(self.matcher.absorb_stored, self.matcher.fill)
        await self.index_keeper.upkeep()
        await self.teller.start(held)
        self._tasks = [asyncio.create_task(self.teller.run())]

    async def absorb(self, step: Advance) -> None:
        """A step is durable: it matches from now on, and what it changed will be told."""
        await self.matcher.absorb(step)
        self.index_keeper.absorbed(step)
        self.teller.absorbed(step)

    async def erased(self, values: Sequence[tuple[SignalType, bytes]]) -> None:
        """Statements were erased that carried these signals, each a type and a value."""
        await self.matcher.reconsider(values)
        if self.teller.is_listened_to:
            self.teller.emit(*await self.verdict_changes.without(values))

    def issuers_changed(self) -> None:
        """Members may stand otherwise than before."""
        self.teller.emit(*self.verdict_changes.issuers_changed())

    def roster_applied(self) -> None:
        """A new roster is in force, and all that it changes has been applied."""
        self.index_keeper.roster_counted()
        self.issuers_changed()

    async def keep_up(self) -> None:
        """What is due now and then."""
        await self.index_keeper.upkeep()
        self.issuers_changed()

    async def close(self) -> None:
        """Stop; what was not told is told after the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.teller.close()
        await self.index_keeper.close()
