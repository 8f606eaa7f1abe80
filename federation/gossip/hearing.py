"""Hearing: what peers say about heads and receipts, judged.

Whoever sends something malformed or unproven harms his own name here and nobody else's: the other
heads of the same message are heard, and a head that is proven counts whoever passed it on. Two
notes of one log that cannot both be true convict the key that signed them, never the messenger.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from federation.errors import (
    BeyondPin,
    FederationError,
    LogUnknown,
    ProtocolError,
    SignatureInvalid,
    VerificationError,
)
from federation.gossip.events import Command, KeepReceipt, RaiseAlarm
from federation.gossip.fork_events import StopSigning
from federation.gossip.forks import Forks
from federation.gossip.peers import PeerView
from federation.gossip.reconciliation import Reconciliation
from federation.local_errors.proofs import ConsistencyUnproven, Fork, RootMismatch
from federation.protocol.messages import AnnouncedHead, HeldLog
from federation.protocol.origins import Cosigner, LogId
from federation.provenance.verifier import Head

BEYOND_TOLD_MAX: Final = 64
"""Alarms about heads beyond pins under one roster; a thief can sign any number of them."""

FAILURES_MAX: Final = 8
"""In one message; then the rest of it is not judged. Each costs a signature check, an announcement
has room for hundreds, and an honest one has none: but for a few keys where rosters differ, and what
that leaves unjudged the next comparison brings."""


class Hearing:
    """The judge's bench of one engine.

    Args:
        member: this node's own name.
        reconciliation: what is held, and who offers more.
        peers: the peers as they are now.
        forks: holds heads against what is held, where that takes longer.
    """

    def __init__(
        self,
        member: str,
        reconciliation: Reconciliation,
        peers: Callable[[], Mapping[str, PeerView]],
        forks: Forks,
    ) -> None:
        self._member = member
        self._reconciliation, self._forks = reconciliation, forks
        self._peers = peers
        self._alarmed: dict[LogId, int] = {}
        self._beyond_told: set[str] = set()
        self._failures = 0

    def heads(
        self, peer_name: str, announced: Sequence[AnnouncedHead]
    ) -> list[tuple[list[Command], LogId | None]]:
        """Judge the heads of one message in their order, until too many of them failed.

        Returns:
            What :meth:`head` says of each that was judged.
        """
        heard: list[tuple[list[Command], LogId | None]] = []
        self._failures = 0
        for each in announced:
            if self._failures >= FAILURES_MAX:
                peer = self._peers().get(peer_name)
                if peer is not None:
                    peer.note_unjudged(len(announced) - len(heard))
                break
            heard.append(self.head(peer_name, each))
        return heard

    def head(self, peer_name: str, announced: AnnouncedHead) -> tuple[list[Command], LogId | None]:
        """Judge one announced head, what rides with it, and the sender's receipt on it.

        Returns:
            What follows from it, and its log; None where the head itself is not proven.
        """
        peer = self._peers().get(peer_name)
        try:
            head = self._reconciliation.verifier.open_head(announced.note)
        except BeyondPin as error:
            return self._beyond(peer_name, error), None
        except (ProtocolError, VerificationError) as error:
            is_about_keys = isinstance(error, SignatureInvalid | LogUnknown)
            if is_about_keys and self._judges_by_other_roster(peer):
                self._failures += 1
            else:
                self.blame(peer_name, error)
            return [], None
        if peer is not None:
            peer.holds[head.log] = head.size
        if self._forks.is_accused(head.log):
            self._forks.doubt(head, peer_name)
            return [], head.log
        if head.log.member == self._member:
            commands = self._own(peer_name, head)
        else:
            commands = self._other(peer_name, head, announced)
        commands += self.receipt(peer_name, head, announced.receipt)
        return commands, head.log

    def note_roster(self) -> None:
        """Another roster judges from now on: what is beyond its pins is told anew."""
        self._beyond_told.clear()

    def _judges_by_other_roster(self, peer: PeerView | None) -> bool:
        """Whether what is no proof here may be one there: by a key or up to a pin of its roster."""
        if peer is None or peer.roster_version in {0, self._roster_version}:
            return False
        # It was asked for a version that it has, by its own word, and could not show it.
        is_refuted = self._roster_version < peer.roster_refuted <= peer.roster_version
        return not is_refuted

    def _beyond(self, peer_name: str, error: BeyondPin) -> list[Command]:
        """Signed beyond a pin: evidence only, applied nowhere, and operators are told once."""
        self._failures += 1
        is_known = error.message in self._beyond_told or len(self._beyond_told) >= BEYOND_TOLD_MAX
        if is_known or self._judges_by_other_roster(self._peers().get(peer_name)):
            return []
        self._beyond_told.add(error.message)
        return [RaiseAlarm(error.code, f"{error.message}; told by {peer_name}")]

    @property
    def _roster_version(self) -> int:
        return self._reconciliation.verifier.roster.version

    def _other(self, peer_name: str, head: Head, announced: AnnouncedHead) -> list[Command]:
        sync = self._reconciliation.sync_of(head.log)
        offered = sync.offers.get(peer_name)
        if offered is not None and offered != head:
            self._forks.doubt(offered, peer_name)  # what it said before, which this replaces
        if head.size <= sync.view.size and head != sync.view.head:
            self._forks.doubt(head, peer_name)
        try:
            persist = self._reconciliation.hear(peer_name, head, announced.inline)
        except Fork as fork:
            commands = self._forks.fork(fork)
            self._forks.doubt(head, peer_name)
            return commands
        except (RootMismatch, ConsistencyUnproven) as error:
            self._forks.mismatch(head, peer_name, error)
            return []
        except (ProtocolError, VerificationError) as error:
            self.blame(peer_name, error)
            return []
        return [persist] if persist is not None else []

    def _own(self, peer_name: str, head: Head) -> list[Command]:
        """A head of one's own: an unknown one is a restored backup, a second copy or a thief."""
        view = self._reconciliation.sync_of(head.log).view
        if head == view.head:
            return []
        self._forks.doubt(head, peer_name)
        if head.size <= view.size:
            return []
        # Each time: a person may have gone on signing meanwhile. Where it is stopped, it stays so.
        stop = StopSigning(head.log, head, peer_name)
        if view.size < self._alarmed.get(head.log, 0):
            return [stop]  # operators were told, and it is not taken back in yet
        self._alarmed[head.log] = head.size
        text = (
            f"{peer_name} holds {head.size} statements of {head.log}; this node knows {view.size}: "
            f"signing stopped, see federation recover"
        )
        return [stop, RaiseAlarm("own-head-unknown", text)]

    def receipt(self, peer_name: str, head: Head, line: str | None) -> list[Command]:
        """Judge a peer's receipt, given with a head."""
        peer = self._peers().get(peer_name)
        if line is None or peer is None:
            return []
        try:
            return self._keep_receipt(peer, head, line)
        except (ProtocolError, VerificationError) as error:
            self.blame(peer_name, error)
            return []

    def answer(self, peer: PeerView, log: LogId, held: HeldLog, now: float) -> list[Command]:
        """Judge the receipt in a peer's answer about a log that was announced to it."""
        head = self._reconciliation.sync_of(log).view.head
        if held.receipt is None or head is None or head.size != held.size:
            return []
        try:
            return self._keep_receipt(peer, head, held.receipt)
        except (ProtocolError, VerificationError):
            # Not on this head: a lie, or an honest word on another history of that size. The
            # peer's own heads will tell which.
            peer.compare_soon(now)
            return []

    def _keep_receipt(self, peer: PeerView, head: Head, line: str) -> list[Command]:
        view = self._reconciliation.sync_of(head.log).view
        # Only on the head held here, so that nobody fills the table with others, and only once.
        is_known = peer.receipted.get(head.log, 0) >= head.size
        if is_known or view.head != head or not view.is_complete:
            return []
        verifier = self._reconciliation.verifier
        receipt = verifier.open_receipt(head, peer.member, Cosigner.MIRROR, line)
        peer.receipted[head.log] = head.size
        return [KeepReceipt(receipt)]

    def blame(self, peer_name: str, error: FederationError) -> None:
        """Count what that peer should not have sent."""
        self._failures += 1
        peer = self._peers().get(peer_name)
        if peer is not None:
            peer.note_fault(error.message)
