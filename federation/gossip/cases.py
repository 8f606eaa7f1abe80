"""What there is to ask about logs: heads that were not held against what is held, and branches.

The state that ``forks`` (noticing, proving) and ``branches`` (getting) share; no decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from federation.errors import FederationError
from federation.gossip.peers import PeerView
from federation.gossip.reconciliation import Reconciliation
from federation.protocol.origins import LogId
from federation.provenance.convicting import Conviction
from federation.provenance.log_view import LogView
from federation.provenance.verifier import Head

HEADS_WAITING_MAX: Final = 32
"""Heads of one log that wait to be looked at; what is dropped is told again by whoever holds it."""

HEADS_FITTING_MAX: Final = 8_192
"""Heads remembered as contained in what is held, at about 200 bytes: so that of each, told by every
peer, the store is asked once."""


@dataclass(slots=True)
class Growth:
    """A branch on its way here.

    Attributes:
        branch: its number.
        base: where it is new, the branch that it begins with.
        view: what is held of it.
        peer: who serves it.
        head: up to where.
    """

    branch: int
    base: int | None
    view: LogView
    peer: str
    head: Head


@dataclass(frozen=True, slots=True)
class Look:
    """A head on its way to being held against what is held.

    Attributes:
        head: which.
        peer: who is asked; empty where nobody is.
        size: how much was held linearly when it began.
    """

    head: Head
    peer: str
    size: int


@dataclass(slots=True)
class Case:
    """One log that there is something to ask about.

    Attributes:
        branches: number -> view, of every branch but the first.
        contained: branches that another one turned out to begin with.
        waiting: heads to be looked at -> who holds them.
        suspects: heads whose senders served statements that did not fit.
        looking: what is being looked at.
        growth: the branch that is being fetched or written.
        paused_until: nothing is asked before this time.
        is_over_cap: whether a branch was left out.
    """

    branches: dict[int, LogView] = field(default_factory=dict)
    contained: set[int] = field(default_factory=set)
    waiting: dict[Head, dict[str, None]] = field(default_factory=dict)
    suspects: dict[Head, dict[str, None]] = field(default_factory=dict)
    looking: Look | None = None
    growth: Growth | None = None
    paused_until: float = 0.0
    is_over_cap: bool = False

    @property
    def is_busy(self) -> bool:
        """Whether something is under way."""
        return self.looking is not None or self.growth is not None

    def wait(self, head: Head, peer: str) -> None:
        """Put a head on the list."""
        if head not in self.waiting and len(self.waiting) >= HEADS_WAITING_MAX:
            return
        holders = self.waiting.setdefault(head, {})
        if peer:
            holders[peer] = None

    def drop_holder(self, head: Head, peer: str) -> None:
        """A peer is of no use for a head: the next one, or nobody until it is told again."""
        holders = self.waiting.get(head, {})
        holders.pop(peer, None)
        if not holders:
            self.forget(head)

    def forget(self, head: Head) -> None:
        """There is nothing to ask about a head, or nobody who could answer."""
        self.waiting.pop(head, None)
        self.suspects.pop(head, None)


class Cases:
    """Every log that there is, or was, something to ask about.

    Args:
        reconciliation: what is held linearly: the first branch of every log.
        peers: the peers as they are now.

    Attributes:
        reconciliation: as given.
        peers: as given.
        convictions: the accused logs and what convicts them.
        cases: log -> what there is, or was, to ask about it.
        active: the logs of which a head waits.
        has_news: whether an accused log, or a head of one, is not known to everybody yet.
    """

    def __init__(
        self, reconciliation: Reconciliation, peers: Callable[[], Mapping[str, PeerView]]
    ) -> None:
        self.reconciliation, self.peers = reconciliation, peers
        self.convictions: dict[LogId, Conviction] = {}
        self.active: dict[LogId, None] = {}
        self.has_news = False
        self.cases: dict[LogId, Case] = {}
        self._fitting: dict[Head, None] = {}

    def case(self, log: LogId) -> Case:
        """The case of a log; a new one asks nothing."""
        case = self.cases.get(log)
        if case is None:
            case = self.cases[log] = Case()
        return case

    def views(self, log: LogId) -> dict[int, LogView]:
        """What is held of each branch of a log."""
        return {0: self.reconciliation.sync_of(log).view, **self.case(log).branches}

    def heads_of(self, log: LogId) -> tuple[Head, ...]:
        """Of each of a log's branches that is no other's beginning the newest head held whole."""
        contained, verifier = self.case(log).contained, self.reconciliation.verifier
        return tuple(
            view.whole
            for branch, view in sorted(self.views(log).items())
            if view.whole is not None and branch not in contained
            # Not those that governance cut off by pinning another branch.
            if verifier.stands(view.whole)
        )

    def wait(self, log: LogId, head: Head, peer: str) -> None:
        """A head is to be looked at; a peer holds it, or nobody is known to."""
        self.case(log).wait(head, peer)
        self.active[log] = None

    def settle(self, head: Head) -> None:
        """It is known of a head what there is to know."""
        self.case(head.log).forget(head)
        if head.log in self.convictions:
            self.fits(head)

    def fits(self, head: Head) -> None:
        """What is held contains this head."""
        self._fitting[head] = None
        if len(self._fitting) > HEADS_FITTING_MAX:
            del self._fitting[next(iter(self._fitting))]

    def is_fitting(self, head: Head) -> bool:
        """Whether it is known to be contained."""
        return head in self._fitting

    def fits_no_more(self, log: LogId) -> None:
        """What is held of a log in part does not do any more to contain a head."""
        self._fitting = {head: None for head in self._fitting if head.log != log}

    def look_again(self, head: Head) -> None:
        """A branch may turn out to be another one's beginning."""
        self._fitting.pop(head, None)
        self.wait(head.log, head, "")

    def note_heads(self, log: LogId) -> None:
        """What is held of an accused log has changed, or that it is accused."""
        self.reconciliation.note_branches(log, self.heads_of(log))
        self.has_news = True

    def blame(self, name: str, error: FederationError) -> None:
        """Count what a peer should not have sent."""
        peer = self.peers().get(name)
        if peer is not None:
            peer.note_fault(error.message)
