"""Getting what others have and this node lacks.

For each log: the durable view, the newest head each peer offers beyond it, and at most one range
being fetched or written. A range comes from one peer and is judged on arrival; a peer that failed
for a log is set aside for it for a while and another one is asked. Whatever pushing missed, the
comparison of head vectors finds: that is the correctness, pushing is only speed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from federation.gossip.dice import Dice
from federation.gossip.events import Command, FetchRange, Persist
from federation.gossip.joining import JOIN_STATEMENTS_MIN, Joining
from federation.gossip.joins import AskAt
from federation.gossip.slots import STALL_SECONDS, Slots
from federation.gossip.vectors import head_vector
from federation.gossip.window import Window
from federation.local_errors.proofs import Fork, MessageMalformed
from federation.protocol.limits_messages import RANGE_STATEMENTS_MAX
from federation.protocol.messages import StatementRange
from federation.protocol.origins import Lane, LogId
from federation.protocol.statements import Statement
from federation.provenance.log_view import LogView
from federation.provenance.verifier import Head, Verifier

SET_ASIDE_SECONDS: Final = 30.0
"""How long a peer that served something unproven of a log is not asked for it again."""

RETRY_SECONDS: Final = 1.0
"""The same for one that served nothing: others first, but a broken connection is no offence."""

WRITE_RETRY_SECONDS: Final = 5.0
"""After a failed write (a full disk): until the range is fetched again."""

_URGENCY: Final = {lane: place for place, lane in enumerate(Lane)}


@dataclass(slots=True)
class LogSync:
    """One log as it is brought up to date.

    Attributes:
        view: what is durable here.
        offers: peer -> newest head that it offers beyond the view.
        most: the largest size that anybody ever offered.
        asked: the range under way, or None.
        asked_at: since when.
        asked_under: the head that it will be proven to.
        writing: whether a judged step is on its way to the disk.
        set_aside: peer -> until when it is not asked for this log.
        paused_until: no fetch before this time.
        served_at: when something that peers served of it last became durable; None: never yet.
    """

    view: LogView
    offers: dict[str, Head] = field(default_factory=dict)
    most: int = 0
    asked: FetchRange | None = None
    asked_at: float = 0.0
    asked_under: Head | None = None
    writing: bool = False
    set_aside: dict[str, float] = field(default_factory=dict)
    paused_until: float = 0.0
    served_at: float | None = None

    @property
    def is_idle(self) -> bool:
        """Nothing is being fetched or written."""
        return self.asked is None and not self.writing

    def is_behind(self, now: float) -> bool:
        """Whether something is on its way here, or a peer that is not set aside offers more."""
        waits = any(now >= self.set_aside.get(peer, now) for peer in self.offers)
        return waits or not self.is_idle

    @property
    def is_wanting(self) -> bool:
        """Whether there is more to get, or something under way."""
        return bool(self.offers) or self.asked is not None

    @property
    def lacking(self) -> int:
        """How many statements may be lacking here, at most."""
        return self.most - self.view.size

    def may_follow(self, head: Head) -> bool:
        """Whether a step may be proven to that head: never to one older than the last."""
        return self.view.head is None or self.view.head.size <= head.size

    def check_offers(self, head: Head) -> None:
        """Hold a head against all that is known or offered of its log.

        Raises:
            Fork: the log's key signed another root of that size.
        """
        self.view.check_head(head)
        for offered in self.offers.values():
            if offered.size == head.size and offered != head:
                raise Fork(
                    f"the log {head.log} signed two roots at size {head.size}",
                    first=offered.note,
                    second=head.note,
                )

    def stalls_at(self) -> float | None:
        """When the peer asked is waited for no longer by others; None where nobody is asked."""
        return None if self.asked is None else self.asked_at + STALL_SECONDS[self.view.log.lane]

    def has_stalled(self, now: float) -> bool:
        """Whether the range under way has been awaited for too long."""
        at = self.stalls_at()
        return at is not None and at <= now

    def askable_at(self, now: float, ask_at: AskAt) -> float | None:
        """When somebody more may be asked for it; None where nobody has to be waited for."""
        lane = self.view.log.lane
        times = (
            max(self.paused_until, self.set_aside.get(peer, 0.0), ask_at(peer, lane))
            for peer in self.offers
        )
        return min((at for at in times if at > now), default=None)

    def has_others(self, asked: FetchRange) -> bool:
        """Whether somebody else offers what was asked for."""
        return any(
            head.size >= asked.end for name, head in self.offers.items() if name != asked.peer
        )

    def take_asked(self, peer: str) -> tuple[FetchRange, Head] | None:
        """What was asked of that peer and is under way no more; None when it was another."""
        if self.asked is None or self.asked_under is None or self.asked.peer != peer:
            return None
        asked = self.asked, self.asked_under
        self.asked = self.asked_under = None
        return asked


class Reconciliation:
    """Every log held or heard of, and how it catches up.

    Attributes:
        wanting: the logs of which there is more to get, in their turn.
    """

    def __init__(self, verifier: Verifier, join_statements_min: int = JOIN_STATEMENTS_MIN) -> None:
        self.verifier = verifier
        self.window = Window()
        self.joining = Joining(join_statements_min, self.window)
        self.logs: dict[LogId, LogSync] = {}
        self.wanting: dict[LogId, None] = {}
        self._vector: bytes | None = None
        self._branches: dict[LogId, tuple[Head, ...]] = {}

    def hold(self, view: LogView) -> None:
        """What is durable here of a log, as it was read from the store."""
        self.sync_of(view.log).view = view
        self._vector = None

    def vector(self) -> bytes:
        """32 bytes over every complete log held; see :func:`head_vector`."""
        if self._vector is None:
            self._vector = head_vector(self.heads(), self._branches)
        return self._vector

    def heads(self) -> Iterator[Head]:
        """The heads under which everything is held: of a log under evidence, of its branches."""
        for view in self.views():
            if view.head is not None and view.is_complete:
                yield view.head
        for heads in self._branches.values():
            yield from heads

    def views(self) -> Iterator[LogView]:
        """What is durable here of every log that is not under evidence."""
        return (sync.view for log, sync in self.logs.items() if log not in self._branches)

    def view_of(self, log: LogId) -> LogView | None:
        """What is durable here of a log; None of one under evidence or never heard of."""
        sync = self.logs.get(log)
        return sync.view if sync is not None and log not in self._branches else None

    def is_forked(self, log: LogId) -> bool:
        """Whether the log is under evidence: nothing of it is replicated linearly."""
        return log in self._branches

    def sync_of(self, log: LogId) -> LogSync:
        """The state of a log; a new one holds nothing."""
        sync = self.logs.get(log)
        if sync is None:
            sync = self.logs[log] = LogSync(LogView(log))
        return sync

    def hear(self, peer: str, head: Head, inline: tuple[Statement, ...]) -> Persist | None:
        """A peer holds everything under this head.

        Args:
            peer: who said so.
            head: proven by the verifier.
            inline: the newest statements under it, ending at its size.

        Returns:
            An order to write, when the inline statements follow exactly what is held.

        Raises:
            Fork: the head contradicts one that is known.
            ProtocolError, VerificationError: the inline statements are not what the head says.
        """
        sync = self.sync_of(head.log)
        sync.check_offers(head)
        if head.size <= sync.view.size:
            sync.offers.pop(peer, None)
            self._crown(sync, head)
            return None
        known = sync.offers.get(peer)
        if known is None or known.size <= head.size:
            sync.offers[peer] = head
            sync.most = max(sync.most, head.size)
            self.wanting[head.log] = None
        lacking = head.size - sync.view.size
        if sync.writing or len(inline) < lacking or not sync.may_follow(head):
            return None
        step = sync.view.advance(head, inline[-lacking:], (), self.verifier)
        sync.writing = True
        return Persist(step)

    def pump(self, now: float, rng: Dice, ask_at: AskAt) -> list[Command]:
        """Fetch for every idle log that somebody offers more of, urgent lanes first.

        Args:
            now: the engine's clock.
            rng: chooses among sources.
            ask_at: when a peer may be asked for statements of a lane.
        """
        commands: list[Command] = []
        for log in [log for log in self.wanting if not self.logs[log].is_wanting]:
            del self.wanting[log]
        for log in self.wanting:
            self._give_up_stalled(self.logs[log], now)
        slots = self._slots(now)
        joined: dict[LogId, LogSync] = {}
        for log in sorted(self.wanting, key=lambda log: _URGENCY[log.lane]):
            sync, lane = self.logs[log], log.lane
            may_join = sync.asked is None and self.joining.is_worth_it(log, sync.lacking)
            if may_join and self.joining.takes(sync, now, ask_at):
                joined[log] = sync
                continue
            if not sync.offers or not sync.is_idle or now < sync.paused_until:
                continue
            if slots.is_full(lane):
                continue
            fetch = self._fetch(sync, now, rng, ask_at, slots)
            if fetch is not None:
                slots.take(lane, fetch.peer)
                commands.append(fetch)
                # To the end of the row: a million statements of one log are fetched by turns with
                # all the others.
                del self.wanting[log]
                self.wanting[log] = None
        if joined:
            commands += self.joining.pump(joined, now, rng, ask_at, self.verifier)
        return commands

    def _slots(self, now: float) -> Slots:
        """What is under way."""
        slots = Slots()
        for log in self.wanting:
            sync = self.logs[log]
            if sync.asked is not None:
                slots.take(log.lane, sync.asked.peer, has_stalled=sync.has_stalled(now))
        return slots

    @staticmethod
    def _give_up_stalled(sync: LogSync, now: float) -> None:
        if sync.asked is not None and sync.has_stalled(now) and sync.has_others(sync.asked):
            sync.set_aside[sync.asked.peer] = now + RETRY_SECONDS
            sync.asked = sync.asked_under = None

    def _fetch(
        self, sync: LogSync, now: float, rng: Dice, ask_at: AskAt, slots: Slots
    ) -> FetchRange | None:
        sync.set_aside = {peer: until for peer, until in sync.set_aside.items() if until > now}
        sources = sorted(
            peer
            for peer, head in sync.offers.items()
            if peer not in sync.set_aside
            and sync.may_follow(head)
            and ask_at(peer, sync.view.log.lane) <= now
            and slots.may_ask(sync.view.log.lane, peer)
        )
        if not sources:
            return None
        most = max(sync.offers[peer].size for peer in sources)
        peer = rng.choice([peer for peer in sources if sync.offers[peer].size == most])
        start = sync.view.size
        # Whole tiles from here on, so that every node asks for the same ranges; and no more than is
        # written in a moment.
        quantum = min(RANGE_STATEMENTS_MAX, self.window.step_statements)
        end = min(most, start - start % quantum + quantum)
        fetch = FetchRange(peer, sync.view.log, start, end, most)
        sync.asked, sync.asked_under, sync.asked_at = fetch, sync.offers[peer], now
        return fetch

    def receive(self, peer: str, log: LogId, message: StatementRange) -> Persist | None:
        """A range arrived: judge it.

        Returns:
            An order to write, or None when it no longer follows what is held.

        Raises:
            Fork: the head it is proven under contradicts a known one.
            MessageMalformed: it is not what was asked for.
            ProtocolError, VerificationError: it is not what the head says.
        """
        sync = self.sync_of(log)
        taken = sync.take_asked(peer)
        if taken is None:
            return None
        asked, head = taken
        if message.start != asked.start or len(message.statements) > asked.end - asked.start:
            raise MessageMalformed(f"another range of {log} than was asked for")
        if sync.writing or asked.start != sync.view.size:
            return None  # what was announced meanwhile came first
        step = sync.view.advance(head, message.statements, message.proof, self.verifier)
        sync.writing = True
        return Persist(step)

    def note_failed(self, peer: str, log: LogId, until: float) -> None:
        """A peer did not serve a log, or served what is not proven: ask others for a while."""
        sync = self.sync_of(log)
        sync.take_asked(peer)
        sync.set_aside[peer] = until

    def note_branches(self, log: LogId, heads: tuple[Head, ...]) -> None:
        """The log signed two histories: no more of it is fetched here, and these are its heads."""
        self.sync_of(log).offers.clear()
        self._branches[log] = heads
        self._vector = None
        self.joining.forget(log)

    def _crown(self, sync: LogSync, head: Head) -> None:
        """Take a head of just what is held, where a pin left none that stands."""
        view = sync.view
        is_bare = view.head is None and view.size == head.size and not sync.writing
        if is_bare and view.held.root() == head.root_hash:
            self.hold(replace(view, head=head))

    def note_roster(self, verifier: Verifier, views: Iterable[LogView]) -> None:
        """Another roster judges from now on, and ends some logs elsewhere than before."""
        self.verifier = verifier
        for view in views:
            self.hold(view)
        for sync in self.logs.values():
            head = sync.view.head
            if head is not None and not verifier.stands(head):
                # By a key that was replaced: its successor will sign for what is held.
                self.hold(replace(sync.view, head=None))
        for sync in self.logs.values():
            sync.offers = {
                peer: head
                for peer, head in sync.offers.items()
                if verifier.stands(head) and head.size > sync.view.size
            }

    def note_persisted(self, view: LogView) -> None:
        """A step is durable."""
        sync = self.sync_of(view.log)
        sync.writing = False
        if view.head is not None and not self.verifier.stands(view.head):
            # Written while another roster came into force. Beyond a pin it is stored and cut off;
            # else a replaced key signed it, and its successor will.
            said = self.verifier.roster.logs.get(view.log)
            if said is None or not said.is_open:
                return
            view = replace(view, head=None)
        self.hold(view)
        self.joining.note_held(view)
        sync.offers = {peer: head for peer, head in sync.offers.items() if head.size > view.size}

    def note_not_persisted(self, log: LogId, durable: LogView | None, now: float) -> None:
        """A step was lost on the way to the disk; it is fetched again after a pause.

        Args:
            log: whose step.
            durable: what the store holds, where that is not the view it was judged from.
            now: the engine's clock.
        """
        if durable is not None:
            self.note_persisted(durable)
        sync = self.sync_of(log)
        sync.writing = False
        sync.paused_until = now + WRITE_RETRY_SECONDS

    def _awaits_time(self, sync: LogSync, slots: Slots) -> bool:
        """Whether a log goes on when a time has come; in a full lane, an answer or a stall does it.

        With everything wanted from everybody, nobody's offers are looked through each time.
        """
        log = sync.view.log
        can_be_asked = sync.is_idle and not slots.is_full(log.lane)
        return can_be_asked or self.joining.is_worth_it(log, sync.lacking)

    def next_wake(self, now: float, ask_at: AskAt) -> float | None:
        """When a pause, a setting-aside or a peer's breaker ends that something waits for."""
        slots = self._slots(now)
        times: list[float | None] = []
        for log in self.wanting:
            sync = self.logs[log]
            if self._awaits_time(sync, slots):
                times.append(sync.askable_at(now, ask_at))
            if (at := sync.stalls_at()) is not None and at > now:
                times.append(at)
            times.append(self.joining.next_wake(sync, now))
        return min((at for at in times if at is not None), default=None)
