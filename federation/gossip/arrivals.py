"""What was asked for, as it arrives or fails to: judged, and blamed on who sent it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from federation.errors import FederationError, ProtocolError, VerificationError
from federation.gossip.dice import Dice
from federation.gossip.events import Command, RangeFailed, RangeReceived
from federation.gossip.forks import Forks
from federation.gossip.joining_events import (
    HashesFailed,
    HashesReceived,
    PieceFailed,
    PieceReceived,
)
from federation.gossip.peers import PeerView
from federation.gossip.reconciliation import RETRY_SECONDS, SET_ASIDE_SECONDS, Reconciliation
from federation.local_errors.proofs import ConsistencyUnproven, Fork, RootMismatch
from federation.provenance.verifier import Head


class Seen(Protocol):
    """The peers as this node sees them."""

    def get(self, name: str) -> PeerView | None:
        """One of them; None for one that is no peer."""


class Arrivals:
    """The answers to ``FetchRange``, ``FetchHashes`` and ``FetchPiece``.

    Args:
        reconciliation: what is held, and what is on the way.
        peers: the peers as they are now.
        blame: counts what a peer should not have sent.
        forks: looks into what does not fit.
    """

    def __init__(
        self,
        reconciliation: Reconciliation,
        peers: Seen,
        blame: Callable[[str, FederationError], None],
        forks: Forks,
    ) -> None:
        self._reconciliation, self._peers, self._blame = reconciliation, peers, blame
        self._forks = forks

    def range(self, event: RangeReceived, now: float, _rng: Dice) -> list[Command]:
        """Statements that follow what is held."""
        self._note_served(event, now)
        sync = self._reconciliation.sync_of(event.log)
        if event.asked not in {None, sync.asked}:
            return []  # it was given up, and something else was asked of the same peer since
        under = sync.asked_under
        if self._reconciliation.is_forked(event.log):
            sync.take_asked(event.peer)
            return []
        try:
            persist = self._reconciliation.receive(event.peer, event.log, event.message)
        except Fork as fork:
            return self._forks.fork(fork)
        except (RootMismatch, ConsistencyUnproven) as error:
            self._reconciliation.note_failed(event.peer, event.log, now + SET_ASIDE_SECONDS)
            if under is not None:
                self._forks.mismatch(under, event.peer, error)
            return []
        except (ProtocolError, VerificationError) as error:
            self._reconciliation.note_failed(event.peer, event.log, now + SET_ASIDE_SECONDS)
            self._blame(event.peer, error)
            return []
        return [persist] if persist is not None else []

    def range_failed(self, event: RangeFailed, now: float, rng: Dice) -> list[Command]:
        """None came."""
        if event.asked in {None, self._reconciliation.sync_of(event.log).asked}:
            self._reconciliation.note_failed(event.peer, event.log, now + RETRY_SECONDS)
        peer = self._peers.get(event.peer)
        if peer is not None:
            peer.note_not_served(event.log.lane, now, rng, event.reason, event.retry_after_seconds)
        return []

    def hashes(self, event: HashesReceived, now: float, _rng: Dice) -> list[Command]:
        """Hashes of a tree."""
        joining = self._reconciliation.joining
        self._note_served(event, now)
        if event.asked is not None and not joining.awaits(event.asked):
            return []  # of an earlier head, perhaps
        head = joining.head_of(event.log)
        try:
            joining.hashes(event.peer, event.log, event.message, now)
        except (RootMismatch, ConsistencyUnproven) as error:
            joining.note_hashes_failed(event.peer, event.log)
            self._doubt(event, head, error, now)
        except (ProtocolError, VerificationError) as error:
            joining.note_hashes_failed(event.peer, event.log)
            self._set_aside(event, error, now)
        return []

    def hashes_failed(self, event: HashesFailed, now: float, rng: Dice) -> list[Command]:
        """None came."""
        joining = self._reconciliation.joining
        if event.asked is None or joining.awaits(event.asked):
            joining.note_hashes_failed(event.peer, event.log)
        self._note_failed(event, now, rng)
        return []

    def piece(self, event: PieceReceived, now: float, _rng: Dice) -> list[Command]:
        """A piece of a log."""
        joining = self._reconciliation.joining
        self._note_served(event, now)
        head = joining.head_of(event.log)
        try:
            joining.piece(event.peer, event.log, event.start, event.message, now)
        except (RootMismatch, ConsistencyUnproven) as error:
            self._doubt(event, head, error, now)
        except (ProtocolError, VerificationError) as error:
            self._set_aside(event, error, now)
        return []

    def piece_failed(self, event: PieceFailed, now: float, rng: Dice) -> list[Command]:
        """It did not come."""
        self._reconciliation.joining.note_piece_failed(event.peer, event.log, event.start)
        self._note_failed(event, now, rng)
        return []

    def _note_served(
        self, event: RangeReceived | HashesReceived | PieceReceived, now: float
    ) -> None:
        peer = self._peers.get(event.peer)
        if peer is not None:
            peer.note_served(event.log.lane, now)

    def _note_failed(self, event: HashesFailed | PieceFailed, now: float, rng: Dice) -> None:
        sync = self._reconciliation.sync_of(event.log)
        sync.set_aside[event.peer] = now + RETRY_SECONDS
        peer = self._peers.get(event.peer)
        if peer is not None:
            peer.note_not_served(event.log.lane, now, rng, event.reason, event.retry_after_seconds)

    def _doubt(
        self,
        event: HashesReceived | PieceReceived,
        head: Head | None,
        error: FederationError,
        now: float,
    ) -> None:
        """What came does not lead to the head: a lie, or an honest word on another history."""
        sync = self._reconciliation.sync_of(event.log)
        sync.set_aside[event.peer] = now + SET_ASIDE_SECONDS
        offered = sync.offers.get(event.peer)
        if offered == head and sync.view.head is None:
            self._blame(event.peer, error)  # it said that it holds just this
        elif head is not None and offered == head:
            self._forks.mismatch(head, event.peer, error)
        elif offered is not None and sync.view.head is not None:
            self._forks.doubt(offered, event.peer)

    def _set_aside(
        self, event: HashesReceived | PieceReceived, error: FederationError, now: float
    ) -> None:
        sync = self._reconciliation.sync_of(event.log)
        sync.set_aside[event.peer] = now + SET_ASIDE_SECONDS
        self._blame(event.peer, error)
