"""When a node that was away has heard what it missed.

Before it serves anybody, a node asks every peer that it can reach what it has, and takes the lanes
that erases travel in: what was erased while it was away, or after its backup was made, is gone
before anybody can ask for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from federation.gossip.peers import PeerView
from federation.gossip.reconciliation import LogSync
from federation.protocol.origins import Lane


def is_caught_up(
    peers: Iterable[PeerView],
    logs: Iterable[LogSync],
    lanes: Collection[Lane],
    roster_version: int,
    now: float,
) -> bool:
    """Whether every peer was compared with, or could not be, and gave what it has.

    Who cannot be reached is not waited for, nor who asks for patience: he could go on asking.

    Args:
        peers: all of them.
        logs: all that are held or heard of.
        lanes: of which logs; the others may lag.
        roster_version: the one in force here.
        now: the engine's clock, seconds.
    """
    for peer in peers:
        is_to_answer = not peer.failures and now >= peer.left_alone_until
        if peer.comparing or (peer.compare_due is not None and is_to_answer):
            return False
        if peer.roster_version > roster_version and peer.is_open(now):
            return False
    return not any(each.is_behind(now) for each in logs if each.view.log.lane in lanes)
