"""Getting the salts and bodies that are missing here.

A statement may arrive as header and C: because it was erased, or because somebody keeps its body
back. Which, only an erase can tell; until one is at hand the statement is missing, and every peer
that holds the log is asked for it in turn, then again after a growing pause. The log goes on
meanwhile: one missing body never stalls a lane, it only keeps this node from giving a receipt.

A peer that answers with header and C as well is not blamed: it may know the erase already, or be
missing the same. One that answers with another statement is: it was asked by the root of what is
held here, so that a peer with another history refuses.

Of a forked log this node asks itself first: the same statement may stand whole in another branch.
A peer that takes long is waited for beside the others: what it sends in the end is taken as well.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Final

from federation.errors import FederationError
from federation.gossip.dice import Dice
from federation.gossip.events import (
    Command,
    FetchOpenings,
    GapsKnown,
    OpeningsFailed,
    OpeningsReceived,
    Reopen,
    ReopenFailed,
)
from federation.gossip.peers import PeerView
from federation.gossip.slots import STALL_SECONDS
from federation.local_errors.proofs import CommitmentMismatch
from federation.protocol.headers import StatementId
from federation.protocol.origins import Lane, LogId
from federation.protocol.statements import Statement

PAUSE_SECONDS_FIRST: Final = 5.0
"""After every peer was asked in vain: about when an erase that is on its way has arrived."""

PAUSE_SECONDS_MAX: Final = 300.0
"""What an issuer keeps back from everybody costs each node one round of requests in this time."""

INFINITE: Final = float("inf")

ASKED_MAX: Final = 4
"""Peers asked for one log at once, all but the last of them for longer than they should take: so
many members must drip together before a body waits for the link to cut one off."""


@dataclass(slots=True)
class Gaps:
    """What is missing of one log.

    Attributes:
        missing: index -> which statement; the first ones of the log.
        start: the run of indexes being asked for begins here or later.
        tried: who was asked for that run.
        asked: peer -> the request under way to it, the newest last.
        asked_at: when the newest was made.
        writing: whether openings are on their way to the disk.
        pause_seconds: the next pause.
        due: when to ask again.
    """

    missing: Mapping[int, StatementId] = field(default_factory=dict)
    start: int = 0
    tried: set[str] = field(default_factory=set)
    asked: dict[str, FetchOpenings] = field(default_factory=dict)
    asked_at: float = 0.0
    writing: bool = False
    pause_seconds: float = PAUSE_SECONDS_FIRST
    due: float = 0.0

    def asks_at(self, lane: Lane) -> float:
        """When one more may be asked, as far as those say who were already."""
        if len(self.asked) >= ASKED_MAX:
            return INFINITE
        return max(self.due, self.asked_at + STALL_SECONDS[lane]) if self.asked else self.due

    def run(self) -> tuple[int, int] | None:
        """The next run of missing indexes, as a range; None behind the last one."""
        ahead = sorted(index for index in self.missing if index >= self.start)
        if not ahead:
            return None
        end = ahead[0]
        while end in self.missing:
            end += 1
        return ahead[0], end

    def next_run(self, end: int, now: float) -> None:
        """Everybody was asked for this run: go on with the one behind it, or pause."""
        self.start = end
        self.tried.clear()
        if self.run() is None:
            self.start = 0
            self.due = now + self.pause_seconds
            self.pause_seconds = min(2 * self.pause_seconds, PAUSE_SECONDS_MAX)


class Reopening:
    """The gaps of every log, and of every branch of those under evidence.

    Args:
        member: this node's own name.
        peers: the peers as they are now.
        blame: counts what a peer should not have sent.
        is_forked: whether a log is under evidence.

    Attributes:
        gaps: (log, branch) -> what is missing of it.
    """

    def __init__(
        self,
        member: str,
        peers: Callable[[], Mapping[str, PeerView]],
        blame: Callable[[str, FederationError], None],
        is_forked: Callable[[LogId], bool],
    ) -> None:
        self._member = member
        self._peers, self._blame, self._is_forked = peers, blame, is_forked
        self.gaps: dict[tuple[LogId, int], Gaps] = {}

    def takes(self) -> dict[type, Callable[..., list[Command]]]:
        """Which event is taken in how."""
        return {
            OpeningsReceived: self.received,
            OpeningsFailed: self.failed,
            ReopenFailed: self.not_written,
        }

    def note(self, known: GapsKnown, now: float) -> None:
        """What is missing of a log has changed, or was looked at again."""
        gaps = self.gaps.setdefault((known.log, known.branch), Gaps())
        gaps.writing = False
        if gaps.missing.keys() != known.missing.keys():
            gaps.due, gaps.pause_seconds = now, PAUSE_SECONDS_FIRST
        gaps.missing = known.missing
        if not gaps.missing and not gaps.asked:
            del self.gaps[known.log, known.branch]

    def pump(self, now: float, rng: Dice) -> list[Command]:
        """Ask for the next run of each log that has one and waits for no answer but late ones."""
        commands: list[Command] = []
        for (log, branch), gaps in self.gaps.items():
            if gaps.writing:
                continue
            # On to the next run until somebody can be asked, or all of them had their turn.
            while now >= gaps.asks_at(log.lane):
                run = gaps.run()
                if run is None:
                    gaps.next_run(0, now)
                    continue
                start, end = run
                untried = self._untried(log, run, gaps.tried | gaps.asked.keys(), now)
                if untried:
                    peer, until = rng.choice(untried)
                    fetch = FetchOpenings(peer, log, start, until, branch)
                    gaps.asked[peer], gaps.asked_at = fetch, now
                    gaps.tried.add(peer)
                    commands.append(fetch)
                else:
                    # Where nobody at all can be asked for a run, nobody can for those behind it.
                    gaps.next_run(end if gaps.tried else max(gaps.missing) + 1, now)
        return commands

    def _untried(
        self, log: LogId, run: tuple[int, int], tried: Container[str], now: float
    ) -> list[tuple[str, int]]:
        """Who can be asked for a run of a log's statements and was not, and up to where."""
        (start, end), is_forked = run, self._is_forked(log)
        if is_forked and self._member not in tried:
            return [(self._member, end)]
        # How far a peer holds a branch nobody keeps count of: it may refuse.
        return sorted(
            (name, until)
            for name, peer in self._peers().items()
            if name not in tried
            and peer.may_serve(log.lane, now)
            and (until := end if is_forked else min(end, peer.holds.get(log, 0))) > start
        )

    def received(self, event: OpeningsReceived, now: float, _rng: Dice) -> list[Command]:
        """Statements that were asked for have arrived: write those that are opened."""
        peer = self._peers().get(event.peer)
        if peer is not None:
            peer.note_served(event.log.lane, now)
        gaps, asked = self._answered(event)
        if gaps is None or asked is None or gaps.writing:
            return []  # what is missing when the write is over is asked for anew
        opened: dict[int, Statement] = {}
        for index, statement in enumerate(event.message.statements, start=event.message.start):
            wanted = gaps.missing.get(index)
            if wanted is None or not asked.start <= index < asked.end:
                continue
            if statement.id != wanted:
                text = f"another statement than number {index} of {event.log}"
                self._blame(event.peer, CommitmentMismatch(text))
                return []
            if statement.opening is not None:
                opened[index] = statement
        gaps.writing = bool(opened)
        return [Reopen(event.log, opened, event.branch)] if opened else []

    def failed(self, event: OpeningsFailed, now: float, rng: Dice) -> list[Command]:
        """A peer did not serve what it was asked for."""
        self._answered(event)
        peer = self._peers().get(event.peer)
        # Who was shown another history refuses rightly, and may have what another branch lacks.
        counts = event.retry_after_seconds is not None or not self._is_forked(event.log)
        if peer is not None and counts:
            peer.note_not_served(event.log.lane, now, rng, event.reason, event.retry_after_seconds)
        return []

    def not_written(self, event: ReopenFailed, now: float, _rng: Dice) -> list[Command]:
        """They are missing still: they are asked for again after a pause."""
        gaps = self.gaps.get((event.log, event.branch))
        if gaps is not None:
            gaps.writing = False
            gaps.due = now + gaps.pause_seconds
        return []

    def _answered(
        self, event: OpeningsReceived | OpeningsFailed
    ) -> tuple[Gaps | None, FetchOpenings | None]:
        """The gaps of that log, and what that peer was asked for of them; it is over."""
        place = event.log, event.branch
        gaps = self.gaps.get(place)
        asked = None if gaps is None else gaps.asked.pop(event.peer, None)
        if gaps is not None and not gaps.missing and not gaps.asked:
            del self.gaps[place]
        return gaps, asked

    def missing_count(self) -> int:
        """How many statements are being looked for, as far as the store told."""
        return sum(len(gaps.missing) for gaps in self.gaps.values())

    def next_wake(self, now: float) -> float | None:
        """When a pause ends, or somebody else is asked."""
        times = [
            at
            for (log, _), gaps in self.gaps.items()
            if gaps.missing and not gaps.writing and now < (at := gaps.asks_at(log.lane)) < INFINITE
        ]
        return min(times, default=None)
