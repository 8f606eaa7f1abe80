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
from federation.gossip.engine import GossipEngine
from federation.net.asking import PeerCalls
from federation.protocol.messages import decode_range
from federation.protocol.origins import LogId
from federation.provenance.verifier import Head

log_lines = logging.getLogger(__name__)


class Openings:
    """Carries out ``FetchOpenings`` and ``Reopen``.

    Args:
        engine: knows which heads are held.
        eraser: puts back what came, unless it must go.
        link: how a peer is reached; raises ``PeerError`` for one that is none.
        after_commit: sees to it that what is durable comes into use.
        feed: gives the engine an event.
    """

    def __init__(
        self,
        engine: GossipEngine,
        eraser: Eraser,
        *,
        link: Callable[[str], PeerCalls],
        after_commit: AfterCommit,
        feed: Callable[[events.Event | None], None],
    ) -> None:
        self._engine, self._eraser, self._link, self._feed = engine, eraser, link, feed
        self._after_commit = after_commit

    def carry(self) -> Mapping[type, Callable[[Any], Coroutine[Any, Any, None]]]:
        """Which command is carried out how."""
        return {events.FetchOpenings: self._fetch, events.Reopen: self._reopen}

    async def _fetch(self, command: events.FetchOpenings) -> None:
        log, branch = command.log, command.branch
        head = self._head_of(log, branch)
        root = head.root_hash if head is not None and self._engine.forks.is_accused(log) else None
        at = command.end if root is None or head is None else head.size
        try:
            raw = await self._link(command.peer).statements(
                log.sha256, command.start, command.end, at, root=root
            )
            message = decode_range(raw)
        except FederationError as error:
            self._feed(failure_of(command, error))
            return
        self._feed(events.OpeningsReceived(command.peer, log, message, branch))

    def _head_of(self, log: LogId, branch: int) -> Head | None:
        view = self._engine.forks.cases.views(log).get(branch)
        return view.head if view is not None and view.is_complete else None

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
