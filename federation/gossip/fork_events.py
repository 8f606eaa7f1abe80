"""What the engine is told and orders about logs with more than one history.

As in :mod:`federation.gossip.events`: values only, events past tense, commands imperative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from federation.errors import FederationError
from federation.gossip.parting import Parting
from federation.protocol.messages import StatementRange
from federation.protocol.origins import LogId
from federation.provenance.convicting import Conviction
from federation.provenance.log_view import Advance, LogView
from federation.provenance.verifier import Head

# --- events ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ForkedLog:
    """A log under evidence, as the store holds it.

    Attributes:
        conviction: a piece of evidence against it.
        branches: number -> view, of every branch but the first.
    """

    conviction: Conviction
    branches: Mapping[int, LogView]


@dataclass(frozen=True, slots=True)
class EvidenceFound:
    """A room beside the engine found evidence, and made it durable."""

    conviction: Conviction


@dataclass(frozen=True, slots=True)
class PartingFound:
    """The end of a ``FindParting``."""

    head: Head
    parting: Parting


@dataclass(frozen=True, slots=True)
class PartingFailed:
    """The peer did not answer, or what it answered is not what the head says.

    Attributes:
        head: the one that was looked for.
        peer: who was asked.
        reason: in words.
        fault: what is wrong with its answer; None where there was none.
    """

    head: Head
    peer: str
    reason: str
    fault: FederationError | None = None


@dataclass(frozen=True, slots=True)
class BranchRangeReceived:
    """A peer served statements of a branch."""

    peer: str
    log: LogId
    message: StatementRange


@dataclass(frozen=True, slots=True)
class BranchRangeFailed:
    """A peer did not serve them."""

    peer: str
    log: LogId
    reason: str


@dataclass(frozen=True, slots=True)
class BranchPersisted:
    """A step of a branch is durable."""

    branch: int
    step: Advance


@dataclass(frozen=True, slots=True)
class BranchPersistFailed:
    """A step of a branch could not be made durable; nothing of it was kept."""

    log: LogId
    reason: str


@dataclass(frozen=True, slots=True)
class BranchHeadKept:
    """A head is durable under which all of it was held in a branch already."""

    branch: int
    head: Head


ForkEvent: TypeAlias = (
    EvidenceFound
    | PartingFound
    | PartingFailed
    | BranchRangeReceived
    | BranchRangeFailed
    | BranchPersisted
    | BranchPersistFailed
    | BranchHeadKept
)

# --- commands -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FindParting:
    """Look where a head stands (:func:`federation.gossip.parting.find_parting`).

    Attributes:
        peer: who holds it and may be asked; empty where only the own store may be.
        head: which head.
        views: branch number -> what is held.
        is_accused: whether its log is under evidence.
    """

    peer: str
    head: Head
    views: Mapping[int, LogView]
    is_accused: bool


@dataclass(frozen=True, slots=True)
class FetchBranch:
    """Ask a peer for statements ``[start, end)`` of the branch with that head."""

    peer: str
    head: Head
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class PersistBranch:
    """Make a step of a branch durable, and say so.

    Attributes:
        step: judged.
        branch: the branch's number.
        base: where it is a new one, the number of the branch that it begins with, else None.
    """

    step: Advance
    branch: int
    base: int | None


@dataclass(frozen=True, slots=True)
class KeepBranchHead:
    """Keep a head that a branch held in part contains, and say so.

    Attributes:
        branch: the branch's number.
        head: proven, and its root the branch's own at its size.
    """

    branch: int
    head: Head


@dataclass(frozen=True, slots=True)
class KeepEvidence:
    """Keep what convicts a log's key, for ever."""

    conviction: Conviction


@dataclass(frozen=True, slots=True)
class StopSigning:
    """Sign nothing more of an own log until a person has looked: somebody else did.

    Attributes:
        log: which.
        head: the one that this node did not know.
        peer: who holds it.
    """

    log: LogId
    head: Head
    peer: str


ForkCommand: TypeAlias = (
    FindParting | FetchBranch | PersistBranch | KeepBranchHead | KeepEvidence | StopSigning
)
