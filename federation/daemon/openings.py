"""Salts and bodies that are missing here: asked for at peers, and put back."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from federation.daemon.eraser import Eraser
from federation.daemon.failures import failure_of
from federation.errors import FederationError
from federation.gossip import events
from federation.gossip.engine import GossipEngine
from federation.net.asking import PeerCalls
from federation.protocol.messages import decode_range
from federation.protocol.origins import LogId
from federation.provenance.verifier import Head


class Openings:
    """Carries out ``FetchOpenings`` and ``Reopen``.

    Args:
        engine: knows which heads are held.
        eraser: puts back what came, unless it must go.
        link: how a peer is reached; raises ``PeerError`` for one that is none.
        feed: gives the engine an event.
    """

    def __init__(
        self,
        engine: GossipEngine,
        eraser: Eraser,
        *,
        link: Callable[[str], PeerCalls],
        feed: Callable[[events.Event | None], None],
    ) -> None:
        self._engine, self._eraser, self._link, self._feed = engine, eraser, link, feed

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
        await self._eraser.reopen(command.log, command.statements, branch=command.branch)
