"""Logs with two histories: noticed, proven, told to everybody, and held whole.

Every head that is heard of a log is held against what is held here, at once or, where that takes
the store or a peer, one at a time (``parting``). What contradicts becomes evidence; evidence makes
the log *accused*: its linear replication ends, and each of its branches is fetched like a log of
its own, from where it parts from the others (``branches``). Nothing is frozen and nothing is first
seen: two nodes that were shown two histories end with both.

Source: docs/internals/gossip.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from federation.errors import FederationError, ProtocolError, VerificationError
from federation.gossip.branches import Branches
from federation.gossip.cases import Case, Cases, Look
from federation.gossip.events import Command, RaiseAlarm
from federation.gossip.fork_events import (
    BranchHeadKept,
    BranchPersisted,
    BranchPersistFailed,
    BranchRangeFailed,
    BranchRangeReceived,
    EvidenceFound,
    FindParting,
    ForkedLog,
    KeepBranchHead,
    KeepEvidence,
    PartingFailed,
    PartingFound,
    StopSigning,
)
from federation.gossip.parting import Parting
from federation.gossip.peers import PeerView
from federation.gossip.reconciliation import Reconciliation
from federation.local_errors.proofs import ConsistencyUnproven, Fork
from federation.protocol.evidence import encode_evidence, make_evidence
from federation.protocol.origins import LogId
from federation.provenance.convicting import Conviction, open_evidence
from federation.provenance.log_view import Advance, LogView
from federation.provenance.verifier import Head


class Forks:
    """Everything about histories that do not agree.

    Args:
        member: this node's own name.
        reconciliation: what is held, linearly; the first branch of every log.
        peers: the peers as they are now.

    Attributes:
        cases: what there is to ask and to get.
        branches: gets it.
    """

    def __init__(
        self,
        member: str,
        reconciliation: Reconciliation,
        peers: Callable[[], Mapping[str, PeerView]],
    ) -> None:
        self.cases = Cases(reconciliation, peers)
        self.branches = Branches(self.cases)
        self._member = member

    @property
    def convictions(self) -> Mapping[LogId, Conviction]:
        """The accused logs and what convicts them."""
        return self.cases.convictions

    def is_accused(self, log: LogId) -> bool:
        """Whether there is evidence against a log."""
        return log in self.cases.convictions

    def takes(self) -> dict[type, Callable[..., list[Command]]]:
        """Which event is taken in how."""
        return {
            EvidenceFound: self.evidence_found,
            PartingFound: self.found,
            PartingFailed: self.failed,
            BranchRangeReceived: self.branches.range_received,
            BranchRangeFailed: self.branches.range_failed,
            BranchPersisted: self.branches.persisted,
            BranchPersistFailed: self.branches.persist_failed,
            BranchHeadKept: self.branches.head_kept,
        }

    def note_roster(self, branches: Iterable[tuple[int, LogView]] = ()) -> None:
        """Another roster judges from now on: it may have pinned a branch and cut off others.

        Args:
            branches: those that end elsewhere than before, by their numbers, but for the first.
        """
        for number, view in branches:
            self.cases.case(view.log).branches[number] = view
        for log in self.cases.convictions:
            self.cases.fits_no_more(log)
            self.cases.case(log).contained.clear()
            self._look_at_all(log)

    # --- what is heard --------------------------------------------------------------------------

    def restore(self, forked: ForkedLog) -> None:
        """A log was under evidence when this node last stopped."""
        log = forked.conviction.log
        self.cases.convictions[log] = forked.conviction
        self.cases.case(log).branches = dict(forked.branches)
        self._look_at_all(log)

    def _look_at_all(self, log: LogId) -> None:
        for head in self.cases.heads_of(log):
            self.cases.wait(log, head, "")  # one may be another's beginning
        self.cases.note_heads(log)

    def note_fits(self, view: LogView) -> None:
        """What is held is complete under this head."""
        if view.head is not None and view.is_complete:
            self.cases.fits(view.head)

    def doubt(self, head: Head, peer: str, *, is_suspect: bool = False) -> None:
        """A head that was not held against what is held here yet.

        Args:
            head: signed by its log.
            peer: who holds it; empty where nobody is known to.
            is_suspect: whether that peer served statements which do not fit the head.
        """
        if self.cases.is_fitting(head) and not is_suspect:
            return
        case = self.cases.case(head.log)
        self.cases.wait(head.log, head, peer)
        if is_suspect and head in case.waiting:
            case.suspects.setdefault(head, {})[peer] = None

    def mismatch(self, head: Head, peer: str, error: FederationError) -> None:
        """Statements that a peer gave do not lead to the head: its fault, or the issuer's fork."""
        if self.cases.reconciliation.sync_of(head.log).view.head is None:
            self.cases.blame(peer, error)  # there is nothing that the head could contradict
        else:
            self.doubt(head, peer, is_suspect=True)

    def note_step(self, step: Advance, offers: Mapping[str, Head]) -> None:
        """A linear step is about to take the place of its view: what it leaves behind is looked at.

        Args:
            step: durable.
            offers: peer -> what it offered until now.
        """
        before, view = step.before, step.view
        for peer, head in offers.items():
            if head.size <= view.size and head != view.head:
                self.doubt(head, peer)
        if before.head not in (None, view.head) and before.head is not None:
            if before.is_complete:
                self.cases.fits(before.head)
            else:
                self.doubt(before.head, "")
        self.note_fits(view)

    def note_moved(self, log: LogId) -> None:
        """A linear step is durable; one that began before the evidence may end after it."""
        if self.is_accused(log):
            self.cases.note_heads(log)

    def fork(self, fork: Fork) -> list[Command]:
        """Two notes of one size and two roots: evidence by themselves."""
        try:
            encoded = encode_evidence(make_evidence(fork.first, fork.second))
        except (ProtocolError, VerificationError) as error:
            return [RaiseAlarm("fork-unproven", error.message)]
        return self._convict(encoded)

    def evidence(self, peer: str, encoded: bytes) -> list[Command]:
        """A peer sent a file."""
        if any(each.encoded == encoded for each in self.cases.convictions.values()):
            return []  # everybody tells everybody: judged once
        verifier = self.cases.reconciliation.verifier
        try:
            conviction = open_evidence(encoded, verifier.roster, verifier.check_signature)
        except (ProtocolError, VerificationError) as error:
            self.cases.blame(peer, error)
            return []
        return self._accuse(conviction)

    def evidence_found(self, event: EvidenceFound, _now: float, _rng: object) -> list[Command]:
        """A room beside the engine found it."""
        return self._accuse(event.conviction)

    def _convict(self, encoded: bytes) -> list[Command]:
        """Judge what was made here; a failure is this node's own matter and accuses nobody."""
        verifier = self.cases.reconciliation.verifier
        try:
            conviction = open_evidence(encoded, verifier.roster, verifier.check_signature)
        except (ProtocolError, VerificationError) as error:
            text = (
                f"two histories that convict nobody; this node's own rows may be damaged: {error}"
            )
            return [RaiseAlarm("fork-unproven", text)]
        return self._accuse(conviction)

    def _accuse(self, conviction: Conviction) -> list[Command]:
        log = conviction.log
        if self.is_accused(log):
            return []
        self.cases.convictions[log] = conviction
        self.cases.fits_no_more(log)
        for peer, head in self.cases.reconciliation.sync_of(log).offers.items():
            self.cases.wait(log, head, peer)
        self.cases.note_heads(log)
        commands: list[Command] = [
            KeepEvidence(conviction),
            RaiseAlarm("fork", conviction.sentence),
        ]
        if log.member == self._member:
            known = self.cases.reconciliation.sync_of(log).view.head
            if known is not None:
                commands.append(StopSigning(log, known, ""))
        return commands

    # --- looking --------------------------------------------------------------------------------

    def pump(self, now: float) -> list[Command]:
        """Look at the next head of every log that has one waiting."""
        commands: list[Command] = []
        for log in list(self.cases.active):
            case = self.cases.case(log)
            if not case.waiting and not case.is_busy:
                del self.cases.active[log]
            elif self.cases.reconciliation.sync_of(log).writing:
                continue  # a linear step is on its way to the disk still
            elif case.waiting and not case.is_busy and now >= case.paused_until:
                command = self._next(log, case, now)
                if command is not None:
                    commands.append(command)
        return commands

    def next_wake(self, now: float) -> float | None:
        """When a pause ends that something waits for."""
        times = [
            case.paused_until
            for case in map(self.cases.case, self.cases.active)
            if case.waiting and not case.is_busy and case.paused_until > now
        ]
        return min(times, default=None)

    def _next(self, log: LogId, case: Case, now: float) -> Command | None:
        views = self.cases.views(log)
        partial = {view.head for view in views.values() if not view.is_complete}
        # First what was begun, then what says most.
        ordered = sorted(
            case.waiting, key=lambda head: (head not in partial, -head.size, head.root_hash)
        )
        is_accused = self.is_accused(log)
        for head in ordered:
            if not is_accused and not self._may_look(head, views[0]):
                continue
            holders = case.waiting[head]
            peer = next((name for name in holders if self._is_open(name, now)), "")
            if holders and not peer:
                continue
            case.looking = Look(head, peer, views[0].size)
            compared = self._others(views, head) if is_accused else views
            return FindParting(peer, head, compared, is_accused)
        return None

    @staticmethod
    def _others(views: dict[int, LogView], head: Head) -> dict[int, LogView]:
        """What a head is held against: where it is a branch's own, the other branches."""
        if len(views) == 1:
            return views
        return {branch: view for branch, view in views.items() if view.whole != head}

    @staticmethod
    def _may_look(head: Head, view: LogView) -> bool:
        """A linear log is asked only where its answer could convict."""
        own = view.head
        return own is None or view.is_complete or head.size >= own.size

    def _is_open(self, name: str, now: float) -> bool:
        peer = self.cases.peers().get(name)
        return peer is not None and peer.is_open(now)

    def found(self, event: PartingFound, _now: float, _rng: object) -> list[Command]:
        """It is known where a head stands."""
        head, parting = event.head, event.parting
        case = self.cases.case(head.log)
        look = case.looking
        if look is None or look.head != head:
            return []
        case.looking = None
        if parting.evidence is not None:
            commands = self._convict(parting.evidence)
            if not self.is_accused(head.log):
                case.forget(head)
                self.cases.fits(head)  # or it would be asked again and again
            return commands
        if not self.is_accused(head.log):
            if parting == Parting():
                case.forget(head)  # asked again when it is heard again
                return []
            return self._not_forked(case, look, parting)
        views = self.cases.views(head.log)
        own = [branch for branch, view in views.items() if view.whole == head]
        is_held = bool(own)
        if parting.is_known:
            told = views[parting.branch].whole
            if told is None or told.size < head.size:
                if not is_held:
                    # All under it is here and not all of the branch, whose rest may never come.
                    case.looking = look
                    return [KeepBranchHead(parting.branch, head)]
            elif is_held and own[0] != parting.branch:
                case.contained.add(own[0])
                self.cases.note_heads(head.log)
        if parting.is_known or is_held:
            self.cases.settle(head)
            return []
        if not look.peer:
            case.forget(head)
            return []
        return self.branches.grow(head, look.peer, parting)

    def _not_forked(self, case: Case, look: Look, parting: Parting) -> list[Command]:
        """The head and what is held are one history: who said otherwise was wrong."""
        head, view = look.head, self.cases.reconciliation.sync_of(look.head.log).view
        if not parting.is_known and view.size != look.size:
            # What came meanwhile may be of another history: the head waits for another look.
            return []
        for peer in case.suspects.get(head, {}):
            self.cases.blame(peer, ConsistencyUnproven(f"statements that are not of {head.log}"))
        if parting.is_known:
            self.cases.fits(head)
        self.cases.settle(head)
        return []

    def failed(self, event: PartingFailed, _now: float, _rng: object) -> list[Command]:
        """The peer could not, or would not, show where its head stands."""
        case = self.cases.case(event.head.log)
        if case.looking is None or case.looking.head != event.head:
            return []
        case.looking = None
        if event.fault is not None:
            self.cases.blame(event.peer, event.fault)
        case.drop_holder(event.head, event.peer)
        return []
