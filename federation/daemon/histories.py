"""One history for every log: the rooms that see to it, joined.

Accusations (evidence), the brancher (both histories of a forked log) and the guard (this node's own
history); nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from federation.daemon.accusations import Accusations
from federation.daemon.asking import catch_up, find_second_copy, open_for_signing
from federation.daemon.brancher import Brancher
from federation.daemon.eraser import Eraser
from federation.daemon.guard import Guard
from federation.daemon.membership import Membership
from federation.daemon.platform import Platform
from federation.daemon.replicator import Replicator
from federation.daemon.restore import restore_forked, restore_step
from federation.gossip import events
from federation.net.asking import PeerCalls
from federation.protocol.origins import LogId
from federation.provenance.log_view import Advance, LogView
from federation.provenance.verifier import Receipt
from federation.store.stores import Stores


class Histories:
    """What keeps every log to one history, and holds both where it has two.

    Args:
        stores: what this node holds.
        membership: the roster in force.
        guard: what it signed last.
        replicator: drives the engine.
        eraser: takes out of each step what must go.
        platform: counts what is held.
        unix_ms: the clock, Unix milliseconds.

    Attributes:
        accusations: evidence.
        brancher: both histories of forked logs.
        guard: as given.
    """

    def __init__(
        self,
        stores: Stores,
        membership: Membership,
        guard: Guard,
        replicator: Replicator,
        eraser: Eraser,
        platform: Platform,
        unix_ms: Callable[[], int],
    ) -> None:
        self.guard = guard
        self._stores, self._membership, self._replicator = stores, membership, replicator
        guard.on_alarm(replicator.raise_alarm)
        self.accusations = Accusations(stores, membership, unix_ms, replicator.feed)
        self.brancher = Brancher(
            stores,
            self.accusations,
            eraser,
            link=replicator.link,
            index=platform.absorb_branch,
            recount=platform.count_anew,
            accused=platform.accused,
            guard=guard,
            after_commit=replicator.after_commit,
            feed=replicator.feed,
        )
        replicator.also_carry(self.brancher.carry())

    async def begin(
        self,
        views: Mapping[LogId, LogView],
        receipts: tuple[Receipt, ...],
        gaps: tuple[events.GapsKnown, ...],
        own: PeerCalls | None,
        member: str,
    ) -> None:
        """Hold the store against the guard, look for a second copy, and start the engine.

        Args:
            views: what is held of every log.
            receipts: this node's own, on the newest heads.
            gaps: what is missing.
            own: the way to this node's own address; None where the roster names none.
            member: this node's member.

        Raises:
            StoreError: the disk.
        """
        apart = await self.guard.compare(views)
        federation = self._membership.roster.federation_id
        await find_second_copy(self.guard, own, member, federation)
        convictions = await self.accusations.restore()
        forked = await restore_forked(self._stores, self._membership, convictions)
        shown = tuple(view for log, view in views.items() if log not in apart)
        self._replicator.feed(events.Started(shown, receipts, gaps, forked))

    async def durable_step(self, known: LogView) -> Advance | None:
        """What the store holds of a log beyond a view; see :func:`restore_step`.

        Raises:
            StoreError: the disk.
        """
        return await restore_step(self._stores, self._membership, known)

    async def catch_up(self, views: Mapping[LogId, LogView]) -> None:
        """Wait until every reachable peer said what it has; then sign, unless there is a reason.

        Raises:
            StoreError: the disk.
        """
        await catch_up(self._replicator, self._membership)
        await open_for_signing(self.guard, self._replicator, views)
