"""How each peer is doing, as seen from here and only here: nobody can declare another one dead.

One :class:`PeerView` per member that can be reached. A breaker per direction: after a failure the
peer is left alone for a growing, jittered time, at most ``BACKOFF_SECONDS_MAX``; anything heard
*from* it ends the wait at once, because a peer that speaks can probably be spoken to, and so does
its turn in the rounds of anti-entropy, because otherwise nobody would be first to speak.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from federation.gossip.dice import Dice
from federation.protocol.origins import Lane, LogId

BACKOFF_SECONDS_FIRST: Final = 0.5
"""After one failure: about the time in which a restarted process answers again."""

BACKOFF_SECONDS_MAX: Final = 300.0
"""A member back from an outage hears from everybody within five minutes even if it is silent."""

JITTER: Final = 0.4
"""Waits vary by 40 % either way, so that peers of one dead node do not return in step."""

FAULTS_KEPT_MAX: Final = 1_000_000_000
"""Counters stop here instead of growing without end."""


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
        failures: requests in a row that came to nothing.
        retry_at: when it may be asked again.
        faults: how often it sent something malformed or unproven.
        last_heard_at: when it last said anything, or None.
        last_error: in words, for the operator; None after a success.
        roster_version: the newest roster it said to have.
    """

    member: str
    holds: dict[LogId, int] = field(default_factory=dict)
    in_flight: dict[Lane, dict[LogId, int]] = field(default_factory=dict)
    due: dict[LogId, float] = field(default_factory=dict)
    owed: dict[LogId, int] = field(default_factory=dict)
    receipted: dict[LogId, int] = field(default_factory=dict)
    comparing: bool = False
    compare_due: float | None = None
    failures: int = 0
    retry_at: float = 0.0
    faults: int = 0
    last_heard_at: float | None = None
    last_error: str | None = None
    roster_version: int = 0

    def is_open(self, now: float) -> bool:
        """Whether it may be asked something now."""
        return now >= self.retry_at

    def next_wake(self) -> float | None:
        """When something is due that is not already under way, if anything is."""
        times = [at for log, at in self.due.items() if log.lane not in self.in_flight]
        if self.compare_due is not None and not self.comparing:
            times.append(self.compare_due)
        return max(min(times), self.retry_at) if times else None

    def note_heard(self, now: float) -> None:
        """It spoke to us: whatever we were waiting out is over."""
        self.last_heard_at = now
        self.retry_at = min(self.retry_at, now)

    def note_probed(self, now: float) -> None:
        """It is its turn, however long it has been silent."""
        self.retry_at = min(self.retry_at, now)

    def note_answered(self, now: float) -> bool:
        """It answered us; returns whether it had been failing before."""
        recovered = self.failures > 0
        self.failures, self.last_error = 0, None
        self.note_heard(now)
        return recovered

    def note_failed(
        self, now: float, rng: Dice, reason: str, retry_after_seconds: float | None = None
    ) -> None:
        """A request came to nothing: wait longer each time.

        Args:
            now: the engine's clock, seconds.
            rng: for the jitter.
            reason: in words, for the operator.
            retry_after_seconds: how long the peer itself asked to be left alone, if it did.
        """
        self.last_error = reason
        wait = retry_after_seconds or 0.0
        # What was under way beside the request that failed first: one outage is waited for once.
        if self.is_open(now):
            self.failures = min(self.failures + 1, FAULTS_KEPT_MAX)
            wait = max(wait, BACKOFF_SECONDS_FIRST * 2 ** min(self.failures - 1, 16))
        wait = min(wait, BACKOFF_SECONDS_MAX) * rng.uniform(1 - JITTER, 1 + JITTER)
        self.retry_at = max(self.retry_at, now + wait)

    def note_fault(self, reason: str) -> None:
        """It sent something malformed or unproven."""
        self.faults = min(self.faults + 1, FAULTS_KEPT_MAX)
        self.last_error = reason
