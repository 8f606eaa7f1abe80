"""Telling others what is new here, as soon as it is durable here.

A head is all there is to tell: it stands for every statement under it. For each peer and log there
is one moment when it is due and nothing else: no queue, no list of messages; a newer head takes the
older one's place. One's own statements go out at once; what was learned is passed on to the
neighbours after a short wait, of a length left to chance: of two who would tell each other, one is
first, and the other one need not. Small newest statements ride inline, so that they need no second
round trip; others' bulk is never pushed, only pulled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from federation.gossip.dice import Dice
from federation.gossip.events import Announce, Command
from federation.gossip.peers import PeerView
from federation.protocol.headers import StatementId
from federation.protocol.limits_messages import (
    ANNOUNCE_BYTES_MAX,
    INLINE_STATEMENT_BYTES_MAX,
    INLINE_STATEMENTS_MAX,
)
from federation.protocol.messages import AnnouncedHead, Announcement
from federation.protocol.origins import Lane, LogId
from federation.protocol.statements import Statement, erased_statement
from federation.provenance.log_view import Advance, LogView
from federation.provenance.verifier import Receipt

RELAY_WAIT_SECONDS: Final = {
    Lane.CRISIS: (0.0, 0.02),
    Lane.LIVE: (0.03, 0.25),
    Lane.BULK: (0.05, 0.25),
}
"""Least and most before passing on what its issuer tells everybody itself: in most cases he has."""

FLOOD_WAIT_SECONDS: Final = {
    Lane.CRISIS: (0.0, 0.02),
    Lane.LIVE: (0.0, 0.05),
    Lane.BULK: (0.05, 0.25),
}
"""The same where passing on is the only way there is."""

RECEIPTS_PER_SECOND: Final = 100
"""Of a thousand members, as many show an issuer their receipts in a second: he reads them all."""

INLINE_BYTES_MAX: Final = 48 * 1024
"""Of an announcement's 64 KiB; the rest is heads and receipts."""

RECENT_LOGS_MAX: Final = 256
"""Logs whose newest statements are kept for inlining: at most 12 MiB of them."""

ERASED_KEPT_MAX: Final = 4_096
"""Newest erased ids remembered: far more than are erased while one step is being told."""

_LANES: Final = tuple(Lane)

HEAD_BYTES_ROUGHLY: Final = 1024
"""A note and a receipt with the longest names; for packing announcements below their limit."""


def newest_of(step: Advance) -> list[Statement]:
    """What of a step may ride in an announcement: the last ones of a long one."""
    return [each.statement for each in step.statements[-INLINE_STATEMENTS_MAX:]]


class Dissemination:
    """What each peer is still to be told, and the newest small statements to tell it with.

    Args:
        member: this node's own name.

    Attributes:
        is_flooding: whether issuers tell their neighbours only, so that others' statements arrive
            by being passed on.
    """

    def __init__(self, member: str) -> None:
        self.is_flooding = False
        self._member = member
        self._recent: dict[LogId, tuple[Statement, ...]] = {}
        self._erased: dict[StatementId, None] = {}

    def remember(self, log: LogId, statements: Iterable[Statement]) -> None:
        """Keep the newest statements of a log for inlining, as many as an announcement takes.

        Args:
            log: which log.
            statements: those that a step added; of every step, or what is kept would have a gap.
        """
        kept: list[Statement] = []
        room = INLINE_BYTES_MAX
        for statement in reversed((*self._recent.pop(log, ()), *map(self._kept, statements))):
            size = statement.bytes_on_wire
            if size > INLINE_STATEMENT_BYTES_MAX or size > room:
                break
            if len(kept) == INLINE_STATEMENTS_MAX:
                break
            kept.append(statement)
            room -= size
        self._recent[log] = tuple(reversed(kept))
        while len(self._recent) > RECENT_LOGS_MAX:
            del self._recent[next(iter(self._recent))]  # the log that has been quiet the longest

    def drop(self, log: LogId) -> None:
        """Keep no statement of a log for inlining: what comes next does not follow them."""
        self._recent.pop(log, None)

    def forget(self, ids: Iterable[StatementId]) -> None:
        """Keep nothing but header and C of statements that were erased, or that follow now."""
        # A step with one of them may have become durable before the erase and be told after it.
        self._erased |= dict.fromkeys(ids)
        while len(self._erased) > ERASED_KEPT_MAX:
            del self._erased[next(iter(self._erased))]
        for log, statements in self._recent.items():
            if any(each.id in self._erased for each in statements):
                self._recent[log] = tuple(map(self._kept, statements))

    def _kept(self, statement: Statement) -> Statement:
        if statement.id not in self._erased:
            return statement
        return erased_statement(statement.header_bytes, statement.commitment)

    def owe(self, view: LogView, issuer: PeerView, now: float, rng: Dice, members: int) -> None:
        """A log's own member has yet to be shown this node's receipt on its head.

        Args:
            view: the log as it now stands here.
            issuer: its member.
            now: the engine's clock.
            rng: for the wait.
            members: how many there are, who all owe him the same.
        """
        issuer.owed[view.log] = view.size
        longest = members / RECEIPTS_PER_SECOND if self.is_flooding else 0.0
        wait = RELAY_WAIT_SECONDS[view.log.lane][0] + rng.uniform(0.0, longest)
        issuer.make_due(view.log, now + wait)

    def spread_own(self, log: LogId, peers: Iterable[PeerView], now: float) -> None:
        """One's own log grew: these peers are due at once."""
        for peer in peers:
            peer.make_due(log, now)

    def pass_on(
        self,
        view: LogView,
        neighbours: Iterable[PeerView],
        now: float,
        rng: Dice,
    ) -> None:
        """A learned log grew: the neighbours that are not known to have it are due soon.

        Args:
            view: the log as it now stands here.
            neighbours: whom to pass on to.
            now: the engine's clock.
            rng: for the wait.
        """
        for peer in neighbours:
            if peer.holds.get(view.log, 0) < view.size:
                peer.make_due(view.log, now + self._wait(view.log.lane, rng))

    def _wait(self, lane: Lane, rng: Dice) -> float:
        return rng.uniform(*(FLOOD_WAIT_SECONDS if self.is_flooding else RELAY_WAIT_SECONDS)[lane])

    def pump(
        self,
        peers: Iterable[PeerView],
        view_of: Callable[[LogId], LogView | None],
        receipts: Mapping[LogId, Receipt],
        roster_version: int,
        now: float,
    ) -> list[Command]:
        """Announce to each of these peers what is due and not yet known to be there.

        Args:
            peers: those for whom something may be due; the others are looked at when it is.
            view_of: what is durable here of a log.
            receipts: this node's own, by log.
            roster_version: the one in force here.
            now: the engine's clock.
        """
        commands: list[Command] = []
        for peer in peers:
            if not peer.due or not peer.is_open(now):
                continue
            due = [log for log, at in peer.due.items() if at <= now]
            # Of one log, mostly.
            for lane in _LANES if len(due) > 1 else [log.lane for log in due]:
                if lane in peer.in_flight:
                    continue
                logs = [log for log in due if log.lane is lane]
                heads = self._due_heads(peer, lane, logs, view_of, receipts) if logs else []
                if heads:
                    message = Announcement(tuple(heads), roster_version)
                    commands.append(Announce(peer.member, lane, message))
        return commands

    def _due_heads(
        self,
        peer: PeerView,
        lane: Lane,
        due: Iterable[LogId],
        view_of: Callable[[LogId], LogView | None],
        receipts: Mapping[LogId, Receipt],
    ) -> list[AnnouncedHead]:
        heads: list[AnnouncedHead] = []
        announced: dict[LogId, int] = {}
        room = ANNOUNCE_BYTES_MAX - HEAD_BYTES_ROUGHLY
        for log in due:
            view = view_of(log)
            lacking = 0 if view is None else view.size - peer.holds.get(log, 0)
            if view is None or view.head is None or not view.is_complete:
                del peer.due[log]
                continue
            if lacking <= 0 and log not in peer.owed:
                del peer.due[log]
                continue
            inline = self._inline(log, lacking)
            size = HEAD_BYTES_ROUGHLY + sum(statement.bytes_on_wire for statement in inline)
            if size > room:
                break  # the rest rides in the next one
            room -= size
            receipt = receipts.get(log)
            line = receipt.line if receipt and receipt.head == view.head else None
            heads.append(AnnouncedHead(view.head.note, inline, line))
            announced[log] = view.size
            del peer.due[log]
        if heads:
            peer.in_flight[lane] = announced
        return heads

    def _inline(self, log: LogId, lacking: int) -> tuple[Statement, ...]:
        if not self._rides_inline(log):
            return ()
        recent = self._recent.get(log, ())
        # A peer further behind pulls a range anyway; a partial inline would be of no use to it.
        return recent[-lacking:] if 0 < lacking <= len(recent) else ()

    def _rides_inline(self, log: LogId) -> bool:
        return log.lane is not Lane.BULK or log.member == self._member
