"""Telling everybody what convicts whom, and both histories of every accused log.

One state per peer: which heads of which accused logs it is known to have. Whatever of ours is not
in it is due, in an announcement of its own on the crisis lane: evidence is as urgent as anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from federation.gossip.circle import Circle
from federation.gossip.events import Announce, Command
from federation.gossip.forks import Forks
from federation.gossip.peers import Peers
from federation.protocol.limits_messages import ANNOUNCE_BYTES_MAX, EVIDENCE_IN_MESSAGE_MAX
from federation.protocol.messages import AnnouncedHead, Announcement
from federation.protocol.origins import Lane, LogId
from federation.provenance.verifier import Head

TELL_SECONDS: Final = 1.0
"""Between two announcements to one peer: whoever forks his log all day long costs no more."""

MESSAGE_BYTES_ROUGHLY: Final = ANNOUNCE_BYTES_MAX // 2
"""Evidence and heads are packed up to here; what is left over rides in the next one."""


class ForkTelling:
    """What each peer is still to be told of accused logs.

    Args:
        forks: which logs, and their heads.

    Attributes:
        due: who is to be told, and when.
    """

    def __init__(self, forks: Forks) -> None:
        self._forks = forks
        self._known: dict[str, dict[LogId, frozenset[Head]]] = {}
        self._in_flight: dict[str, dict[LogId, frozenset[Head]]] = {}
        self.due: dict[str, float] = {}

    def heard(self, name: str, heads: Iterable[Head], accused: Iterable[LogId], now: float) -> None:
        """A peer told all its heads and evidence: what it lacks is due."""
        known: dict[LogId, frozenset[Head]] = {log: frozenset() for log in accused}
        for head in heads:
            if head.log in known:
                known[head.log] |= {head}
        self._known[name] = known
        self._make_due(name, now)

    def in_step(self, name: str) -> None:
        """A peer's vector is this node's: it knows all there is."""
        self._known[name] = self._state()
        self.due.pop(name, None)

    def answered(self, name: str) -> None:
        """An announcement on the crisis lane was taken."""
        for log, heads in self._in_flight.pop(name, {}).items():
            known = self._known.setdefault(name, {})
            known[log] = known.get(log, frozenset()) | heads

    def failed(self, name: str) -> None:
        """It came to nothing: what it told is due still."""
        self._in_flight.pop(name, None)

    def pump(self, peers: Peers, circle: Circle, version: int, now: float) -> list[Command]:
        """Announce to those who lack something.

        Args:
            peers: everybody.
            circle: whom news is told of; the others are told by theirs, or hear it comparing.
            version: the roster in force here.
            now: the engine's clock.
        """
        if self._forks.cases.has_news:
            self._forks.cases.has_news = False
            for told_of_it in circle.audience():
                self._make_due(told_of_it.member, now)
        commands: list[Command] = []
        for name in [name for name, at in self.due.items() if at <= now]:
            peer = peers.get(name)
            if peer is None:
                del self.due[name]
                continue
            if not peer.is_open(now) or Lane.CRISIS in peer.in_flight:
                continue
            message, told = self._message(peer.member, version)
            if not told:
                del self.due[peer.member]
                continue
            self.due[peer.member] = now + TELL_SECONDS
            self._in_flight[peer.member] = told
            peer.in_flight[Lane.CRISIS] = {}
            commands.append(Announce(peer.member, Lane.CRISIS, message))
        return commands

    def next_wake(self, peers: Peers, now: float) -> float | None:
        """When somebody is due who is not being told just now."""
        times = [
            max(at, peer.retry_at, peer.left_alone_until)
            for name, at in self.due.items()
            if (peer := peers.get(name)) is not None and Lane.CRISIS not in peer.in_flight
        ]
        return min((at for at in times if at > now), default=None)

    def _make_due(self, name: str, now: float) -> None:
        self.due[name] = max(now, self.due.get(name, now))

    def _message(
        self, name: str, version: int
    ) -> tuple[Announcement, dict[LogId, frozenset[Head]]]:
        known = self._known.get(name, {})
        evidence: list[bytes] = []
        heads: list[AnnouncedHead] = []
        told: dict[LogId, frozenset[Head]] = {}
        room = MESSAGE_BYTES_ROUGHLY
        for log, conviction in self._forks.convictions.items():
            lacking = [
                each for each in self._forks.cases.heads_of(log) if each not in known.get(log, ())
            ]
            if log in known and not lacking:
                continue
            size = len(conviction.encoded) + sum(len(each.note) for each in lacking)
            if told and (size > room or len(evidence) == EVIDENCE_IN_MESSAGE_MAX):
                break
            room -= size
            evidence.append(conviction.encoded)
            heads += [AnnouncedHead(each.note) for each in lacking]
            told[log] = frozenset(lacking)
        return Announcement(tuple(heads), version, tuple(evidence)), told

    def _state(self) -> dict[LogId, frozenset[Head]]:
        return {log: frozenset(self._forks.cases.heads_of(log)) for log in self._forks.convictions}
