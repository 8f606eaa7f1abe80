"""What the engine orders of a log goes over the connections of the log's lane."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest

from federation.daemon.replicator import Replicator
from federation.daemon.turns import Turns
from federation.gossip import events, joining_events
from federation.local_errors.peers import PeerUnreachable
from federation.net.asking import PeerCall, PeerCalls
from federation.net.limits import Share
from federation.protocol.origins import Lane, LogId
from tests.builders import ACME, NOVA, make_roster

FEDERATION = make_roster().roster.federation_id


class Noting(PeerCalls):
    """Reaches nobody, and keeps what it was asked for."""

    def __init__(self) -> None:
        super().__init__(NOVA)
        self.calls: list[PeerCall] = []

    async def ask(self, call: PeerCall) -> bytes:
        self.calls.append(call)
        raise PeerUnreachable("nobody")

    async def close(self) -> None:
        """Nothing is held."""


def fetch_range(log: LogId) -> Any:
    return events.FetchRange(NOVA, log, 0, 1, 1)


def fetch_piece(log: LogId) -> Any:
    return joining_events.FetchPiece(NOVA, log, 0, 256)


def fetch_hashes(log: LogId) -> Any:
    return joining_events.FetchHashes(NOVA, log, 0, 1, 256)


@pytest.mark.parametrize(
    ("lane", "share"),
    [(Lane.CRISIS, Share.CRISIS), (Lane.LIVE, Share.URGENT), (Lane.BULK, Share.BULK)],
)
@pytest.mark.parametrize(
    ("carry", "order"),
    [
        (Replicator._fetch_range, fetch_range),
        (Replicator._fetch_piece, fetch_piece),
        (Replicator._fetch_hashes, fetch_hashes),
    ],
)
async def test_a_crisis_that_is_joined_does_not_queue_behind_bulk(
    carry: Callable[[Replicator, Any], Coroutine[Any, Any, None]],
    order: Callable[[LogId], Any],
    lane: Lane,
    share: Share,
) -> None:
    link, told = Noting(), list[events.Event | None]()
    hands = SimpleNamespace(link=lambda _: link, feed=told.append, _turns=Turns())
    await carry(cast("Replicator", hands), order(LogId(ACME, FEDERATION, lane)))
    assert [share] == [call.share for call in link.calls]
    assert 1 == len(told)
