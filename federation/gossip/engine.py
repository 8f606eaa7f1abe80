"""The gossip engine: ``handle(event, now, rng) -> [command]``, and nothing else.

It decides what to tell whom, what to fetch from whom and what may be written; it reads no clock,
opens no socket and touches no disk. Effects are gated on durability: a head is announced, a receipt
is shown and a request is answered only after the ``Persisted`` or ``Published`` that made it so.

The parts: ``peers`` (how each one is doing), ``circle`` (whom to tell and ask), ``hearing``
(judging what they say), ``dissemination`` (telling), ``waves`` (telling again), ``reconciliation``
(getting), ``anti_entropy`` (making sure), ``answers`` (requests that wait for the disk).

An event costs what it concerns: the peers it touched and those whose time has come (``agenda``),
never a look at every peer or every log. Source: docs/internals/gossip.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from federation.gossip import events, joining_events
from federation.gossip.agenda import Agenda, sooner
from federation.gossip.answers import ANSWER_SECONDS_MAX, Answers, Ask
from federation.gossip.anti_entropy import AntiEntropy
from federation.gossip.arrivals import Arrivals
from federation.gossip.circle import Circle
from federation.gossip.comparing import Comparing
from federation.gossip.dice import Dice
from federation.gossip.dissemination import Dissemination, newest_of
from federation.gossip.events import Command, Event
from federation.gossip.fork_telling import ForkTelling
from federation.gossip.forks import Forks
from federation.gossip.hearing import Hearing
from federation.gossip.joining import JOIN_STATEMENTS_MIN
from federation.gossip.reconciliation import LogSync, Reconciliation
from federation.gossip.reopening import Reopening
from federation.gossip.waves import Waves
from federation.protocol.messages import AnnouncementAnswer, HeldLog
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster import Roster
from federation.provenance.log_view import LogView
from federation.provenance.verifier import Receipt, Verifier

WAKE_SECONDS_MIN: Final = 0.005
"""Shortest wait ordered: a deadline that cannot be met yet must not spin the shell."""


@dataclass(frozen=True, slots=True)
class GossipSettings:
    """What an operator may choose.

    Attributes:
        anti_entropy_seconds: how often head vectors are compared with one random peer.
        join_statements_min: from how many lacking statements on the tree of a log is fetched first.
        full_view_members: up to so many members every node tells every other one. At 150 it holds
            300 idle connections, 300 kB each (asyncio's for TLS); beyond, neighbours tell the rest.
    """

    anti_entropy_seconds: float = 30.0
    full_view_members: int = 150
    join_statements_min: int = JOIN_STATEMENTS_MIN


class GossipEngine:
    """One node's part in the spreading.

    Args:
        member: this node's own name.
        verifier: the judge; its roster says who the peers are.
        settings: what the operator chose.

    Attributes:
        peers: the other members as this node sees them.
        forks: logs with two histories.
    """

    def __init__(self, member: str, verifier: Verifier, settings: GossipSettings) -> None:
        self.member = member
        self.settings = settings
        self._reconciliation = Reconciliation(verifier, settings.join_statements_min)
        self._circle = Circle(member, lambda: self._roster, settings.full_view_members)
        self.peers = self._circle.peers
        self.forks = Forks(member, self._reconciliation, lambda: self.peers)
        self._fork_telling = ForkTelling(self.forks)
        self._hearing = Hearing(member, self._reconciliation, lambda: self.peers, self.forks)
        arrivals = Arrivals(self._reconciliation, self.peers, self._hearing.blame, self.forks)
        self._dissemination = Dissemination(member)
        self._waves = Waves()
        self._agenda: Agenda[str] = Agenda()
        self._receipts: dict[LogId, Receipt] = {}
        self._wake_at = float("inf")
        self._reopening = Reopening(
            member, lambda: self.peers, self._hearing.blame, self._reconciliation.is_forked
        )
        self._answers = Answers()
        self._anti_entropy = AntiEntropy(settings.anti_entropy_seconds)
        self._comparing = Comparing(
            member,
            self._circle,
            self._reconciliation,
            self._hearing,
            self._receipt_line,
            self.forks,
            self._fork_telling,
        )
        self._handlers: dict[type, Callable[..., list[Command]]] = {
            events.Started: self._started,
            events.Woke: lambda _event, _now, _rng: [],
            events.RosterChanged: self._roster_changed,
            events.Published: self._published,
            events.Persisted: self._persisted,
            events.PersistFailed: self._persist_failed,
            events.PeerCame: self._peer_came,
            events.AnnouncementReceived: self._announcement_received,
            events.AnnouncementAnswered: self._announcement_answered,
            events.AnnouncementFailed: self._announcement_failed,
            events.ComparisonReceived: self._comparing.received,
            events.ComparisonAnswered: self._comparing.answered,
            events.ComparisonFailed: self._comparing.failed,
            events.RangeReceived: arrivals.range,
            events.RangeFailed: arrivals.range_failed,
            joining_events.HashesReceived: arrivals.hashes,
            joining_events.HashesFailed: arrivals.hashes_failed,
            joining_events.PieceReceived: arrivals.piece,
            joining_events.PieceFailed: arrivals.piece_failed,
            **self._reopening.takes(),
            events.GapsKnown: self._gaps_known,
            events.Erased: self._erased,
            events.RosterFetchEnded: self._roster_fetch_ended,
            **self.forks.takes(),
        }

    @property
    def is_isolated(self) -> bool:
        """Whether it seems to be this node that is cut off from all others."""
        return self._circle.is_isolated

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
        if (peer := getattr(event, "peer", None)) is not None:
            self.peers.touched[peer] = None
        # Rooms without work are not even entered: most events concern one or two of them.
        if self._answers.asks:
            commands += map(self._answer, self._answers.overdue(now))
        if now >= self._anti_entropy.at:
            self._begin_round(now, rng)
        if self._waves.waves:
            self._waves.note_receipts(commands)
            for log, wave in self._waves.take(now):
                self._circle.send_wave(log, wave, now, rng)
        cases, telling = self.forks.cases, self._fork_telling
        if cases.active:
            commands += self.forks.pump(now)
        if cases.has_news or telling.due:
            commands += telling.pump(self.peers, self._circle, self._roster.version, now)
        self._talk(commands, now)
        if self._reconciliation.wanting:
            commands += self._reconciliation.pump(now, rng, self._circle.ask_at)
        if self._reopening.gaps:
            commands += self._reopening.pump(now, rng)
        if self._circle.ahead:
            commands += self._circle.fetch_roster_due(now)
        self._reconciliation.window.watch(event, commands, now)
        wake_at = self._next_wake(now)
        if wake_at != self._wake_at or type(event) is events.Woke:  # it rang: it is set again
            self._wake_at = wake_at
            commands.append(events.WakeAt(wake_at))
        return commands

    def _talk(self, commands: list[Command], now: float) -> None:
        """Say what is due to those who were touched and those whose time has come."""
        touched, agenda, awake, met = self.peers.touched, self._agenda, [], self.peers.views
        due = agenda.take(now)
        names = dict.fromkeys([*due, *touched]) if due else [*touched]
        touched.clear()
        for name in names:
            peer = met.get(name)
            if peer is not None and (peer.due or peer.compare_due is not None):
                awake.append(peer)
            elif peer is not None:
                agenda.put(name, None)
        if not awake:
            return
        getting, version = self._reconciliation, self._roster.version
        commands += self._anti_entropy.pump(awake, getting.vector, version, now)
        commands += self._dissemination.pump(awake, getting.view_of, self._receipts, version, now)
        for peer in awake:
            agenda.put(peer.member, peer.next_wake())

    def _begin_round(self, now: float, rng: Dice) -> None:
        name = self._anti_entropy.turn(self.peers.reachable, now, rng)
        if name is not None:
            peer = self.peers[name]
            peer.compare_soon(now)
            # Whatever its breaker says: after a long partition both sides wait for the other.
            peer.note_probed(now)
            self._circle.keep_warm(now)

    # --- own state ------------------------------------------------------------------------------

    def _started(self, event: events.Started, now: float, rng: Dice) -> list[Command]:
        for view in event.views:
            self._reconciliation.hold(view)
        for receipt in event.receipts:
            self._receipts[receipt.head.log] = receipt
        self._meet(now)
        for view in event.views:
            if view.log in self._receipts:
                # Whether it was shown before the crash, who knows.
                self._show_receipt(view, now, rng)
        for gaps in event.gaps:
            self._reopening.note(gaps, now)
        for view in event.views:
            self.forks.note_fits(view)
        for forked in event.forked:
            self.forks.restore(forked)
        self._anti_entropy.start(now, rng)
        return []

    def _roster_changed(self, event: events.RosterChanged, now: float, _rng: Dice) -> list[Command]:
        self._reconciliation.note_roster(event.verifier, event.views)
        self._hearing.note_roster()
        self.forks.note_roster(event.branches)
        for view in event.views:
            self._dissemination.drop(view.log)
        self._meet(now)
        for peer in self._circle.audience():
            peer.compare_soon(now)  # a comparison says which version is in force here
        return []

    def _meet(self, now: float) -> None:
        self._circle.meet(now)
        self._dissemination.is_flooding = not self._circle.tells_everybody

    def _published(self, event: events.Published, now: float, rng: Dice) -> list[Command]:
        view = event.step.view
        log = view.log
        self._reconciliation.note_persisted(view)
        self.forks.note_fits(view)
        self._dissemination.remember(log, newest_of(event.step))
        self._dissemination.spread_own(log, self._circle.audience(), now)
        if log.lane is Lane.CRISIS:
            told = self._circle.tell_crisis(log, now, rng)
            self._waves.begin(log, view.size, told, now)
        return []

    def _persisted(self, event: events.Persisted, now: float, rng: Dice) -> list[Command]:
        view = event.step.view
        sync = self._reconciliation.sync_of(view.log)
        sync.served_at = now
        self.forks.note_step(event.step, sync.offers)
        self._reconciliation.note_persisted(view)
        self.forks.note_moved(view.log)
        if self._reconciliation.is_forked(view.log):
            return [self._answer(ask) for ask in self._answers.settle(view.log)]
        if event.receipt is not None:
            self._receipts[view.log] = event.receipt
        self._dissemination.remember(view.log, newest_of(event.step))
        if view.is_complete:
            self._dissemination.pass_on(view, self._circle.neighbours(), now, rng)
            answered = self._answers.askers_of(view.log)
            if event.receipt is not None and view.log.member not in answered:
                self._show_receipt(view, now, rng)
        return [self._answer(ask) for ask in self._answers.settle(view.log)]

    def _show_receipt(self, view: LogView, now: float, rng: Dice) -> None:
        issuer = self.peers.get(view.log.member)
        if issuer is not None:
            self._dissemination.owe(view, issuer, now, rng, len(self.peers.reachable))

    def _persist_failed(self, event: events.PersistFailed, now: float, _rng: Dice) -> list[Command]:
        self._reconciliation.note_not_persisted(event.log, event.view, now)
        return [self._answer(ask) for ask in self._answers.settle(event.log)]

    def _peer_came(self, event: events.PeerCame, now: float, _rng: Dice) -> list[Command]:
        self._circle.note_came(event.peer, now)
        return []

    def _roster_fetch_ended(
        self, event: events.RosterFetchEnded, _now: float, _rng: Dice
    ) -> list[Command]:
        self._circle.note_roster_fetch_ended(event.peer, is_refuted=event.is_refuted)
        return []

    # --- announcements --------------------------------------------------------------------------

    def _announcement_received(
        self, event: events.AnnouncementReceived, now: float, _rng: Dice
    ) -> list[Command]:
        peer = self.peers.get(event.peer)
        if peer is not None:
            peer.note_heard(now)
            self._circle.note_version(peer, event.message.roster_version)
        commands: list[Command] = []
        for each in event.message.evidence:
            commands += self.forks.evidence(event.peer, each)
        logs: list[LogId] = []
        waiting: set[LogId] = set()
        for heard, log in self._hearing.heads(event.peer, event.message.heads):
            commands += heard
            if log is not None:
                logs.append(log)
                if self._reconciliation.sync_of(log).writing:
                    waiting.add(log)
        if peer is not None and not commands and not waiting:
            sync_of = self._reconciliation.sync_of
            if all(peer.holds.get(log, 0) <= sync_of(log).view.size for log in logs):
                peer.note_repeat()
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
        if event.lane is Lane.CRISIS:
            self._fork_telling.answered(event.peer)
        self._circle.note_answered(peer, now)
        self._circle.note_version(peer, event.message.roster_version)
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
        if event.lane is Lane.CRISIS:
            self._fork_telling.failed(event.peer)
        if peer is not None:
            for log in peer.in_flight.pop(event.lane, {}):
                peer.due.setdefault(log, now)
            return self._circle.note_failed(peer, now, rng, event.reason, event.retry_after_seconds)
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
        if receipt is None or receipt.head != view.head or self._reconciliation.is_forked(view.log):
            return None
        return receipt.line

    # --- erased and missing ---------------------------------------------------------------------

    def missing_count(self) -> int:
        """How many statements are here without a body and without an erase that says why."""
        return self._reopening.missing_count()

    def _gaps_known(self, event: events.GapsKnown, now: float, rng: Dice) -> list[Command]:
        self._reopening.note(event, now)
        if event.branch:
            return []
        view = self._reconciliation.sync_of(event.log).view
        if event.receipt is not None and event.receipt.head == view.head:
            self._receipts[event.log] = event.receipt
            self._show_receipt(view, now, rng)
        return []

    def _erased(self, event: events.Erased, _now: float, _rng: Dice) -> list[Command]:
        self._dissemination.forget(event.ids)
        return []

    # --- shared ---------------------------------------------------------------------------------

    @property
    def _roster(self) -> Roster:
        return self._reconciliation.verifier.roster

    def _next_wake(self, now: float) -> float:
        wake = sooner(self._anti_entropy.at, self._agenda.next_wake())
        if self._answers.asks:
            wake = sooner(wake, self._answers.next_wake())
        if self._reconciliation.wanting:
            wake = sooner(wake, self._reconciliation.next_wake(now, self._circle.ask_at))
        if self._reopening.gaps:
            wake = sooner(wake, self._reopening.next_wake(now))
        if self._waves.waves:
            wake = sooner(wake, self._waves.next_wake())
        if self.forks.cases.active:
            wake = sooner(wake, self.forks.next_wake(now))
        if self._fork_telling.due:
            wake = sooner(wake, self._fork_telling.next_wake(self.peers, now))
        return max(wake, now + WAKE_SECONDS_MIN)
