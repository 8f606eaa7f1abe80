"""What the engine is told (past tense) and what it orders (imperative).

The shell turns sockets, disks and clocks into events and carries the commands out; a simulator does
the same with virtual ones. Values only: nothing here acts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from federation.gossip.fork_events import ForkCommand, ForkedLog, ForkEvent
from federation.gossip.joining_events import (
    FetchHashes,
    FetchPiece,
    HashesFailed,
    HashesReceived,
    PieceFailed,
    PieceReceived,
)
from federation.protocol.headers import StatementId
from federation.protocol.messages import (
    Announcement,
    AnnouncementAnswer,
    Comparison,
    ComparisonAnswer,
    StatementRange,
)
from federation.protocol.origins import Lane, LogId
from federation.protocol.statements import Statement
from federation.provenance.log_view import Advance, LogView
from federation.provenance.verifier import Receipt, Verifier

# --- events ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The store was read: logs, one's own receipts on their heads, gaps, logs under evidence."""

    views: tuple[LogView, ...]
    receipts: tuple[Receipt, ...] = ()
    gaps: tuple[GapsKnown, ...] = ()
    forked: tuple[ForkedLog, ...] = ()


@dataclass(frozen=True, slots=True)
class GapsKnown:
    """What is missing of a log now: it grew, shrank, or an attempt to fill it has ended.

    Attributes:
        log: which.
        missing: index -> which statement; the first ones, where there are many.
        receipt: this node's, on the newest head, where nothing is missing any more.
        branch: which branch of it.
    """

    log: LogId
    missing: Mapping[int, StatementId]
    receipt: Receipt | None = None
    branch: int = 0


@dataclass(frozen=True, slots=True)
class Erased:
    """Salt and body of these statements are gone here."""

    ids: frozenset[StatementId]


@dataclass(frozen=True, slots=True)
class Woke:
    """The time that the last ``WakeAt`` named has come."""


@dataclass(frozen=True, slots=True)
class RosterChanged:
    """A newer roster is in force.

    Attributes:
        verifier: judges from now on.
        views: logs that a pin ends earlier or lets go further than before, as they stand here now.
        branches: the same of branches but the first, each with its number.
    """

    verifier: Verifier
    views: tuple[LogView, ...] = ()
    branches: tuple[tuple[int, LogView], ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """A step of one of this node's own logs is durable."""

    step: Advance


@dataclass(frozen=True, slots=True)
class Persisted:
    """A step of another member's log is durable; the receipt is this node's, if it made one.

    Attributes:
        step: what was written.
        receipt: on its head.
        seconds: how long the writer was busy with it.
    """

    step: Advance
    receipt: Receipt | None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PersistFailed:
    """A step could not be made durable; nothing of it was kept.

    Attributes:
        log: whose step.
        reason: in words.
        view: what is durable, where that is not what the step was judged from.
    """

    log: LogId
    reason: str
    view: LogView | None = None


@dataclass(frozen=True, slots=True)
class PeerCame:
    """A peer that cannot be connected to asks for the calls that wait for it."""

    peer: str


@dataclass(frozen=True, slots=True)
class AnnouncementReceived:
    """A peer announced; ``ask`` names the request that waits for an answer."""

    peer: str
    ask: int
    message: Announcement


@dataclass(frozen=True, slots=True)
class AnnouncementAnswered:
    """A peer answered the announcement in flight on that lane."""

    peer: str
    lane: Lane
    message: AnnouncementAnswer


@dataclass(frozen=True, slots=True)
class AnnouncementFailed:
    """The announcement in flight on that lane came to nothing."""

    peer: str
    lane: Lane
    reason: str
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ComparisonReceived:
    """A peer asks to compare head vectors; ``ask`` names the waiting request."""

    peer: str
    ask: int
    message: Comparison


@dataclass(frozen=True, slots=True)
class ComparisonAnswered:
    """A peer answered a comparison."""

    peer: str
    message: ComparisonAnswer


@dataclass(frozen=True, slots=True)
class ComparisonFailed:
    """A comparison came to nothing."""

    peer: str
    reason: str
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RangeReceived:
    """A peer served statements of a log.

    Attributes:
        peer: who.
        log: of which log.
        message: the statements.
        asked: the order that this answers; late answers to earlier ones are told by it.
    """

    peer: str
    log: LogId
    message: StatementRange
    asked: FetchRange | None = None


@dataclass(frozen=True, slots=True)
class RangeFailed:
    """A peer did not serve the range asked for."""

    peer: str
    log: LogId
    reason: str
    retry_after_seconds: float | None = None
    asked: FetchRange | None = None


@dataclass(frozen=True, slots=True)
class OpeningsReceived:
    """A peer served statements whose bodies are missing here."""

    peer: str
    log: LogId
    message: StatementRange
    branch: int = 0


@dataclass(frozen=True, slots=True)
class OpeningsFailed:
    """A peer did not serve them."""

    peer: str
    log: LogId
    reason: str
    retry_after_seconds: float | None = None
    branch: int = 0


@dataclass(frozen=True, slots=True)
class ReopenFailed:
    """What a peer had of a branch's missing openings could not be put back."""

    log: LogId
    branch: int = 0


@dataclass(frozen=True, slots=True)
class RosterFetchEnded:
    """A fetch of the next roster version is over, whatever came of it.

    Attributes:
        peer: who was asked.
        is_refuted: whether it said that it has no such version, or served what is not proven.
    """

    peer: str
    is_refuted: bool = False


Event: TypeAlias = (
    Started
    | Woke
    | RosterChanged
    | Published
    | Persisted
    | PersistFailed
    | PeerCame
    | AnnouncementReceived
    | AnnouncementAnswered
    | AnnouncementFailed
    | ComparisonReceived
    | ComparisonAnswered
    | ComparisonFailed
    | RangeReceived
    | RangeFailed
    | HashesReceived
    | HashesFailed
    | PieceReceived
    | PieceFailed
    | OpeningsReceived
    | OpeningsFailed
    | ReopenFailed
    | GapsKnown
    | Erased
    | RosterFetchEnded
    | ForkEvent
)

# --- commands -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Announce:
    """Send an announcement; at most one is in flight per peer and lane."""

    peer: str
    lane: Lane
    message: Announcement


@dataclass(frozen=True, slots=True)
class AnswerAnnouncement:
    """Answer the waiting request."""

    ask: int
    message: AnnouncementAnswer


@dataclass(frozen=True, slots=True)
class Compare:
    """Send a comparison."""

    peer: str
    message: Comparison


@dataclass(frozen=True, slots=True)
class AnswerComparison:
    """Answer the waiting request."""

    ask: int
    message: ComparisonAnswer


@dataclass(frozen=True, slots=True)
class FetchRange:
    """Ask a peer for statements ``[start, end)`` of a log, proven to its head of ``head_size``."""

    peer: str
    log: LogId
    start: int
    end: int
    head_size: int


@dataclass(frozen=True, slots=True)
class FetchOpenings:
    """Ask a peer for statements ``[start, end)`` of a branch, whose bodies are missing here.

    Where it names this node itself: look whether they stand whole in another place.
    """

    peer: str
    log: LogId
    start: int
    end: int
    branch: int = 0


@dataclass(frozen=True, slots=True)
class Reopen:
    """Put back salts and bodies that were missing, and say what is missing still.

    Attributes:
        log: which log.
        statements: index -> the statement, opened; of the id that stands there.
        branch: which branch of it.
    """

    log: LogId
    statements: Mapping[int, Statement]
    branch: int = 0


@dataclass(frozen=True, slots=True)
class FetchRoster:
    """Ask a peer for a roster version."""

    peer: str
    version: int


@dataclass(frozen=True, slots=True)
class Persist:
    """Make a step durable, cosign its head if it is complete, and say so."""

    step: Advance


@dataclass(frozen=True, slots=True)
class KeepReceipt:
    """Keep a proven receipt of another member."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class RaiseAlarm:
    """Tell the operator: something that a person must look at."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Send ``Woke`` then (engine's clock, seconds) and only then; told when it changes or rang."""

    at: float


Command: TypeAlias = (
    Announce
    | AnswerAnnouncement
    | Compare
    | AnswerComparison
    | FetchRange
    | FetchHashes
    | FetchPiece
    | FetchOpenings
    | Reopen
    | FetchRoster
    | Persist
    | KeepReceipt
    | RaiseAlarm
    | WakeAt
    | ForkCommand
)
