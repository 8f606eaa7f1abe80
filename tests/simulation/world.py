"""A federation under one heap of events: virtual time, a bad network, disks that forget.

What decides is the production code: ``GossipEngine``, ``LogView``, ``Verifier`` and the codecs of
the wire. What is simulated is what they are given: a clock, chance, a network that delays, drops
and doubles, and a disk (``disk.py``). A seed gives the same schedule every time.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, Final

from federation.errors import FederationError
from federation.gossip import events
from federation.gossip.engine import GossipEngine, GossipSettings
from federation.protocol.checkpoints import Checkpoint
from federation.protocol.checkpoints_signing import cosign, sign_checkpoint
from federation.protocol.headers import StatementId
from federation.protocol.keys import SignatureCheck, check_ed25519
from federation.protocol.keys_signing import SigningKey
from federation.protocol.limits_messages import ANNOUNCE_BYTES_MAX
from federation.protocol.merkle import leaf_hash
from federation.protocol.messages import (
    Announcement,
    AnnouncementAnswer,
    Comparison,
    ComparisonAnswer,
    StatementRange,
    decode_announcement,
    decode_announcement_answer,
    decode_comparison,
    decode_comparison_answer,
    decode_range,
    encode_announcement,
    encode_announcement_answer,
    encode_comparison,
    encode_comparison_answer,
    encode_range,
)
from federation.protocol.notes import format_signature_line
from federation.protocol.origins import Cosigner, Lane, LogId, cosigner_name
from federation.protocol.statements import Statement
from federation.provenance.log_view import Advance, LogView
from federation.provenance.taking_back import erase_targets
from federation.provenance.verifier import Head, Receipt, Verifier
from tests.builders import Founded
from tests.simulation.disk import Disk

if TYPE_CHECKING:
    from tests.simulation.checks import Watch

TIMEOUT_SECONDS: Final = 5.0
"""After this long without an answer a request has failed, as in the node's own client."""

Reply = Callable[[bytes | None], None]


def check_fast(public: bytes, message: bytes, signature: bytes) -> bool:
    """A stand-in for Ed25519 that costs a twentieth and binds key and message as well."""
    return signature == _sign_fast(public, message)


def _sign_fast(public: bytes, message: bytes) -> bytes:
    digest = sha256(public + message).digest()
    return digest + digest


class FastKey(SigningKey):
    """A key whose signatures :func:`check_fast` takes."""

    __slots__ = ()

    def sign(self, message: bytes) -> bytes:
        return _sign_fast(self.public, message)


@dataclass
class Weather:
    """What the network and the disks are like just now.

    Attributes:
        latency: least and most seconds that a message takes.
        loss: share of messages lost.
        doubled: share of messages that arrive twice.
        write: least and most seconds that a write takes.
        cut: (from, to) of links that carry nothing.
    """

    latency: tuple[float, float] = (0.01, 0.05)
    loss: float = 0.0
    doubled: float = 0.0
    write: tuple[float, float] = (0.001, 0.01)
    cut: frozenset[tuple[str, str]] = frozenset()


class World:
    """Clock, chance, network, and everybody in it.

    Args:
        seed: of everything that is left to chance.
        founded: the federation.
        settings: of every engine.
        is_fast: whether signatures are the fast stand-in.

    Attributes:
        now: seconds since the beginning.
        weather: what the network is like; changed by the schedule.
        nodes: by member.
        seen: how often something interesting happened.
        sent: how many requests of each kind were made.
    """

    def __init__(
        self, seed: int, founded: Founded, settings: GossipSettings, *, is_fast: bool = True
    ) -> None:
        self.now = 0.0
        self.rng = Random(seed)
        self.seed, self.founded, self.settings, self.is_fast = seed, founded, settings, is_fast
        self.weather = Weather()
        self.nodes: dict[str, Node] = {}
        self.watch: Watch | None = None
        self.seen: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.events = 0
        self._trace = sha256()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._ticket = count()

    @property
    def check(self) -> SignatureCheck:
        """The signature check that every verifier here is given."""
        return check_fast if self.is_fast else check_ed25519

    @property
    def trace(self) -> str:
        """A digest of every message carried: equal for equal schedules."""
        return self._trace.hexdigest()

    def key_of(self, member: str, purpose: str) -> SigningKey:
        """A member's key."""
        key = self.founded.companies[member].keys[purpose]
        return FastKey(key._private) if self.is_fast else key

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Do something at a time; at one time, in the order in which it was asked for."""
        heapq.heappush(self._heap, (time, next(self._ticket), action))

    def run(self, until: float) -> None:
        """Let everything happen that is due up to then."""
        while self._heap and self._heap[0][0] <= until:
            self.now, _, action = heapq.heappop(self._heap)
            self.events += 1
            action()
        self.now = until

    def run_until(self, is_so: Callable[[], bool], seconds: float) -> None:
        """Let time pass, a second at a time, until something is so or as many are over."""
        end = self.now + seconds
        while self.now < end and not is_so():
            self.run(self.now + 1.0)

    def request(
        self,
        caller: Node,
        peer: str,
        kind: str,
        raw: bytes,
        ended: Callable[[bytes | None, str], None],
    ) -> None:
        """Ask a peer something: the answer or the reason why there is none, exactly once."""
        boot, waiting = caller.boot, [ended]
        self.sent[kind] += 1

        def end(answer: bytes | None, reason: str) -> None:
            if waiting and caller.boot == boot:
                waiting.pop()(answer, reason)

        def back(answer: bytes | None) -> None:
            self._carry(peer, caller.member, answer or b"", lambda: end(answer, "refused"))

        def arrive() -> None:
            if self.nodes[peer].is_up:
                self.nodes[peer].serve(kind, caller.member, raw, back)
            else:
                end(None, "no process there")

        self._carry(caller.member, peer, raw, arrive)
        self.at(self.now + TIMEOUT_SECONDS, lambda: end(None, "no answer in time"))

    def _carry(self, source: str, target: str, raw: bytes, arrive: Callable[[], None]) -> None:
        self._trace.update(f"{self.now!r} {source} {target} ".encode() + raw)
        copies = 2 if self.rng.random() < self.weather.doubled else 1
        for _ in range(copies):
            if (source, target) in self.weather.cut or self.rng.random() < self.weather.loss:
                self.seen["message lost"] += 1
            else:
                self.at(self.now + self.rng.uniform(*self.weather.latency), arrive)


class Node:
    """One member's process and disk: the engine's hands, as the daemon has them.

    Attributes:
        engine: the production engine; a new one after each start.
        disk: what outlives a crash.
        boot: how often it crashed; what an earlier life began comes to nothing.
        is_honest: whether it does what its engine says and nothing else.
    """

    is_honest = True

    def __init__(self, world: World, member: str) -> None:
        self.world, self.member = world, member
        self.disk = Disk()
        self.verifier = Verifier(world.founded.roster, world.check)
        self.boot, self.is_up = 0, False
        self.alarms: list[str] = []
        self.rng = Random(f"{world.seed} {member}")
        world.nodes[member] = self
        self._carry: Mapping[type, Callable[[Any], None]] = {
            events.Announce: self._announce,
            events.AnswerAnnouncement: self._answer_announcement,
            events.Compare: self._compare,
            events.AnswerComparison: self._answer_comparison,
            events.FetchRange: self._fetch_range,
            events.FetchOpenings: self._fetch_openings,
            events.Reopen: self._reopen,
            events.Persist: self._persist,
            events.KeepReceipt: self._keep_receipt,
            events.KeepEvidence: self._keep_evidence,
            events.RaiseAlarm: lambda command: self.alarms.append(command.code),
            events.WakeAt: self._wake_at,
        }

    # --- its life -------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, from what is durable."""
        if self.is_up:
            return
        self.is_up = True
        self.engine = GossipEngine(self.member, self.verifier, self.world.settings)
        self._wake = float("inf")
        self._asks: dict[int, Reply] = {}
        self._ask_next = count()
        self._own = {log: kept.view for log, kept in self.disk.logs.items()}
        self._queues: dict[LogId, list[Sequence[Statement]]] = {}
        receipts = [
            receipt for (_, member), receipt in self.disk.receipts.items() if member == self.member
        ]
        gaps = (events.GapsKnown(log, dict(kept.missing)) for log, kept in self.disk.logs.items())
        lacking = tuple(each for each in gaps if each.missing)
        self.feed(events.Started(tuple(self._own.values()), tuple(receipts), lacking))

    def crash(self) -> None:
        """End at once: what is pending on the disk is lost, and all that was only remembered."""
        if self.is_up:
            self.is_up = False
            self.boot += 1
            self.world.seen["crash"] += 1
            self.world.seen["crash while writing"] += self.disk.crash(self.world.now)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something after a while, unless this life ends first."""
        boot = self.boot
        self.world.at(
            self.world.now + seconds, lambda: action() if boot == self.boot and self.is_up else None
        )

    def feed(self, event: events.Event) -> None:
        """Give the engine an event and carry out what it orders."""
        for command in self.engine.handle(event, self.world.now, self.rng):
            self._carry[type(command)](command)

    # --- publishing -----------------------------------------------------------------------------

    def publish(self, lane: Lane, statements: Sequence[Statement]) -> None:
        """Say something, as the publisher does: sign, make durable, then tell and acknowledge."""
        log = LogId(self.member, self.world.founded.roster.federation_id, lane)
        queue = self._queues.setdefault(log, [])
        queue.append(statements)
        if len(queue) == 1:
            self._publish_next(log)

    def _publish_next(self, log: LogId) -> None:
        statements = self._queues[log][0]
        view = self._own.get(log, LogView(log))
        step = view.advance(self.sign(view, statements), statements, (), self.verifier)

        def done() -> None:
            self._own[log] = step.view
            self.feed(events.Published(step))
            if self.world.watch is not None:
                self.world.watch.acknowledged(log, statements)
            self._queues[log].pop(0)
            if self._queues[log]:
                self._publish_next(log)

        self._write(step, None, done)

    def sign(self, view: LogView, statements: Sequence[Statement]) -> Head:
        """The head that statements of one's own lead to."""
        held = view.held.extend([leaf_hash(each.id.entry) for each in statements])
        checkpoint = Checkpoint(view.log.origin, held.size, held.root())
        note = sign_checkpoint(checkpoint, self.world.key_of(self.member, view.log.lane))
        return self.verifier.open_head(note)

    # --- the disk -------------------------------------------------------------------------------

    def _write(self, step: Advance, receipt: Receipt | None, done: Callable[[], None]) -> None:
        def commit() -> None:
            self.disk.append(step, receipt)
            gone = self.disk.learn(step.statements)
            if self.world.watch is not None:
                self.world.watch.appended(self, step)
            self.later(self.world.rng.uniform(0, 0.002), done)  # a crash may come in between
            self._erased(gone)

        seconds = self.world.rng.uniform(*self.world.weather.write)
        self.disk.write(self.world.at, self.world.now, seconds, commit)

    def _persist(self, command: events.Persist) -> None:
        step = command.step
        if self.disk.full:
            self.world.seen["write failed"] += 1
            failed = events.PersistFailed(step.view.log, "the disk is full")
            self.later(0.001, lambda: self.feed(failed))
            return
        log, kept = step.view.log, self.disk.logs.get(step.view.log)
        erases = [each for each in step.statements if erase_targets(each)]
        lacks = any(
            each.statement.opening is None and not self.disk.must_go(each, erases)
            for each in step.statements
        )
        is_whole = step.view.is_complete and not lacks and not (kept and kept.missing)
        receipt = self._receipt(step.view.head) if is_whole else None

        def done() -> None:
            self.feed(events.Persisted(step, receipt))
            if receipt is None:
                self._settle(log)

        self._write(step, receipt, done)

    def _reopen(self, command: events.Reopen) -> None:
        opened = [
            self.verifier.open_statement(command.log, index, statement)
            for index, statement in command.statements.items()
        ]

        def commit() -> None:
            self.world.seen["reopened"] += 1
            self.disk.logs[command.log].reopen(opened)
            gone = self.disk.learn(opened)
            self.later(0.0, lambda: self._settle(command.log))
            self._erased(gone)

        seconds = self.world.rng.uniform(*self.world.weather.write)
        self.disk.write(self.world.at, self.world.now, seconds, commit)

    def _erased(self, gone: frozenset[StatementId]) -> None:
        """Tell the engine what is gone here, and what is looked for no more."""
        if not gone:
            return
        self.world.seen["erased"] += 1
        self.feed(events.Erased(gone))
        for log in sorted({log for each in gone for log, _ in self.disk.places[each]}, key=str):
            self.later(0.0, lambda log=log: self._settle(log))  # type: ignore[misc]

    def _settle(self, log: LogId) -> None:
        """Say what is missing of a log; where nothing is, give the receipt that waited for it."""
        kept = self.disk.logs[log]
        missing = dict(kept.missing)
        receipt = None
        if not missing and kept.view.is_complete and log.member != self.member:
            receipt = self._receipt(kept.view.head)
        if receipt is not None:
            self.disk.keep_receipt(receipt)
        self.feed(events.GapsKnown(log, missing, receipt))

    def _receipt(self, head: Head | None) -> Receipt | None:
        if head is None:
            return None
        name = cosigner_name(self.member, head.log.federation_id, Cosigner.MIRROR)
        key = self.world.key_of(self.member, Cosigner.MIRROR)
        line = cosign(head.checkpoint.text, name, key, 1 + int(self.world.now))
        text = format_signature_line(line).rstrip("\n")
        return self.verifier.open_receipt(head, self.member, Cosigner.MIRROR, text)

    def _keep_receipt(self, command: events.KeepReceipt) -> None:
        self.disk.write(
            self.world.at,
            self.world.now,
            self.world.rng.uniform(*self.world.weather.write),
            lambda: self.disk.keep_receipt(command.receipt),
        )

    def _keep_evidence(self, command: events.KeepEvidence) -> None:
        self.world.seen["fork"] += 1
        self.disk.evidence[command.log] = (command.first, command.second)

    # --- talking --------------------------------------------------------------------------------

    def outgoing(self, message: Any) -> Any:
        """What is really sent in place of what the engine said; the same, for the honest."""
        if self.world.watch is not None:
            self.world.watch.leaving(self, message)
        return message

    def _wake_at(self, command: events.WakeAt) -> None:
        if command.at < self._wake:
            self.later(command.at - self.world.now, self._woke)
        self._wake = command.at

    def _woke(self) -> None:
        if self._wake <= self.world.now:
            self._wake = float("inf")
            self.feed(events.Woke())
        elif self._wake < float("inf"):
            self.later(self._wake - self.world.now, self._woke)

    def _announce(self, command: events.Announce) -> None:
        peer, lane = command.peer, command.lane
        message: Announcement = self.outgoing(command.message)
        self.world.seen["inlined"] += any(head.inline for head in message.heads)

        def ended(raw: bytes | None, reason: str) -> None:
            try:
                answer = None if raw is None else decode_announcement_answer(raw)
            except FederationError as error:
                answer, reason = None, error.message
            if answer is None:
                self.feed(events.AnnouncementFailed(peer, lane, reason))
            else:
                self.feed(events.AnnouncementAnswered(peer, lane, answer))

        raw = encode_announcement(message)
        assert len(raw) <= ANNOUNCE_BYTES_MAX or not self.is_honest
        self.world.request(self, peer, "announce", raw, ended)

    def _compare(self, command: events.Compare) -> None:
        message: Comparison = self.outgoing(command.message)

        def ended(raw: bytes | None, reason: str) -> None:
            try:
                answer = None if raw is None else decode_comparison_answer(raw)
            except FederationError as error:
                answer, reason = None, error.message
            if answer is None:
                self.feed(events.ComparisonFailed(command.peer, reason))
            else:
                self.feed(events.ComparisonAnswered(command.peer, answer))

        self.world.request(self, command.peer, "digest", encode_comparison(message), ended)

    def _fetch_range(self, command: events.FetchRange) -> None:
        self.world.seen["pulled"] += 1
        wanted = f"{command.log.origin} {command.start} {command.end} {command.head_size}"

        def ended(raw: bytes | None, reason: str) -> None:
            try:
                message = None if raw is None else decode_range(raw)
            except FederationError as error:
                message, reason = None, error.message
            if message is None:
                self.feed(events.RangeFailed(command.peer, command.log, reason))
            else:
                self.feed(events.RangeReceived(command.peer, command.log, message))

        self.world.request(self, command.peer, "range", wanted.encode(), ended)

    def _fetch_openings(self, command: events.FetchOpenings) -> None:
        wanted = f"{command.log.origin} {command.start} {command.end} {command.end}"

        def ended(raw: bytes | None, reason: str) -> None:
            try:
                message = None if raw is None else decode_range(raw)
            except FederationError as error:
                message, reason = None, error.message
            if message is None:
                self.feed(events.OpeningsFailed(command.peer, command.log, reason))
            else:
                self.feed(events.OpeningsReceived(command.peer, command.log, message))

        self.world.request(self, command.peer, "openings", wanted.encode(), ended)

    # --- answering ------------------------------------------------------------------------------

    def serve(self, kind: str, sender: str, raw: bytes, reply: Reply) -> None:
        """A request arrived."""
        if kind in {"range", "openings"}:
            reply(self._range(raw))
            return
        ask = next(self._ask_next)
        try:
            if kind == "announce":
                event: events.Event = events.AnnouncementReceived(
                    sender, ask, decode_announcement(raw)
                )
            else:
                event = events.ComparisonReceived(sender, ask, decode_comparison(raw))
        except FederationError:
            reply(None)
            return
        self._asks[ask] = reply
        self.feed(event)

    def _range(self, raw: bytes) -> bytes | None:
        origin, *numbers = raw.decode().split()
        start, end, size = map(int, numbers)
        kept = next((kept for log, kept in self.disk.logs.items() if log.origin == origin), None)
        if kept is None or size > kept.view.size:
            return None
        statements = kept.serve(start, end)
        proof = kept.proof(start + len(statements), size)
        message: StatementRange = self.outgoing(StatementRange(start, statements, proof))
        return encode_range(message)

    def _answer_announcement(self, command: events.AnswerAnnouncement) -> None:
        message: AnnouncementAnswer = self.outgoing(command.message)
        self._asks.pop(command.ask)(encode_announcement_answer(message))

    def _answer_comparison(self, command: events.AnswerComparison) -> None:
        message: ComparisonAnswer = self.outgoing(command.message)
        self._asks.pop(command.ask)(encode_comparison_answer(message))
