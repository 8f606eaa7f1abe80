"""When head vectors are compared, and with whom.

With every neighbour when it is first met, with whoever comes back, and with one of all members at
random every so often: whatever pushing missed is found then. This is what makes convergence
certain, and it reaches beyond the neighbours, so that no ring of them can be shut in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from federation.gossip.dice import Dice
from federation.gossip.events import Command, Compare
from federation.gossip.peers import PeerView
from federation.protocol.messages import Comparison

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

    def turn(self, names: Sequence[str], now: float, rng: Dice) -> str | None:
        """Whose turn it is, where a round is due; None otherwise.

        Args:
            names: everybody who can be reached, in order.
            now: the engine's clock.
            rng: chooses.
        """
        if now < self.at:
            return None
        self.at = now + self._wait(rng)
        return rng.choice(names) if names else None

    def pump(
        self,
        peers: Iterable[PeerView],
        vector: Callable[[], bytes],
        roster_version: int,
        now: float,
    ) -> list[Command]:
        """Compare with those of these peers for whom it is time."""
        commands: list[Command] = []
        for peer in peers:
            if peer.compare_due is None or peer.comparing or peer.compare_due > now:
                continue
            if peer.is_open(now):
                peer.comparing, peer.compare_due, peer.compared_at = True, None, now
                commands.append(Compare(peer.member, Comparison(vector(), roster_version)))
        return commands

    def _wait(self, rng: Dice) -> float:
        return self._interval_seconds * rng.uniform(1 - JITTER, 1 + JITTER)
