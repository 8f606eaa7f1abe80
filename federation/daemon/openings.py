"""Salts and bodies that are missing here: asked for at peers, and put back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from federation.daemon.after_commit import AfterCommit
from federation.daemon.eraser import Eraser
from federation.daemon.failures import failure_of
from federation.errors import FederationError
from federation.gossip import events
from federation.net.asking import PeerCalls
from federation.protocol.messages import StatementRange, decode_range
from federation.store.tree_store import TreeStore

log_lines = logging.getLogger(__name__)


class Openings:
    """Carries out ``FetchOpenings`` and ``Reopen``.

    Args:
        member: this node's own name.
        trees: what is held hashes to.
        eraser: puts back what came, unless it must go.
        link: how a peer is reached; raises ``PeerError`` for one that is none.
        after_commit: sees to it that what is durable comes into use.
        feed: gives the engine an event.
    """

    def __init__(
        self,
        member: str,
        trees: TreeStore,
        eraser: Eraser,
        link: Callable[[str], PeerCalls],
        after_commit: AfterCommit,
        feed: Callable[[events.Event | None], None],
    ) -> None:
        self._trees, self._eraser, self._link, self._feed = trees, eraser, link, feed
        self._member, self._after_commit = member, after_commit

    def carry(self) -> Mapping[type, Callable[[Any], Coroutine[Any, Any, None]]]:
        """Which command is carried out how."""
        return {events.FetchOpenings: self._fetch, events.Reopen: self._reopen}

    async def _fetch(self, command: events.FetchOpenings) -> None:
        log, branch, end = command.log, command.branch, command.end
        try:
            if command.peer == self._member:
                here = await self._eraser.opened_here(log, command.start, end, branch=branch)
                message = StatementRange(command.start, tuple(here), ())
                self._feed(events.OpeningsReceived(self._member, log, message, branch))
                return
            # Whoever has another history refuses by it, and is not blamed for what he has.
            root = await self._trees.root_hash(log, end, branch=branch)
            raw = await self._link(command.peer).statements(
                log.sha256, command.start, end, end, lane=log.lane, root=root
            )
            message = decode_range(raw)
        except FederationError as error:
            self._feed(failure_of(command, error))
            return
        self._feed(events.OpeningsReceived(command.peer, log, message, branch))

    async def _reopen(self, command: events.Reopen) -> None:
        log, branch = command.log, command.branch
        try:
            kept = await self._eraser.reopen(log, command.statements, branch=branch)
        except FederationError as error:
            log_lines.error("cannot put back what was missing of %s: %s", log, error)
        else:
            await self._after_commit.through(log, lambda: self._eraser.reopened(log, kept))
        try:
            await self._eraser.settle(log)
        except FederationError as error:
            log_lines.error("cannot say what is missing of %s: %s", log, error)
            self._feed(failure_of(command, error))
