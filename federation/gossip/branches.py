"""Getting the branches of accused logs: each like a log of its own, one range after the other.

Serial per log, and apart from the linear replication of all others: a forked log is rare, and must
cost nobody else anything.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from federation.errors import ProtocolError, VerificationError
from federation.gossip.cases import Case, Cases, Growth
from federation.gossip.events import Command, RaiseAlarm
from federation.gossip.fork_events import (
    BranchHeadKept,
    BranchPersisted,
    BranchPersistFailed,
    BranchRangeFailed,
    BranchRangeReceived,
    FetchBranch,
    PersistBranch,
)
from federation.gossip.parting import Parting
from federation.local_errors.proofs import MessageMalformed
from federation.protocol.limits_messages import RANGE_STATEMENTS_MAX
from federation.provenance.log_view import LogView
from federation.provenance.verifier import Head

BRANCHES_MAX: Final = 8
"""Branches kept of one log, as in the store. Two convict; whoever signs more than eight wants to
fill disks, and the log waits for governance to pin one."""

RETRY_SECONDS: Final = 5.0
"""After a failed write (a full disk), before the next try for that log."""


class Branches:
    """The branches that are on their way here.

    Args:
        cases: what there is to get.
    """

    def __init__(self, cases: Cases) -> None:
        self._cases = cases

    def grow(self, head: Head, peer: str, parting: Parting) -> list[Command]:
        """Get what a head stands for and is not held: more of a branch, or a new one.

        Args:
            head: of an accused log.
            peer: who serves it.
            parting: where it stands.
        """
        case, views = self._cases.case(head.log), self._cases.views(head.log)
        if parting.extends and parting.branch in views:
            if views[parting.branch].size != (parting.held.size if parting.held else 0):
                return []  # it grew while it was looked at: the head waits still, for another look
            case.growth = Growth(parting.branch, None, views[parting.branch], peer, head)
            return self._fetch(case.growth)
        number = max(views) + 1
        if number >= BRANCHES_MAX:
            case.forget(head)
            if case.is_over_cap:
                return []
            case.is_over_cap = True
            text = f"{head.log} has more than {BRANCHES_MAX} histories: governance must pin one"
            return [RaiseAlarm("branches-over-cap", text)]
        held = parting.held
        if held is None:
            case.forget(head)
            return []
        view = LogView(head.log, held)
        case.growth = Growth(number, parting.branch, view, peer, head)
        return self._fetch(case.growth)

    @staticmethod
    def _fetch(growth: Growth) -> list[Command]:
        start = growth.view.size
        # Whole tiles from here on, as of any log.
        end = min(growth.head.size, start - start % RANGE_STATEMENTS_MAX + RANGE_STATEMENTS_MAX)
        return [FetchBranch(growth.peer, growth.head, start, end)]

    def range_received(self, event: BranchRangeReceived, now: float, _rng: object) -> list[Command]:
        """Statements of a branch arrived: judge them."""
        case = self._cases.case(event.log)
        growth = case.growth
        if growth is None or growth.peer != event.peer:
            return []
        peer = self._cases.peers().get(event.peer)
        if peer is not None:
            peer.note_answered(now)
        held = self._cases.views(event.log).get(growth.branch)
        if growth.base is None and held is not None and held != growth.view:
            # A linear step that was on its way to the disk has come in between.
            case.growth = None
            if held.head == growth.head and held.is_complete:
                self._cases.settle(growth.head)
            else:
                self._cases.look_again(growth.head)
            self._cases.note_heads(event.log)
            return []
        statements, head = event.message.statements, growth.head
        others = case.waiting.get(head, {}).keys() - {growth.peer}
        if others and any(each.opening is None for each in statements):
            # Erased, or kept back: somebody else may have it whole, and the last one is taken.
            self._end(case)
            return []
        if event.message.start != growth.view.size or len(statements) > RANGE_STATEMENTS_MAX:
            wrong = MessageMalformed(f"another range of {event.log} than was asked for")
            self._cases.blame(event.peer, wrong)
            self._end(case)
            return []
        try:
            step = growth.view.advance(
                head, statements, event.message.proof, self._cases.reconciliation.verifier
            )
        except (ProtocolError, VerificationError) as error:
            self._cases.blame(event.peer, error)
            self._end(case)
            return []
        if growth.branch == 0 and self._cases.reconciliation.sync_of(event.log).writing:
            case.growth = None  # a linear step that began before the evidence is on its way still
            return []
        return [PersistBranch(step, growth.branch, growth.base)]

    def range_failed(self, event: BranchRangeFailed, _now: float, _rng: object) -> list[Command]:
        """A peer did not serve the branch."""
        case = self._cases.case(event.log)
        if case.growth is not None and case.growth.peer == event.peer:
            self._end(case)
        return []

    def persisted(self, event: BranchPersisted, _now: float, _rng: object) -> list[Command]:
        """A step of a branch is durable."""
        view, case = event.step.view, self._cases.case(event.step.view.log)
        growth = case.growth
        if event.branch == 0:
            self._cases.reconciliation.note_persisted(view)
        else:
            case.branches[event.branch] = view
        if growth is None or growth.branch != event.branch:
            return []
        growth.view, growth.base = view, None
        if not view.is_complete:
            return self._fetch(growth)
        case.growth = None
        case.contained.discard(event.branch)
        self._is_whole(growth.head)
        return []

    def _is_whole(self, head: Head) -> None:
        """Everything under a head is held, and told."""
        self._cases.settle(head)
        for each in self._cases.heads_of(head.log):
            if each != head and each.size < head.size:
                self._cases.look_again(each)
        self._cases.note_heads(head.log)

    def head_kept(self, event: BranchHeadKept, _now: float, _rng: object) -> list[Command]:
        """A head that was only contained in a branch is the newest held whole of it."""
        head, case = event.head, self._cases.case(event.head.log)
        case.looking = None
        view = self._cases.views(head.log)[event.branch]
        if view.whole is None or view.whole.size < head.size:
            is_bare = view.head is None and view.size == head.size
            view = replace(view, head=head) if is_bare else replace(view, last_whole=head)
            if event.branch == 0:
                self._cases.reconciliation.hold(view)
            else:
                case.branches[event.branch] = view
            case.contained.discard(event.branch)
        self._is_whole(head)
        return []

    def persist_failed(self, event: BranchPersistFailed, now: float, _rng: object) -> list[Command]:
        """A step was lost on the way to the disk."""
        case = self._cases.case(event.log)
        case.growth = case.looking = None
        case.paused_until = now + RETRY_SECONDS
        return []

    @staticmethod
    def _end(case: Case) -> None:
        growth, case.growth = case.growth, None
        if growth is not None:
            case.drop_holder(growth.head, growth.peer)
