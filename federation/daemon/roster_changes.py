"""What a new roster version changes in a running node, in the order in which it must happen.

    who may connect → own keys → what counts → how far own logs go → whom the engine speaks to

Nothing is restarted. When the adoption returns, answers, peers and own logs follow the new version.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from federation.config import NodeConfig
from federation.daemon.eraser import Eraser
from federation.daemon.matcher import Matcher
from federation.daemon.membership import Membership
from federation.daemon.own_keys import OwnKeys
from federation.daemon.pinning import Recount, apply_pins
from federation.daemon.publisher import LanePublisher
from federation.daemon.replicator import Replicator
from federation.gossip import events
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster_directory import newest_log
from federation.provenance.log_view import LogView
from federation.store.stores import Stores

log_lines = logging.getLogger(__name__)


class RosterChanges:
    """Applies each version that the membership adopts.

    Args:
        config: whose node this is.
        keys: its keys, present and next.
        membership: the roster in force.
        stores: what is held.
        matcher: what the federation says.
        eraser: what governance ordered to be erased.
        replicator: the gossip engine's hands.
        lanes: the own logs.
        reconnect: applies who may connect, and whom this node connects to.
        tell: tells the platform whose word counts otherwise now.
    """

    def __init__(
        self,
        config: NodeConfig,
        keys: OwnKeys,
        *,
        membership: Membership,
        stores: Stores,
        matcher: Matcher,
        eraser: Eraser,
        replicator: Replicator,
        lanes: Mapping[Lane, LanePublisher],
        reconnect: Callable[[], Awaitable[None]],
        tell: Callable[[], None],
    ) -> None:
        self._config, self._keys = config, keys
        self._membership, self._stores = membership, stores
        self._matcher, self._eraser, self._replicator = matcher, eraser, replicator
        self._lanes, self._reconnect, self._tell = lanes, reconnect, tell

    async def apply(self) -> None:
        """Follow the version that was adopted just now.

        Raises:
            StoreError: the disk; what was done before stays done, and a restart does the rest.
        """
        log_lines.info("roster version %d is in force", self._membership.roster.version)
        mine = self._membership.roster.members.get(self._config.member)
        if mine is not None:
            self._keys.settle(mine)
        await self._reconnect()
        known = {log: sync.view for log, sync in self._replicator.engine.logs.items()}
        recount = await apply_pins(self._stores, self._membership, known)
        await self._matcher.recount(recount.spans)
        await self._eraser.apply_roster()
        self._tell()
        await self._move_lanes(recount, known)
        self._replicator.feed(events.RosterChanged(self._membership.verifier, recount.views))

    async def _move_lanes(self, recount: Recount, known: Mapping[LogId, LogView]) -> None:
        """Own logs go on where the roster says, under the keys that it holds."""
        views = {**known, **{view.log: view for view in recount.views}}
        for lane, publisher in self._lanes.items():
            log = newest_log(self._membership.roster, self._config.member, lane)
            moved = any(view.log == log for view in recount.views)
            if moved or log != publisher.log:
                view = views.get(log, LogView(log))
                await publisher.move(log, view)
