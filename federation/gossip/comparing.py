"""Comparing head vectors with a peer, in both directions: what either lacks comes of it.

``anti_entropy`` says when; here is what is asked, answered and done about it.
"""

from __future__ import annotations

from collections.abc import Callable

from federation.gossip.branches import BRANCHES_MAX
from federation.gossip.circle import Circle
from federation.gossip.dice import Dice
from federation.gossip.events import (
    AnswerComparison,
    Command,
    ComparisonAnswered,
    ComparisonFailed,
    ComparisonReceived,
)
from federation.gossip.fork_telling import ForkTelling
from federation.gossip.forks import Forks
from federation.gossip.hearing import Hearing
from federation.gossip.peers import PeerView
from federation.gossip.reconciliation import Reconciliation
from federation.protocol.limits_messages import EVIDENCE_IN_MESSAGE_MAX
from federation.protocol.messages import AnnouncedHead, ComparisonAnswer
from federation.protocol.origins import LogId
from federation.provenance.log_view import LogView
from federation.provenance.verifier import Head


class Comparing:
    """The comparisons of one engine.

    Args:
        member: this node's own name.
        circle: its peers.
        reconciliation: what is held.
        hearing: judges what peers say.
        receipt_line: this node's receipt on a view's head, if it made one.
        forks: which logs are accused.
        fork_telling: who is still to be told of them.
    """

    def __init__(
        self,
        member: str,
        circle: Circle,
        reconciliation: Reconciliation,
        hearing: Hearing,
        receipt_line: Callable[[LogView], str | None],
        forks: Forks,
        fork_telling: ForkTelling,
    ) -> None:
        self._member, self._circle = member, circle
        self._reconciliation, self._hearing = reconciliation, hearing
        self._receipt_line = receipt_line
        self._forks, self._fork_telling = forks, fork_telling
        self._sized: tuple[bytes, dict[LogId, int]] = b"", {}

    def received(self, event: ComparisonReceived, now: float, rng: Dice) -> list[Command]:
        """A peer asks: every head held in full, unless the vectors are equal."""
        peer = self._circle.peers.get(event.peer)
        if peer is not None:
            peer.note_heard(now)
            self._circle.note_version(peer, event.message.roster_version)
        heads: tuple[AnnouncedHead, ...] | None = None
        evidence: tuple[bytes, ...] = ()
        if event.message.vector != self._reconciliation.vector():
            heads = tuple(map(self._announced, self._reconciliation.heads()))
            files = [each.encoded for each in self._forks.convictions.values()]
            evidence = tuple(rng.sample(files, min(len(files), EVIDENCE_IN_MESSAGE_MAX)))
        version = self._reconciliation.verifier.roster.version
        return [AnswerComparison(event.ask, ComparisonAnswer(heads, version, evidence))]

    def _announced(self, head: Head) -> AnnouncedHead:
        view = self._reconciliation.view_of(head.log)
        return AnnouncedHead(head.note, (), self._receipt_line(view) if view else None)

    def answered(self, event: ComparisonAnswered, now: float, rng: Dice) -> list[Command]:
        """A peer answered: its heads are heard, and it is told what it lacks."""
        peer = self._circle.peers.get(event.peer)
        if peer is None:
            return []
        peer.comparing = False
        self._circle.note_answered(peer, now, compares=True)
        self._circle.note_version(peer, event.message.roster_version)
        if event.message.heads is None:
            peer.holds |= self._sizes()
            self._ask_receipts(peer, now)
            self._fork_telling.in_step(peer.member)
            return []
        commands: list[Command] = []
        for each in event.message.evidence:
            commands += self._forks.evidence(event.peer, each)
        heard: set[LogId] = set()
        # In any order: after too many failures the rest is heard another time.
        count = min(len(event.message.heads), self._heads_max())
        heads = rng.sample(event.message.heads, count)
        for more, log in self._hearing.heads(event.peer, heads):
            commands += more
            if log is not None:
                heard.add(log)
        self._hear_forks(event, now)
        for view in self._reconciliation.views():
            if view.log not in heard:
                peer.holds[view.log] = 0
            if view.is_complete and peer.holds.get(view.log, 0) < view.size:
                peer.make_due(view.log, now)
        return commands

    def _heads_max(self) -> int:
        """So many heads there are at most: one of each log, and of each branch of the accused."""
        logs, accused = self._reconciliation.verifier.roster.logs, self._forks.convictions
        return len(logs) + BRANCHES_MAX * len(accused)

    def _hear_forks(self, event: ComparisonAnswered, now: float) -> None:
        """What the peer knows of accused logs, as its answer showed."""
        files, notes = set(event.message.evidence), set()
        for announced in event.message.heads or ():
            notes.add(announced.note)
        convictions = self._forks.convictions
        accused = [log for log, each in convictions.items() if each.encoded in files]
        heads = [
            head
            for log in accused
            for head in self._forks.cases.heads_of(log)
            if head.note in notes
        ]
        self._fork_telling.heard(event.peer, heads, accused, now)

    def failed(self, event: ComparisonFailed, now: float, rng: Dice) -> list[Command]:
        """It came to nothing: it is asked again when its breaker allows."""
        peer = self._circle.peers.get(event.peer)
        if peer is None:
            return []
        peer.comparing = False
        peer.compare_soon(now)
        return self._circle.note_failed(peer, now, rng, event.reason, event.retry_after_seconds)

    def _sizes(self) -> dict[LogId, int]:
        """How long every log is that is complete: gathered once for a vector, asked for often."""
        vector = self._reconciliation.vector()
        if vector != self._sized[0]:
            views = self._reconciliation.views()
            self._sized = vector, {view.log: view.size for view in views if view.is_complete}
        return self._sized[1]

    def _ask_receipts(self, peer: PeerView, now: float) -> None:
        """In step with a peer: announce again what its receipt was lost for, to get it."""
        if not self._reconciliation.verifier.roster.member(peer.member).mirror_keys:
            return
        for view in self._reconciliation.views():
            if view.log.member == self._member and peer.receipted.get(view.log, 0) < view.size:
                peer.holds.pop(view.log, None)
                peer.make_due(view.log, now)
