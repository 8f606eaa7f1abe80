"""What can change for a platform, as values; :mod:`federation.daemon.teller` tells them in order.

Signals stand in these values, and in no text, log line or ``repr`` made of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from federation.protocol.headers import StatementId
from federation.protocol.origins import LogId
from federation.protocol.signals import SignalType
from federation.provenance.incidents import IncidentState
from federation.provenance.verdict import SignalState, Verdict
from federation.provenance.verifier import VerifiedStatement

Mark: TypeAlias = tuple[SignalType, bytes]
"""A signal's type and identity (``protocol.signals.identity_of``)."""


@dataclass(frozen=True, slots=True)
class VerdictChanged:
    """The federation says something else of a signal than before.

    Attributes:
        mark: which signal.
        before: what it said; None where that can no longer be known, as after an erase.
        verdict: what it says now, with every statement behind it.
        causes: the statements of the step that touched it, sorted.
    """

    mark: Mark = field(repr=False)
    before: SignalState | None
    verdict: Verdict
    causes: tuple[StatementId, ...] = ()


@dataclass(frozen=True, slots=True)
class StatementsErased:
    """Erases were carried out: whoever keeps anything of these statements lets go of it.

    Attributes:
        ids: the statements, sorted.
        by: the erases, sorted; none where governance ordered it.
    """

    ids: tuple[StatementId, ...]
    by: tuple[StatementId, ...]


@dataclass(frozen=True, slots=True)
class IssuersChanged:
    """Members whose word counts otherwise than before, and with it every signal of theirs.

    Attributes:
        suspended: all members that are suspended now, sorted.
        accused: all members that are under evidence now, sorted.
    """

    suspended: tuple[str, ...]
    accused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SignalQuarantined:
    """A signal goes to review here, whatever the policy says, until a person decides.

    Attributes:
        mark: which signal.
        reason: ``flood`` or ``benign``.
        at_ms: since when, Unix milliseconds.
    """

    mark: Mark = field(repr=False)
    reason: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class QuarantineEnded:
    """A person decided about a quarantined signal.

    Attributes:
        mark: which signal.
        decision: ``released`` (it acts again) or ``excepted`` (it never acts here).
        at_ms: when, Unix milliseconds.
    """

    mark: Mark = field(repr=False)
    decision: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class FoundEarlier:
    """Content that was uploaded before a signal came matches it.

    Attributes:
        reference: the platform's own name for the upload.
        uploaded_at_ms: when it was asked about, Unix milliseconds.
        mark: the known signal.
        distance: how far the upload is from it.
        action: what the policy says.
        rule: which rule of it decided.
        statements: the confirms behind the signal.
    """

    reference: str = field(repr=False)
    uploaded_at_ms: int
    mark: Mark = field(repr=False)
    distance: int
    action: str
    rule: str
    statements: tuple[StatementId, ...]


@dataclass(frozen=True, slots=True)
class LiveMatchChanged:
    """A match in a live stream was raised, or for a stronger action, or is over.

    Attributes:
        stream: the platform's own name of the stream.
        state: ``began``, ``stronger`` or ``ended``.
        began_at_ms: the time of its first matching frame: the stream's own, or the node's.
        frames: in the stream's window.
        matched: how many of them match.
        mark: the known signal.
        distance: how far the frame that decided is from it.
        action: what the policy says.
        rule: which rule of it decided.
        statements: the confirms behind the signal.
    """

    stream: str = field(repr=False)
    state: str
    began_at_ms: int
    frames: int
    matched: int
    mark: Mark = field(repr=False)
    distance: int
    action: str
    rule: str
    statements: tuple[StatementId, ...]


@dataclass(frozen=True, slots=True)
class IncidentChanged:
    """A crisis opened, changed its level, or closed.

    Attributes:
        id: the statement that opened it.
        incident: how it stands now; None where it was taken back.
    """

    id: StatementId
    incident: IncidentState | None


@dataclass(frozen=True, slots=True)
class PolicyReplaced:
    """Another policy is in force; every earlier decision may be another one now.

    Attributes:
        sha256: of the policy's text, hex.
    """

    sha256: str


@dataclass(frozen=True, slots=True)
class HistoryCut:
    """What changed up to here was not told one by one: take a snapshot."""


Change: TypeAlias = (
    VerdictChanged
    | StatementsErased
    | IssuersChanged
    | SignalQuarantined
    | QuarantineEnded
    | FoundEarlier
    | LiveMatchChanged
    | IncidentChanged
    | PolicyReplaced
    | HistoryCut
)


@dataclass(frozen=True, slots=True)
class ChangeBatch:
    """What one committed step changed, or something beside the logs.

    Attributes:
        changes: in order; may be empty where a step changed nothing.
        log: the step's log; None where nothing was appended.
        end: the log's size after the step. With ``log`` it names the step: a sink that has it
            already keeps nothing.
        erasure: the number of the erasure that it tells of, greater with each; 0 where it tells of
            none. It names that as ``log`` and ``end`` name a step.
    """

    changes: tuple[Change, ...]
    log: LogId | None = None
    end: int = 0
    erasure: int = 0


class Sink(Protocol):
    """Whoever is told: a feed, an outbox."""

    async def keep(self, batch: ChangeBatch) -> None:
        """Take a batch, durably where the sink promises that.

        Raises:
            StoreError: it could not; the same batch comes again.
        """


Deriver: TypeAlias = Callable[[Sequence[VerifiedStatement]], Awaitable[Sequence[Change]]]
"""From the statements of a durable step to what they changed."""
