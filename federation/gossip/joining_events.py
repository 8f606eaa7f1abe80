"""What a joining node orders, and what comes of it; see ``events`` and ``joining``."""

from __future__ import annotations

from dataclasses import dataclass

from federation.protocol.messages import StatementRange
from federation.protocol.messages_hashes import BundleHashes
from federation.protocol.origins import LogId


@dataclass(frozen=True, slots=True)
class HashesReceived:
    """A peer served hashes of a log's tree; ``asked`` is the order that this answers."""

    peer: str
    log: LogId
    message: BundleHashes
    asked: FetchHashes | None = None


@dataclass(frozen=True, slots=True)
class HashesFailed:
    """A peer did not serve them."""

    peer: str
    log: LogId
    reason: str
    retry_after_seconds: float | None = None
    asked: FetchHashes | None = None


@dataclass(frozen=True, slots=True)
class PieceReceived:
    """A peer served the piece of a log that begins at ``start``."""

    peer: str
    log: LogId
    start: int
    message: StatementRange


@dataclass(frozen=True, slots=True)
class PieceFailed:
    """A peer did not serve it."""

    peer: str
    log: LogId
    start: int
    reason: str
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class FetchHashes:
    """Ask a peer for the roots of bundles ``[start, end)`` of a log, as of its size ``at``."""

    peer: str
    log: LogId
    start: int
    end: int
    at: int


@dataclass(frozen=True, slots=True)
class FetchPiece:
    """Ask a peer for statements ``[start, end)`` of a log whose tree is at hand."""

    peer: str
    log: LogId
    start: int
    end: int
