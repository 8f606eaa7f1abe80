"""(14) Nothing grows without end: what is under way and what is remembered, held to named limits.

What is under way is counted by the hands, at every order. What an engine remembers is looked at
where a node is looked at anyway; that is the one place where a check looks into an engine, since
nobody else could see it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator
from math import ceil
from typing import TYPE_CHECKING, Final

from federation.gossip.branches import BRANCHES_MAX
from federation.gossip.cases import HEADS_WAITING_MAX
from federation.gossip.joining import JOINS_MAX, PIECES_PER_PEER_MAX, TREE_SOURCES_MAX
from federation.gossip.reopening import ASKED_MAX
from federation.gossip.slots import FETCHES_MAX, STALL_SECONDS, STALLED_MAX
from federation.gossip.window import WINDOW_BYTES_MAX, WINDOW_BYTES_MIN
from federation.protocol.origins import Lane
from tests.simulation.promises import BOUNDED, Broken

if TYPE_CHECKING:
    from tests.simulation.world import Node

TIMEOUT_SECONDS: Final = 5.0
"""After this long without an answer a request has failed, as in the node's own client."""

RANGES_MAX: Final = {
    lane: FETCHES_MAX[lane] * (1 + ceil(TIMEOUT_SECONDS / STALL_SECONDS[lane])) + STALLED_MAX
    for lane in Lane
}
"""One that stalled is given up for another peer, and under way still until the client gives up."""

HASHES_UNDER_WAY_MAX: Final = 2 * TREE_SOURCES_MAX * JOINS_MAX
"""A join that was given up and begun again asks anew before the first answer is there."""

OPENINGS_MAX: Final = ASKED_MAX
PIECES_UNDER_WAY_MAX: Final = PIECES_PER_PEER_MAX
ALONE: Final = 1


class UnderWay:
    """What one process has asked for and not been answered, under one roster.

    Args:
        before: under the one before. Who was let go and is back is met anew, and what he was asked
            before may be answered in the middle of what he is asked now.
    """

    def __init__(self, before: UnderWay | None = None) -> None:
        self._counts: Counter[Hashable] = Counter()
        self._spare: Counter[Hashable] = Counter()
        if before is not None:
            self._spare = before._counts + before._spare

    def begin(self, what: Hashable, most: int) -> None:
        """One more.

        Raises:
            Broken: more than may be.
        """
        count = self._counts[what] = self._counts.get(what, 0) + 1
        if count > most and count > most + self._spare[what]:
            raise Broken(BOUNDED, f"{count} times {what} under way, not {most}")

    def end(self, what: Hashable) -> None:
        """One less."""
        self._counts[what] -= 1


def broken_bounds(node: Node) -> Iterator[Broken]:
    """What an engine remembers beyond its limits."""
    engine = node.engine
    window = engine._reconciliation.window.bytes_max
    if not WINDOW_BYTES_MIN <= window <= WINDOW_BYTES_MAX:
        yield Broken(BOUNDED, f"a window of {window} bytes at {node.member}")
    for log, case in engine.forks.cases.cases.items():
        if len(case.waiting) > HEADS_WAITING_MAX:
            yield Broken(BOUNDED, f"{len(case.waiting)} heads of {log} wait at {node.member}")
    for log, branches in node.disk.branches.items():
        if len(branches) >= BRANCHES_MAX:  # the first one is kept elsewhere
            yield Broken(BOUNDED, f"{len(branches)} branches of {log} at {node.member}")
    members, logs = len(node.world.nodes), len(engine.logs)
    for peer in engine.peers.values():
        if max(len(peer.due), len(peer.owed), len(peer.holds)) > logs:
            yield Broken(BOUNDED, f"{node.member} remembers more of {peer.member} than there is")
    if len(engine.peers) >= members:
        yield Broken(BOUNDED, f"{node.member} has more peers than there are members")
