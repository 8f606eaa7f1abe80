"""Comparing head vectors with a peer, in both directions: what either lacks comes of it.

``anti_entropy`` says when; here is what is asked, answered and done about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from federation.gossip.circle import Circle
from federation.gossip.dice import Dice
from federation.gossip.events import (
    AnswerComparison,
    Command,
    ComparisonAnswered,
    ComparisonFailed,
    ComparisonReceived,
)
from federation.gossip.hearing import Hearing
from federation.gossip.peers import PeerView
from federation.gossip.reconciliation import Reconciliation
from federation.protocol.messages import AnnouncedHead, ComparisonAnswer
from federation.protocol.origins import LogId
from federation.provenance.log_view import LogView


class Comparing:
    """The comparisons of one engine.

    Args:
        member: this node's own name.
        circle: its peers.
        reconciliation: what is held.
        hearing: judges what peers say.
        receipt_line: this node's receipt on a view's head, if it made one.
    """

    def __init__(
        self,
        member: str,
        circle: Circle,
        reconciliation: Reconciliation,
        hearing: Hearing,
        receipt_line: Callable[[LogView], str | None],
    ) -> None:
        self._member, self._circle = member, circle
        self._reconciliation, self._hearing = reconciliation, hearing
        self._receipt_line = receipt_line

    def received(self, event: ComparisonReceived, now: float, _rng: Dice) -> list[Command]:
        """A peer asks: every head held in full, unless the vectors are equal."""
        peer = self._circle.peers.get(event.peer)
        if peer is not None:
            peer.note_heard(now)
            self._circle.note_version(peer, event.message.roster_version)
        heads: tuple[AnnouncedHead, ...] | None = None
        if event.message.vector != self._reconciliation.vector():
            heads = tuple(
                AnnouncedHead(view.head.note, (), self._receipt_line(view))
                for view in self._views()
                if view.head is not None and view.is_complete
            )
        version = self._reconciliation.verifier.roster.version
        return [AnswerComparison(event.ask, ComparisonAnswer(heads, version))]

    def answered(self, event: ComparisonAnswered, now: float, _rng: Dice) -> list[Command]:
        """A peer answered: its heads are heard, and it is told what it lacks."""
        peer = self._circle.peers.get(event.peer)
        if peer is None:
            return []
        peer.comparing = False
        self._circle.note_answered(peer, now, compares=True)
        self._circle.note_version(peer, event.message.roster_version)
        if event.message.heads is None:
            self._ask_receipts(peer, now)
            return []
        commands: list[Command] = []
        heard: set[LogId] = set()
        for announced in event.message.heads:
            more, log = self._hearing.head(event.peer, announced)
            commands += more
            if log is not None:
                heard.add(log)
        for view in self._views():
            if view.log not in heard:
                peer.holds[view.log] = 0
            if view.is_complete and peer.holds.get(view.log, 0) < view.size:
                peer.make_due(view.log, now)
        return commands

    def failed(self, event: ComparisonFailed, now: float, rng: Dice) -> list[Command]:
        """It came to nothing: it is asked again when its breaker allows."""
        peer = self._circle.peers.get(event.peer)
        if peer is None:
            return []
        peer.comparing = False
        peer.compare_soon(now)
        return self._circle.note_failed(peer, now, rng, event.reason, event.retry_after_seconds)

    def _ask_receipts(self, peer: PeerView, now: float) -> None:
        """In step with a peer: announce again what its receipt was lost for, to get it."""
        if not self._reconciliation.verifier.roster.member(peer.member).mirror_keys:
            return
        for view in self._views():
            if view.log.member == self._member and peer.receipted.get(view.log, 0) < view.size:
                peer.holds.pop(view.log, None)
                peer.make_due(view.log, now)

    def _views(self) -> Iterable[LogView]:
        return [sync.view for sync in self._reconciliation.logs.values()]
