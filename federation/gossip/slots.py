"""How many ranges are asked for at once: of a lane, and of one peer in it.

A peer that sends a byte a second holds its own slot for as long as the link lets it, and for a
moment one of the lane's; then the lane goes on without it.
"""

from __future__ import annotations

from typing import Final

from federation.protocol.origins import Lane

FETCHES_MAX: Final = {Lane.CRISIS: 16, Lane.LIVE: 8, Lane.BULK: 2}
"""Ranges under way per lane: an urgent lane never waits for a slot that a slower one holds, and
bulk holds at most two answers of 4 MiB in memory while they come as they should."""

FETCHES_PER_PEER_MAX: Final = {Lane.CRISIS: 4, Lane.LIVE: 4, Lane.BULK: 1}
"""Of these, from one peer: it cannot fill a lane alone, and has one connection here for what is
urgent, so that more of them would only wait for each other."""

STALLED_MAX: Final = 8
"""Ranges of a lane that are awaited for longer than :data:`STALL_SECONDS`, beside others: 32 MiB
in memory if all come in the end, and more members must drip together to hold up bulk."""

STALL_SECONDS: Final = {Lane.CRISIS: 1.0, Lane.LIVE: 3.0, Lane.BULK: 15.0}
"""So long one peer is waited for where others could be asked, or where others wait for its slot:
bulk takes its time on a thin line, and what is urgent does not wait for a byte a second."""


class Slots:
    """The ranges under way at one moment."""

    def __init__(self) -> None:
        self._moving: dict[Lane, int] = {}
        self._stalled: dict[Lane, int] = {}
        self._of_peer: dict[tuple[Lane, str], int] = {}

    def take(self, lane: Lane, peer: str, *, has_stalled: bool = False) -> None:
        """A range of that lane is asked of that peer, for longer than it should take or not."""
        of_lane, of_peer = self._stalled if has_stalled else self._moving, self._of_peer
        of_lane[lane] = of_lane.get(lane, 0) + 1
        of_peer[lane, peer] = of_peer.get((lane, peer), 0) + 1

    def is_full(self, lane: Lane) -> bool:
        """Whether no more of that lane may be asked for now."""
        held_up = max(0, self._stalled.get(lane, 0) - STALLED_MAX)
        return self._moving.get(lane, 0) + held_up >= FETCHES_MAX[lane]

    def may_ask(self, lane: Lane, peer: str) -> bool:
        """Whether that peer may be asked for one more of that lane."""
        return self._of_peer.get((lane, peer), 0) < FETCHES_PER_PEER_MAX[lane]
