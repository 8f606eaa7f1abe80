"""How each peer is doing, as seen from here and only here: nobody can declare another one dead.

One :class:`PeerView` per member that can be reached, made when it is first needed. A breaker per
direction: after a failure the peer is left alone for a growing, jittered time, at most
``BACKOFF_SECONDS_MAX``; anything heard *from* it ends the wait at once, because a peer that speaks
can probably be spoken to, and so does its turn in the rounds of anti-entropy, because otherwise
nobody would be first to speak. Neither forgets how often it failed: only an answer does. How long a
peer itself asked to be left alone is honoured whatever it says meanwhile.

Ranges of statements have breakers of their own, one per lane: a peer too busy to serve is still
told, and one that caps its bulk still serves a crisis. To be asked to wait is no failure but an
answer, whatever was asked: the peer is asked again when it said, and that is all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from federation.gossip.dice import Dice
from federation.protocol.origins import Lane, LogId

BACKOFF_SECONDS_FIRST: Final = 0.5
"""After one failure: about the time in which a restarted process answers again."""

BACKOFF_SECONDS_MAX: Final = 300.0
"""A member back from an outage hears from everybody within five minutes even if it is silent."""

COMPARE_GAP_SECONDS: Final = 1.0
"""Between two comparisons with one peer: what it says may ask for one at any time, and an answer
about a thousand members' logs takes a good part of that time to judge."""

JITTER: Final = 0.4
"""Waits vary by 40 % either way, so that peers of one dead node do not return in step."""

SILENT_FAILURES: Final = 3
"""So many requests in a row without an answer, and another neighbour takes its place."""

ISOLATED_PEERS_MIN: Final = 3
"""Of fewer, all may well be down."""

ISOLATED_SILENCE_SECONDS: Final = 5.0
"""Nobody answered for as long: while some do, those who do not are to blame themselves."""

ISOLATED_WAIT_SECONDS_MAX: Final = 10.0
"""While this node seems to be the one that is cut off: it is back within so many seconds."""

FAULTS_KEPT_MAX: Final = 1_000_000_000
"""Counters stop here instead of growing without end."""


@dataclass(slots=True)
class RangeBreaker:
    """Whether one lane's statements may be asked for of one peer.

    Attributes:
        failures: requests in a row that came to nothing.
        retry_at: when it may be asked again.
        left_alone_until: until when it asked to be left alone, whatever it serves meanwhile.
    """

    failures: int = 0
    retry_at: float = 0.0
    left_alone_until: float = 0.0


@dataclass(slots=True)
class PeerView:
    """One peer.

    Attributes:
        member: its name.
        holds: log -> how many statements it last said to hold.
        in_flight: lane -> log -> size announced in the request under way.
        due: log -> when to announce it to this peer.
        owed: log -> size of the newest head on which it has not had this node's receipt yet.
        receipted: log -> size of the newest head on which its receipt was kept here.
        comparing: whether a comparison is under way.
        compare_due: when to compare head vectors next, or None.
        compared_at: when the last comparison began.
        failures: requests in a row that came to nothing.
        retry_at: when it may be asked again.
        left_alone_until: until when it asked to be left alone.
        ranges: lane -> the same for its statements.
        faults: how often it sent something malformed or unproven.
        unjudged: heads that were not looked at after others of their message had failed.
        repeats: announcements that told nothing new.
        unserved: ranges that it offered and did not serve.
        waits: how often it asked to be asked later.
        last_heard_at: when it last said anything, or None.
        last_error: in words, for the operator; None after a success.
        last_answered_at: when it last answered, or None.
        asked_to_wait_at: when it last asked to be told or compared with later, or None.
        roster_version: the newest roster it said to have.
        roster_refuted: the version that it was asked for last and did not have, or not proven; 0.
        touched: shared by all: who must be looked at again after this event.
    """

    member: str
    holds: dict[LogId, int] = field(default_factory=dict)
    in_flight: dict[Lane, dict[LogId, int]] = field(default_factory=dict)
    due: dict[LogId, float] = field(default_factory=dict)
    owed: dict[LogId, int] = field(default_factory=dict)
    receipted: dict[LogId, int] = field(default_factory=dict)
    comparing: bool = False
    compare_due: float | None = None
    compared_at: float = float("-inf")
    failures: int = 0
    retry_at: float = 0.0
    left_alone_until: float = 0.0
    ranges: dict[Lane, RangeBreaker] = field(default_factory=dict)
    faults: int = 0
    unjudged: int = 0
    repeats: int = 0
    unserved: int = 0
    waits: int = 0
    last_heard_at: float | None = None
    last_error: str | None = None
    last_answered_at: float | None = None
    asked_to_wait_at: float | None = None
    roster_version: int = 0
    roster_refuted: int = 0
    touched: dict[str, None] = field(default_factory=dict, repr=False)

    def is_open(self, now: float) -> bool:
        """Whether it may be asked something now."""
        return now >= self.retry_at and now >= self.left_alone_until

    def serves_at(self, lane: Lane) -> float:
        """When it may be asked for statements of that lane."""
        breaker = self.ranges.get(lane)
        return 0.0 if breaker is None else max(breaker.retry_at, breaker.left_alone_until)

    def may_serve(self, lane: Lane, now: float) -> bool:
        """Whether it may be asked for statements of that lane now."""
        return now >= self.serves_at(lane)

    @property
    def last_there_at(self) -> float | None:
        """When it last answered anything, if only that it is busy; None: never."""
        return max(self.last_answered_at or 0.0, self.asked_to_wait_at or 0.0) or None

    @property
    def is_silent(self) -> bool:
        """Whether somebody else should be told in its place."""
        return self.failures >= SILENT_FAILURES

    def make_due(self, log: LogId, at: float) -> None:
        """It is to be told of that log then, unless sooner anyway."""
        known = self.due.get(log)
        if known is None or at < known:
            self.due[log] = at
            self.touched[self.member] = None

    def compare_soon(self, now: float) -> None:
        """Head vectors are to be compared with it, as soon as the gap between two allows."""
        self.compare_due = max(now, self.compared_at + COMPARE_GAP_SECONDS)
        self.touched[self.member] = None

    def next_wake(self) -> float | None:
        """When something is due that is not already under way, if anything is."""
        soonest = None if self.comparing else self.compare_due
        for log, at in self.due.items() if self.due else ():
            if (soonest is None or at < soonest) and log.lane not in self.in_flight:
                soonest = at
        return None if soonest is None else max(soonest, self.retry_at, self.left_alone_until)

    def note_heard(self, now: float) -> None:
        """It spoke to us: whatever we were waiting out is over."""
        self.last_heard_at = now
        self.retry_at = min(self.retry_at, now)

    def note_probed(self, now: float) -> None:
        """It is its turn, however long it has been silent."""
        self.retry_at = min(self.retry_at, now)
        self.touched[self.member] = None  # what was due waited for the end of the wait

    def note_answered(self, now: float) -> bool:
        """It answered us; returns whether it had been failing before."""
        self.last_answered_at = now
        return self._note_there(now)

    def _note_there(self, now: float) -> bool:
        recovered = self.failures > 0
        self.failures, self.last_error = 0, None
        self.note_heard(now)
        return recovered

    def note_asked_to_wait(self, now: float, rng: Dice, seconds: float) -> bool:
        """It is there, and asked to be left alone; returns whether it had been failing before.

        It said nothing of what it holds: that is no answer to whoever waits for one.
        """
        self._count_wait()
        self.left_alone_until = max(self.left_alone_until, now + _asked_wait(seconds, rng))
        self.asked_to_wait_at = now
        return self._note_there(now)

    def _count_wait(self) -> None:
        self.waits = min(self.waits + 1, FAULTS_KEPT_MAX)

    def note_failed(
        self,
        now: float,
        rng: Dice,
        reason: str,
        *,
        wait_seconds_max: float = BACKOFF_SECONDS_MAX,
    ) -> None:
        """A request came to nothing: wait longer each time.

        Args:
            now: the engine's clock, seconds.
            rng: for the jitter.
            reason: in words, for the operator.
            wait_seconds_max: the longest wait that may come of the failure.
        """
        self.last_error = reason
        # What was under way beside the request that failed first: one outage is waited for once.
        if now >= self.retry_at:
            self.failures = min(self.failures + 1, FAULTS_KEPT_MAX)
            wait = min(_wait_after(self.failures), wait_seconds_max)
            self.retry_at = now + wait * rng.uniform(1 - JITTER, 1 + JITTER)

    def note_served(self, lane: Lane, now: float) -> None:
        """It served statements of that lane that were asked for."""
        breaker = self.ranges.get(lane)
        if breaker is not None:
            breaker.failures, breaker.retry_at = 0, min(breaker.retry_at, now)

    def note_not_served(
        self,
        lane: Lane,
        now: float,
        rng: Dice,
        reason: str,
        retry_after_seconds: float | None = None,
    ) -> None:
        """It did not serve statements of that lane that were asked for; see :meth:`note_failed`."""
        breaker = self.ranges.setdefault(lane, RangeBreaker())
        if retry_after_seconds:
            self._count_wait()
            until = now + _asked_wait(retry_after_seconds, rng)
            breaker.left_alone_until = max(breaker.left_alone_until, until)
            return
        self.last_error = reason
        self.unserved = min(self.unserved + 1, FAULTS_KEPT_MAX)
        if now >= breaker.retry_at:
            breaker.failures = min(breaker.failures + 1, FAULTS_KEPT_MAX)
            wait = _wait_after(breaker.failures) * rng.uniform(1 - JITTER, 1 + JITTER)
            breaker.retry_at = now + wait

    def note_repeat(self) -> None:
        """It announced what was known already; honest neighbours do, a few times a statement."""
        self.repeats = min(self.repeats + 1, FAULTS_KEPT_MAX)

    def note_unjudged(self, count: int) -> None:
        """So many heads of its message were not looked at: too many others had failed."""
        self.unjudged = min(self.unjudged + count, FAULTS_KEPT_MAX)

    def note_fault(self, reason: str) -> None:
        """It sent something malformed or unproven."""
        self.faults = min(self.faults + 1, FAULTS_KEPT_MAX)
        self.last_error = reason


def _wait_after(failures: int) -> float:
    return min(BACKOFF_SECONDS_FIRST * 2.0 ** min(failures - 1, 16), BACKOFF_SECONDS_MAX)


def _asked_wait(seconds: float, rng: Dice) -> float:
    """How long a peer is left alone that asked for so many seconds.

    Never less, as the jitter only adds, but not for ever; and whatever fraction it names, not none.
    """
    least = max(seconds, BACKOFF_SECONDS_FIRST)
    return min(least, BACKOFF_SECONDS_MAX) * rng.uniform(1, 1 + JITTER)


class Peers(Mapping[str, PeerView]):
    """The other members that can be reached, each with its view from the first time it is needed.

    As a mapping it holds those that were met: asked for by name, or heard.

    Attributes:
        reachable: all their names, in order.
        touched: who was changed during this event and must be looked at again.
    """

    def __init__(self) -> None:
        self.reachable: tuple[str, ...] = ()
        self.touched: dict[str, None] = {}
        self._names: frozenset[str] = frozenset()
        self._met: dict[str, PeerView] = {}

    def replace(self, names: Iterable[str]) -> list[str]:
        """Take a roster's names in place of the former ones; returns those that are new."""
        before, self._names = self._names, frozenset(names)
        self.reachable = tuple(sorted(self._names))
        self._met = {name: view for name, view in self._met.items() if name in self._names}
        return [name for name in self.reachable if name not in before]

    def __getitem__(self, name: str) -> PeerView:
        """The view of a peer; KeyError where the roster knows no such peer."""
        view = self._met.get(name)
        if view is None:
            if name not in self._names:
                raise KeyError(name)
            view = self._met[name] = PeerView(name, touched=self.touched)
        return view

    def get(self, name: str) -> PeerView | None:  # type: ignore[override] # asked for most of all
        """The view of a peer; None where the roster knows no such peer."""
        view = self._met.get(name)
        return self[name] if view is None and name in self._names else view

    def reachable_of(self, names: Iterable[str]) -> list[PeerView]:
        """The views of those among some whom this node can speak to, in their order."""
        met, known = self._met, self._names
        return [met.get(name) or self[name] for name in names if name in known]

    def __iter__(self) -> Iterator[str]:
        """The names of those that were met."""
        return iter(self._met)

    def __len__(self) -> int:
        """How many were met."""
        return len(self._met)

    @property
    def views(self) -> Mapping[str, PeerView]:
        """Those that were needed before, by name; to look at, not to change."""
        return self._met

    def is_reachable(self, name: str) -> bool:
        """Whether this node can speak to that member at all."""
        return name in self._names

    def is_silent(self, name: str) -> bool:
        """Whether a peer was asked in vain several times, or cannot be asked."""
        view = self._met.get(name)
        return name not in self._names or (view is not None and view.is_silent)

    def seem_cut_off(self, now: float) -> bool:
        """Whether it is this node that is cut off: most peers are silent, and nobody answers."""
        tried = [each for each in self._met.values() if each.failures or each.last_there_at]
        failing = sum(each.failures > 0 for each in tried)
        answered = max((each.last_there_at or 0.0 for each in tried), default=0.0)
        return (
            len(tried) >= ISOLATED_PEERS_MIN
            and 2 * failing > len(tried)
            and now - answered > ISOLATED_SILENCE_SECONDS
        )
