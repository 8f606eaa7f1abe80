"""When head vectors are compared, and with whom.

With every peer when it is first met and when it comes back, and with one at random every so often:
whatever pushing missed is found then. This is what makes convergence certain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from federation.gossip.dice import Dice
from federation.gossip.events import Command, Compare
from federation.gossip.peers import PeerView
from federation.gossip.reconciliation import head_vector
from federation.protocol.messages import Comparison
from federation.protocol.origins import LogId
from federation.provenance.log_view import LogView

JITTER: Final = 0.2
"""Rounds vary by 20 % either way, so that nodes started together do not stay in step."""


class AntiEntropy:
    """The schedule of comparisons.

    Args:
        interval_seconds: between two rounds.
    """

    def __init__(self, interval_seconds: float) -> None:
        self._interval_seconds = interval_seconds
        self.at = float("inf")

    def start(self, now: float, rng: Dice) -> None:
        """Begin the rounds."""
        self.at = now + self._wait(rng)

    def pump(
        self,
        peers: Mapping[str, PeerView],
        views: Mapping[LogId, LogView],
        roster_version: int,
        now: float,
        rng: Dice,
    ) -> list[Command]:
        """Compare with whoever it is time for."""
        if now >= self.at:
            self.at = now + self._wait(rng)
            if peers:
                chosen = peers[rng.choice(sorted(peers))]
                chosen.compare_due = now
                # Whatever its breaker says: after a long partition both sides wait for the other.
                chosen.note_probed(now)
        commands: list[Command] = []
        vector = b""
        for peer in peers.values():
            due = peer.compare_due is not None and peer.compare_due <= now
            if due and not peer.comparing and peer.is_open(now):
                peer.comparing, peer.compare_due = True, None
                vector = vector or head_vector(views)
                commands.append(Compare(peer.member, Comparison(vector, roster_version)))
        return commands

    def _wait(self, rng: Dice) -> float:
        return self._interval_seconds * rng.uniform(1 - JITTER, 1 + JITTER)
