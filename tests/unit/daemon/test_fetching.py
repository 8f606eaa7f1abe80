"""What the engine orders of a log goes over the connections of the log's lane."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from federation.daemon.brancher import Brancher
from federation.daemon.openings import Openings
from federation.daemon.replicator import Replicator
from federation.daemon.turns import Turns
from federation.gossip import events, fork_events, joining_events
from federation.local_errors.peers import PeerUnreachable
from federation.net.asking import PeerCall, PeerCalls
from federation.net.limits import Share
from federation.protocol.origins import Lane, LogId
from tests.builders import ACME, NOVA, make_log, make_roster

FOUNDED = make_roster()
FEDERATION = FOUNDED.roster.federation_id


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


def fetch_openings(log: LogId) -> Any:
    return events.FetchOpenings(NOVA, log, 0, 1)


def fetch_branch(log: LogId) -> Any:
    head = make_log(1, founded=FOUNDED, lane=log.lane).head()
    return fork_events.FetchBranch(NOVA, head, 0, 1)


async def root_hash(_log: LogId, _size: int, *, branch: int) -> bytes:
    return bytes(32 + branch)


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
        (Openings._fetch, fetch_openings),
        (Brancher._fetch_branch, fetch_branch),
    ],
)
async def test_a_crisis_does_not_queue_behind_bulk(
    carry: Callable[[Any, Any], Coroutine[Any, Any, None]],
    order: Callable[[LogId], Any],
    lane: Lane,
    share: Share,
) -> None:
    link, told = Noting(), list[events.Event | None]()
    hands = SimpleNamespace(link=lambda _: link, feed=told.append, _turns=Turns())
    hands._link, hands._feed, hands._trees = hands.link, hands.feed, hands
    hands.root_hash, hands._member = root_hash, ACME
    await carry(hands, order(LogId(ACME, FEDERATION, lane)))
    assert [share] == [call.share for call in link.calls]
    assert 1 == len(told)
