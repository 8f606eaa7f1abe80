"""What a new roster version changes in a running node, in the order in which it must happen.

    own keys → who may connect → what counts → how far own logs go → whom the engine speaks to →
    what the index lacks

Nothing is restarted. When the adoption returns, answers, peers and own logs follow the new version.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

from federation.config import NodeConfig
from federation.daemon.eraser import Eraser
from federation.daemon.matcher import Span
from federation.daemon.membership import Membership
from federation.daemon.own_keys import OwnKeys
from federation.daemon.pinning import Recount, apply_pins
from federation.daemon.publisher import Draft, LanePublisher
from federation.daemon.replicator import Replicator
from federation.daemon.roster_watch import RosterWatch
from federation.errors import FederationError
from federation.gossip import events
from federation.local_errors.config import RosterMissing
from federation.net.asking import PeerCalls
from federation.protocol.bodies import ActsUnder
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster_directory import newest_log
from federation.provenance.log_view import LogView
from federation.store.stores import Stores

log_lines = logging.getLogger(__name__)

APPLY_AGAIN_SECONDS: Final = 5.0
"""Until a version that met a failing disk is applied once more, from its beginning."""


async def find_own_membership(
    name: str, membership: Membership, link_of: Callable[[str], PeerCalls | None]
) -> None:
    """A new member has only ``1.root.json``: ask its peers for the versions since.

    Args:
        name: this node's member.
        membership: grows until it holds that name.
        link_of: how a member is reached.

    Raises:
        RosterMissing: nobody has a roster that holds this member.
    """
    for peer in sorted(membership.roster.members):
        if name in membership.roster.members:
            return
        link = link_of(peer)
        if link is None:
            continue
        try:
            while root := await link.roster(membership.roster.version + 1):
                await membership.adopt(root)
        except FederationError as error:
            log_lines.warning("asked %s for the roster: %s", peer, error)
    if name not in membership.roster.members:
        raise RosterMissing(
            f"roster version {membership.roster.version} holds no member {name}",
            hint="give your join-request.json to the governors: federation roster propose add",
        )


class RosterChanges:
    """Applies each version that the membership adopts.

    Args:
        config: whose node this is.
        keys: its keys, present and next.
        membership: the roster in force.
        stores: what is held.
        recount: has what began or ceased to count answered and told so.
        eraser: what governance ordered to be erased.
        replicator: the gossip engine's hands.
        lanes: the own logs.
        reconnect: applies who may connect, and whom this node connects to.
        tell: tells the platform whose word counts otherwise now, and what no longer counts.
        watch: what operators must know of the roster.

    Attributes:
        watch: see there.
    """

    def __init__(
        self,
        config: NodeConfig,
        keys: OwnKeys,
        *,
        membership: Membership,
        stores: Stores,
        recount: Callable[[Collection[Span]], Awaitable[None]],
        eraser: Eraser,
        replicator: Replicator,
        lanes: Mapping[Lane, LanePublisher],
        reconnect: Callable[[], Awaitable[None]],
        tell: Callable[[], Awaitable[None]],
        watch: RosterWatch,
    ) -> None:
        self.watch = watch
        self._said: set[asyncio.Task[None]] = set()
        self._renewed: set[str] = set()
        self._again: asyncio.Task[None] | None = None
        self._config, self._keys = config, keys
        self._membership, self._stores = membership, stores
        self._recount, self._eraser, self._replicator = recount, eraser, replicator
        self._lanes, self._reconnect, self._tell = lanes, reconnect, tell

    async def apply(self) -> None:
        """Follow the version in force; each step may be repeated.

        Raises:
            StoreError: the disk; what was done stays done, and all of it is done again soon.
        """
        try:
            await self._follow()
        except Exception:
            if self._again is None:
                self._again = asyncio.create_task(self._apply_again())
            raise

    async def _apply_again(self) -> None:
        while not self._membership.is_applied:
            await asyncio.sleep(APPLY_AGAIN_SECONDS)
            try:
                await self._membership.catch_up()
            except Exception as error:  # noqa: BLE001 - nothing else would apply it
                # The kind alone: an unforeseen error's words may hold what no log line may.
                log_lines.error("the roster is not applied yet: %s", type(error).__name__)
        self._again = None

    async def _follow(self) -> None:
        log_lines.info("roster version %d is in force", self._membership.roster.version)
        mine = self._membership.roster.members.get(self._config.member)
        self._renewed.update(() if mine is None else self._keys.settle(mine))
        await self._reconnect()
        known = {log: sync.view for log, sync in self._replicator.engine.logs.items()}
        recount = await apply_pins(self._stores, self._membership, known)
        self._move_lanes(recount, known)
        # The others are told before the index is gone over: what no longer counts is out of every
        # answer here already, and theirs should not wait for it.
        verifier = self._membership.verifier
        self._replicator.feed(events.RosterChanged(verifier, recount.views, recount.branches))
        await self._recount(recount.spans)
        await self._eraser.apply_roster()
        await self._tell()
        renewed, self._renewed = self._renewed, set()
        task = asyncio.create_task(self._say_what_is_in_force(renewed))
        self._said.add(task)
        task.add_done_callback(self._said.discard)

    async def close(self) -> None:
        """Say and ask nothing more."""
        tasks = [*self._said, *([self._again] if self._again else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.watch.close()

    async def _say_what_is_in_force(self, renewed: Collection[str]) -> None:
        """Publish which roster this node acts under: in the live lane, and under each new key.

        What a former key signed beyond its end counts from the first head of its successor on, so
        that one must not wait for the next statement.
        """
        roster = self._membership.roster
        body = ActsUnder(roster.version, roster.decision_sha256)
        for lane, publisher in self._lanes.items():
            if lane is Lane.LIVE or str(lane) in renewed:
                try:
                    await publisher.publish([Draft(body)])
                except FederationError as error:
                    log_lines.info("roster version %d is not stated: %s", roster.version, error)

    def _move_lanes(self, recount: Recount, known: Mapping[LogId, LogView]) -> None:
        """Own logs go on where the roster says, under the keys that it holds.

        A batch under way ends where it began; nothing of the roster waits for its disk.
        """
        views = {**known, **{view.log: view for view in recount.views}}
        for lane, publisher in self._lanes.items():
            log = newest_log(self._membership.roster, self._config.member, lane)
            moved = any(view.log == log for view in recount.views)
            if moved or log != publisher.log:
                view = views.get(log, LogView(log))
                publisher.move(log, view)
