"""Fetching a roster version that a peer knows and this node does not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from federation.daemon.membership import Membership
from federation.errors import FederationError, ProtocolError, RosterUnproven, VerificationError
from federation.gossip import events
from federation.gossip.engine import GossipEngine
from federation.net.asking import PeerCalls

log_lines = logging.getLogger(__name__)

REFUSALS_TOLD_MAX: Final = 64
"""Peers and reasons for which a roster was refused, each told once."""


class RosterFetch:
    """Carries out ``FetchRoster``.

    Args:
        engine: knows which version each peer has.
        membership: judges and adopts.
        link: how a peer is reached; raises ``PeerError`` for one that is none.
        unix_seconds: the clock, POSIX seconds.
        alarm: tells operators: code and sentence.
        feed: gives the engine an event.
    """

    def __init__(
        self,
        engine: GossipEngine,
        membership: Membership,
        *,
        link: Callable[[str], PeerCalls],
        unix_seconds: Callable[[], int],
        alarm: Callable[[str, str], None],
        feed: Callable[[events.Event], None],
    ) -> None:
        self._engine, self._membership, self._link = engine, membership, link
        self._unix_seconds, self._alarm, self._feed = unix_seconds, alarm, feed
        self._refused: set[tuple[str, str]] = set()

    async def fetch(self, command: events.FetchRoster) -> None:
        """Fetch one version and adopt it; whatever comes of it, the engine hears that it ended."""
        is_refuted = False
        try:
            root = await self._link(command.peer).roster(command.version)
            if not (is_refuted := root is None):
                peer = self._engine.peers.get(command.peer)
                is_newest = peer is None or peer.roster_version <= command.version
                now_ms = self._unix_seconds() * 1_000
                await self._membership.adopt(root, now_ms=now_ms, is_newest=is_newest)
        except (ProtocolError, VerificationError) as error:
            is_refuted = isinstance(error, ProtocolError | RosterUnproven)
            self._refuse(command, error)
        except FederationError as error:
            log_lines.warning("roster version %d from %s: %s", command.version, command.peer, error)
        self._feed(events.RosterFetchEnded(command.peer, is_refuted))

    def _refuse(self, command: events.FetchRoster, error: FederationError) -> None:
        """Nothing was applied; operators are told once of each peer and reason."""
        attempt = (command.peer, error.code)
        if attempt not in self._refused and len(self._refused) < REFUSALS_TOLD_MAX:
            self._refused.add(attempt)
            text = f"{command.peer} offers version {command.version} of the roster: {error.message}"
            self._alarm(error.code, text)
