"""The gossip engine: ``handle(event, now, rng) -> [command]``, and nothing else.

It decides what to tell whom, what to fetch from whom and what may be written; it reads no clock,
opens no socket and touches no disk. Effects are gated on durability: a head is announced, a receipt
is shown and a request is answered only after the ``Persisted`` or ``Published`` that made it so.

The parts: ``peers`` (how each one is doing), ``hearing`` (judging what they say), ``dissemination``
(telling), ``reconciliation`` (getting), ``anti_entropy`` (making sure), ``answers`` (requests that
wait for the disk). Source: PROTOCOL section 8; docs/internals/gossip.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from federation.errors import ProtocolError, VerificationError
from federation.gossip import events
from federation.gossip.answers import ANSWER_SECONDS_MAX, Answers, Ask
from federation.gossip.anti_entropy import AntiEntropy
from federation.gossip.dice import Dice
from federation.gossip.dissemination import Dissemination
from federation.gossip.events import Command, Event
from federation.gossip.hearing import Hearing
from federation.gossip.peers import PeerView
from federation.gossip.reconciliation import (
    RETRY_SECONDS,
    SET_ASIDE_SECONDS,
    LogSync,
    Reconciliation,
    head_vector,
)
from federation.gossip.reopening import Reopening
from federation.local_errors import Fork
from federation.protocol.messages import (
    AnnouncedHead,
    AnnouncementAnswer,
    ComparisonAnswer,
    HeldLog,
)
from federation.protocol.origins import LogId
from federation.protocol.roster import Roster
from federation.protocol.roster_roles import reads_bodies
from federation.provenance.log_view import LogView
from federation.provenance.verifier import Receipt, Verifier

WAKE_SECONDS_MIN: Final = 0.005
"""Shortest wait ordered: a deadline that cannot be met yet must not spin the shell."""


@dataclass(frozen=True, slots=True)
class GossipSettings:
    """What an operator may choose.

    Attributes:
        anti_entropy_seconds: how often head vectors are compared with one random peer.
    """

    anti_entropy_seconds: float = 30.0


class GossipEngine:
    """One node's part in the spreading.

    Args:
        member: this node's own name.
        verifier: the judge; its roster says who the peers are.
        settings: what the operator chose.
    """

    def __init__(self, member: str, verifier: Verifier, settings: GossipSettings) -> None:
        self.member = member
        self.settings = settings
        self.peers: dict[str, PeerView] = {}
        self._reconciliation = Reconciliation(verifier)
        self._hearing = Hearing(member, self._reconciliation, lambda: self.peers)
        self._dissemination = Dissemination()
        self._receipts: dict[LogId, Receipt] = {}
        self._reopening = Reopening(lambda: self.peers, self._hearing.blame)
        self._answers = Answers()
        self._anti_entropy = AntiEntropy(settings.anti_entropy_seconds)
        self._roster_asked: int | None = None
        self._handlers: dict[type, Callable[..., list[Command]]] = {
            events.Started: self._started,
            events.Woke: lambda _event, _now, _rng: [],
            events.RosterChanged: self._roster_changed,
            events.Published: self._published,
            events.Persisted: self._persisted,
            events.PersistFailed: self._persist_failed,
            events.AnnouncementReceived: self._announcement_received,
            events.AnnouncementAnswered: self._announcement_answered,
            events.AnnouncementFailed: self._announcement_failed,
            events.ComparisonReceived: self._comparison_received,
            events.ComparisonAnswered: self._comparison_answered,
            events.ComparisonFailed: self._comparison_failed,
            events.RangeReceived: self._range_received,
            events.RangeFailed: self._range_failed,
            events.OpeningsReceived: self._reopening.received,
            events.OpeningsFailed: self._reopening.failed,
            events.GapsKnown: self._gaps_known,
            events.Erased: self._erased,
            events.RosterFetchEnded: self._roster_fetch_ended,
        }

    @property
    def logs(self) -> dict[LogId, LogSync]:
        """Every log held or heard of; to look at, not to change."""
        return self._reconciliation.logs

    def handle(self, event: Event, now: float, rng: Dice) -> list[Command]:
        """Take one event in and give the orders that follow from it.

        Args:
            event: what happened.
            now: seconds on a clock that never goes back.
            rng: the only source of chance.

        Returns:
            Commands, to be carried out in this order.
        """
        commands = self._handlers[type(event)](event, now, rng)
        commands += [self._answer(ask) for ask in self._answers.overdue(now)]
        views, version = self._views(), self._roster.version
        commands += self._anti_entropy.pump(self.peers, views, version, now, rng)
        peers = self.peers.values()
        commands += self._dissemination.pump(peers, views, self._receipts, version, now)
        commands += self._reconciliation.pump(
            now, rng, lambda peer: peer in self.peers and self.peers[peer].is_open(now)
        )
        commands += self._reopening.pump(now, rng)
        commands += self._fetch_roster_due(now)
        commands.append(events.WakeAt(self._next_wake(now)))
        return commands

    # --- own state ------------------------------------------------------------------------------

    def _started(self, event: events.Started, now: float, rng: Dice) -> list[Command]:
        for view in event.views:
            self._reconciliation.sync_of(view.log).view = view
        for receipt in event.receipts:
            self._receipts[receipt.head.log] = receipt
        self._meet_peers(now)
        for view in event.views:
            if view.log in self._receipts:
                self._show_receipt(view, now)  # whether it was shown before the crash, who knows
        for gaps in event.gaps:
            self._reopening.note(gaps, now)
        self._anti_entropy.start(now, rng)
        return []

    def _roster_changed(self, event: events.RosterChanged, now: float, _rng: Dice) -> list[Command]:
        self._reconciliation.verifier = event.verifier
        self._hearing.note_roster()
        self._meet_peers(now)
        for peer in self.peers.values():
            peer.compare_due = now  # a comparison says which version is in force here
        return []

    def _meet_peers(self, now: float) -> None:
        """Peers are the other reachable members that may read; new ones are compared with."""
        reachable = {
            member.name
            for member in self._roster.members.values()
            if member.name != self.member and member.urls and reads_bodies(member)
        }
        self.peers = {name: view for name, view in self.peers.items() if name in reachable}
        for name in sorted(reachable - self.peers.keys()):
            self.peers[name] = PeerView(name, compare_due=now)

    def _published(self, event: events.Published, now: float, _rng: Dice) -> list[Command]:
        log = event.step.view.log
        self._reconciliation.note_persisted(event.step.view)
        self._dissemination.remember(log, (each.statement for each in event.step.statements))
        self._dissemination.spread_own(log, self.peers.values(), now)
        return []

    def _persisted(self, event: events.Persisted, now: float, rng: Dice) -> list[Command]:
        view = event.step.view
        self._reconciliation.note_persisted(view)
        if event.receipt is not None:
            self._receipts[view.log] = event.receipt
        self._dissemination.remember(view.log, (each.statement for each in event.step.statements))
        if view.is_complete:
            self._dissemination.pass_on(view, self.peers.values(), now, rng)
            answered = self._answers.askers_of(view.log)
            if event.receipt is not None and view.log.member not in answered:
                self._show_receipt(view, now)
        return [self._answer(ask) for ask in self._answers.settle(view.log)]

    def _show_receipt(self, view: LogView, now: float) -> None:
        issuer = self.peers.get(view.log.member)
        if issuer is not None:
            self._dissemination.owe(view, issuer, now)

    def _persist_failed(self, event: events.PersistFailed, now: float, _rng: Dice) -> list[Command]:
        self._reconciliation.note_not_persisted(event.log, now)
        return [self._answer(ask) for ask in self._answers.settle(event.log)]

    # --- announcements --------------------------------------------------------------------------

    def _announcement_received(
        self, event: events.AnnouncementReceived, now: float, _rng: Dice
    ) -> list[Command]:
        peer = self.peers.get(event.peer)
        if peer is not None:
            peer.note_heard(now)
            peer.roster_version = event.message.roster_version
        commands: list[Command] = []
        logs: list[LogId] = []
        waiting: set[LogId] = set()
        for announced in event.message.heads:
            heard, log = self._hearing.head(event.peer, announced)
            commands += heard
            if log is not None:
                logs.append(log)
                if self._reconciliation.sync_of(log).writing:
                    waiting.add(log)
        ask = Ask(event.ask, event.peer, tuple(logs), waiting, now + ANSWER_SECONDS_MAX)
        if not self._answers.hold(ask):
            commands.append(self._answer(ask))
        return commands

    def _announcement_answered(
        self, event: events.AnnouncementAnswered, now: float, _rng: Dice
    ) -> list[Command]:
        peer = self.peers.get(event.peer)
        if peer is None:
            return []
        announced = peer.in_flight.pop(event.lane, {})
        if peer.note_answered(now):
            peer.compare_due = now
        peer.roster_version = event.message.roster_version
        by_sha256 = {log.sha256: log for log in announced}
        commands: list[Command] = []
        for held in event.message.held:
            log = by_sha256.get(held.log_sha256)
            if log is None:
                continue
            peer.holds[log] = held.size
            if peer.owed.get(log, 0) <= announced[log]:
                peer.owed.pop(log, None)
            commands += self._hearing.answer(peer, log, held, now)
            if self._reconciliation.sync_of(log).view.size > max(held.size, announced[log]):
                peer.due.setdefault(log, now)
        return commands

    def _announcement_failed(
        self, event: events.AnnouncementFailed, now: float, rng: Dice
    ) -> list[Command]:
        peer = self.peers.get(event.peer)
        if peer is not None:
            for log in peer.in_flight.pop(event.lane, {}):
                peer.due.setdefault(log, now)
            peer.note_failed(now, rng, event.reason, event.retry_after_seconds)
        return []

    def _answer(self, ask: Ask) -> Command:
        held = []
        for log in ask.logs:
            view = self._reconciliation.sync_of(log).view
            held.append(HeldLog(log.sha256, view.size, self._receipt_line(view)))
        answer = AnnouncementAnswer(tuple(held), self._roster.version)
        return events.AnswerAnnouncement(ask.number, answer)

    def _receipt_line(self, view: LogView) -> str | None:
        receipt = self._receipts.get(view.log)
        return receipt.line if receipt is not None and receipt.head == view.head else None

    # --- comparisons ----------------------------------------------------------------------------

    def _comparison_received(
        self, event: events.ComparisonReceived, now: float, _rng: Dice
    ) -> list[Command]:
        peer = self.peers.get(event.peer)
        if peer is not None:
            peer.note_heard(now)
            peer.roster_version = event.message.roster_version
        views = self._views()
        heads: tuple[AnnouncedHead, ...] | None = None
        if event.message.vector != head_vector(views):
            heads = tuple(
                AnnouncedHead(view.head.note, (), self._receipt_line(view))
                for view in views.values()
                if view.head is not None and view.is_complete
            )
        answer = ComparisonAnswer(heads, self._roster.version)
        return [events.AnswerComparison(event.ask, answer)]

    def _comparison_answered(
        self, event: events.ComparisonAnswered, now: float, _rng: Dice
    ) -> list[Command]:
        peer = self.peers.get(event.peer)
        if peer is None:
            return []
        peer.comparing = False
        peer.note_answered(now)
        peer.roster_version = event.message.roster_version
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
        for view in self._views().values():
            if view.log not in heard:
                peer.holds[view.log] = 0
            if view.is_complete and peer.holds.get(view.log, 0) < view.size:
                peer.due.setdefault(view.log, now)
        return commands

    def _ask_receipts(self, peer: PeerView, now: float) -> None:
        """In step with a peer: announce again what its receipt was lost for, to get it."""
        if not self._roster.member(peer.member).mirror_keys:
            return
        for view in self._views().values():
            if view.log.member == self.member and peer.receipted.get(view.log, 0) < view.size:
                peer.holds.pop(view.log, None)
                peer.due.setdefault(view.log, now)

    def _comparison_failed(
        self, event: events.ComparisonFailed, now: float, rng: Dice
    ) -> list[Command]:
        peer = self.peers.get(event.peer)
        if peer is not None:
            peer.comparing = False
            peer.compare_due = now
            peer.note_failed(now, rng, event.reason, event.retry_after_seconds)
        return []

    # --- erased and missing ---------------------------------------------------------------------

    def missing_count(self) -> int:
        """How many statements are here without a body and without an erase that says why."""
        return self._reopening.missing_count()

    def _gaps_known(self, event: events.GapsKnown, now: float, _rng: Dice) -> list[Command]:
        self._reopening.note(event, now)
        view = self._reconciliation.sync_of(event.log).view
        if event.receipt is not None and event.receipt.head == view.head:
            self._receipts[event.log] = event.receipt
            self._show_receipt(view, now)
        return []

    def _erased(self, event: events.Erased, _now: float, _rng: Dice) -> list[Command]:
        self._dissemination.forget(event.ids)
        return []

    # --- ranges and rosters ---------------------------------------------------------------------

    def _range_received(self, event: events.RangeReceived, now: float, _rng: Dice) -> list[Command]:
        peer = self.peers.get(event.peer)
        if peer is not None:
            peer.note_answered(now)
        try:
            persist = self._reconciliation.receive(event.peer, event.log, event.message)
        except Fork as fork:
            return self._hearing.fork(event.log, fork)
        except (ProtocolError, VerificationError) as error:
            self._reconciliation.note_failed(event.peer, event.log, now + SET_ASIDE_SECONDS)
            self._hearing.blame(event.peer, error)
            return []
        return [persist] if persist is not None else []

    def _range_failed(self, event: events.RangeFailed, now: float, rng: Dice) -> list[Command]:
        self._reconciliation.note_failed(event.peer, event.log, now + RETRY_SECONDS)
        peer = self.peers.get(event.peer)
        if peer is not None:
            peer.note_failed(now, rng, event.reason, event.retry_after_seconds)
        return []

    def _fetch_roster_due(self, now: float) -> list[Command]:
        version = self._roster.version
        if self._roster_asked is not None:
            return []
        for peer in self.peers.values():
            if peer.roster_version > version and peer.is_open(now):
                self._roster_asked = version + 1
                return [events.FetchRoster(peer.member, version + 1)]
        return []

    def _roster_fetch_ended(
        self, event: events.RosterFetchEnded, _now: float, _rng: Dice
    ) -> list[Command]:
        asked, self._roster_asked = self._roster_asked, None
        peer = self.peers.get(event.peer)
        if peer is not None and asked is not None and self._roster.version < asked:
            # It promised more than it gave: believe it again when it says so again.
            peer.roster_version = self._roster.version
        return []

    # --- shared ---------------------------------------------------------------------------------

    @property
    def _roster(self) -> Roster:
        return self._reconciliation.verifier.roster

    def _views(self) -> dict[LogId, LogView]:
        return {log: sync.view for log, sync in self._reconciliation.logs.items()}

    def _next_wake(self, now: float) -> float:
        times = [peer.next_wake() for peer in self.peers.values()]
        times += [self._answers.next_wake(), self._reconciliation.next_wake(now)]
        times.append(self._reopening.next_wake(now))
        soonest = min((at for at in times if at is not None), default=self._anti_entropy.at)
        return max(min(soonest, self._anti_entropy.at), now + WAKE_SECONDS_MIN)
