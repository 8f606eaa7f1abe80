"""Catching up with a log that lacks much here: the tree first, then bodies from everybody at once.

Range by range, a node that joins late would fetch, judge and write by turns, from one peer. So
where thousands of statements are lacking, it asks one peer for the roots of the log's bundles,
proves them against the log's signed head, and then has every peer that holds the log serve pieces
of it side by side. Each piece is judged alone, on arrival, whoever sent it; what is judged is
written in order, in steps that :meth:`LogView.advance` judges like any other. What is held is
always a prefix, so nothing but the tree is fetched again after an interruption, and matching begins
with the first step.

Source: docs/internals/gossip.md, "Joining late".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from federation.errors import FederationError
from federation.gossip.dice import Dice
from federation.gossip.events import Command, Persist
from federation.gossip.joining_events import (
    FetchHashes,
    FetchPiece,
)
from federation.gossip.window import Window
from federation.local_errors.proofs import MessageMalformed
from federation.protocol.limits import TILE_WIDTH
from federation.protocol.limits_messages import HASHES_MAX, RANGE_STATEMENTS_MAX
from federation.protocol.messages import StatementRange
from federation.protocol.messages_hashes import BundleHashes
from federation.protocol.origins import LogId
from federation.protocol.statements import Statement
from federation.provenance.bundle_tree import BUNDLES_MAX, BundleTree
from federation.provenance.log_view import LogView
from federation.provenance.verifier import Head, Verifier

JOIN_STATEMENTS_MIN: Final = 4 * RANGE_STATEMENTS_MAX
"""Lacking so many, the tree is worth a request of its own."""

JOINS_MAX: Final = 16
"""Logs caught up with in this way at once; the others go range by range meanwhile. Their trees take
4 MB each at most."""

PIECES_MAX: Final = 24
"""Pieces asked for or waiting for their turn, of all logs together, at 4 MiB each at the very most
and at 200 kB as they mostly are."""

PIECES_PER_PEER_MAX: Final = 2
"""As many as there are connections for statements to one peer."""

STALL_SECONDS: Final = 3.0
"""After that the piece that everything behind it waits for is asked of a second peer (EBT)."""

SHORT_ANSWERS_MAX: Final = 3
"""Pieces cut short: bodies are so long that a piece exceeds an answer. Range by range, then."""


class Syncing(Protocol):
    """What is known of a log; see ``reconciliation.LogSync``."""

    view: LogView
    offers: dict[str, Head]
    writing: bool
    set_aside: dict[str, float]
    paused_until: float

    def may_follow(self, head: Head) -> bool:
        """Whether a step may be proven to that head."""


@dataclass(slots=True)
class _Piece:
    """Neighbouring statements that are asked for, or judged and waiting for their turn."""

    end: int
    asked: dict[str, float] = field(default_factory=dict)
    statements: tuple[Statement, ...] | None = None


@dataclass(slots=True)
class _Join:
    """One log on the way; ``taken`` is up to where it was handed to the disk."""

    head: Head
    bundles: list[bytes] = field(default_factory=list)
    source: str | None = None
    is_asked: bool = False
    tree: BundleTree | None = None
    pieces: dict[int, _Piece] = field(default_factory=dict)
    taken: int = 0
    short_answers: int = 0


class Joining:
    """The logs that much is lacking of, and the pieces under way.

    Args:
        statements_min: from how many lacking statements on a log is joined.
        window: how much may be under way, and in one write.
    """

    def __init__(
        self, statements_min: int = JOIN_STATEMENTS_MIN, window: Window | None = None
    ) -> None:
        self._statements_min = statements_min
        self._window = Window() if window is None else window
        self._joins: dict[LogId, _Join] = {}
        self._given_up: set[LogId] = set()
        self._in_flight: dict[str, int] = {}

    def is_joining(self, log: LogId) -> bool:
        """Whether that log is caught up with here now, not range by range."""
        return log in self._joins

    def takes(self, sync: Syncing, now: float, ask_at: Callable[[str], float]) -> bool:
        """Whether a log is joined, or should be from now on."""
        log = sync.view.log
        join = self._joins.get(log)
        if join is not None:
            is_over = sync.view.size >= join.head.size or not sync.may_follow(join.head)
            if is_over or self._is_stuck(join, sync, now, ask_at):
                self.forget(log)
                return False
            return True
        if log in self._given_up or len(self._joins) >= JOINS_MAX:
            return False
        sources = _sources(sync, 0, now, ask_at)
        head = max(
            (sync.offers[peer] for peer in sources), key=lambda each: each.size, default=None
        )
        if head is None or head.size - sync.view.size < self._statements_min:
            return False
        if head.size // TILE_WIDTH > BUNDLES_MAX:
            return False
        self._joins[log] = _Join(head)
        return True

    @staticmethod
    def _is_stuck(join: _Join, sync: Syncing, now: float, ask_at: Callable[[str], float]) -> bool:
        """Whether nobody serves what is next of this head, and others offer less meanwhile."""
        is_moving = sync.writing or join.is_asked
        if is_moving or any(each.asked or each.statements for each in join.pieces.values()):
            return False
        start = _first_start(sync.view.size, join.pieces)
        needed = join.head.size
        if join.tree is not None:
            needed = join.pieces[start].end if start in join.pieces else _piece_end(start)
        able = _sources(sync, min(needed, join.head.size), now, ask_at)
        return not able and bool(_sources(sync, 0, now, ask_at))

    def note_held(self, view: LogView) -> None:
        """So much of a log is durable now; all that was wanted, perhaps."""
        join = self._joins.get(view.log)
        if join is not None and view.size >= join.head.size:
            self.forget(view.log)

    def head_of(self, log: LogId) -> Head | None:
        """The head that a log is being joined up to."""
        join = self._joins.get(log)
        return None if join is None else join.head

    def forget(self, log: LogId) -> None:
        """Nothing more of that log is wanted in this way."""
        self._joins.pop(log, None)

    def next_wake(self, sync: Syncing, now: float) -> float | None:
        """When the piece that everything waits for has been awaited too long."""
        join = self._joins.get(sync.view.log)
        if join is None:
            return None
        piece = join.pieces.get(_first_start(_held_to(join, sync), join.pieces))
        if piece is None or piece.statements is not None or not piece.asked:
            return None
        at = max(piece.asked.values()) + STALL_SECONDS
        return at if at > now else None

    # --- orders ---------------------------------------------------------------------------------

    def pump(
        self,
        syncs: Mapping[LogId, Syncing],
        now: float,
        rng: Dice,
        ask_at: Callable[[str], float],
        verifier: Verifier,
    ) -> list[Command]:
        """Write what is judged, then ask for more, one piece of each log in turn.

        Args:
            syncs: the joined logs.
            now: the engine's clock.
            rng: chooses among sources.
            ask_at: when a peer may be asked for statements.
            verifier: the judge.
        """
        commands: list[Command] = []
        asking = []
        for log, sync in syncs.items():
            join = self._joins.get(log)
            if join is None or now < sync.paused_until:
                continue
            if join.tree is None:
                commands += self._ask_hashes(join, sync, now, rng, ask_at)
                continue
            commands += self._persist(join, sync, verifier)
            if log in self._joins:
                asking.append((join, sync))
        while asking:
            asked = [
                (join, sync, fetch)
                for join, sync in asking
                if (fetch := self._ask_piece(join, sync, now, rng, ask_at)) is not None
            ]
            commands += [fetch for _, _, fetch in asked]
            asking = [(join, sync) for join, sync, _ in asked]
        return commands

    def _ask_hashes(
        self, join: _Join, sync: Syncing, now: float, rng: Dice, ask_at: Callable[[str], float]
    ) -> list[Command]:
        if join.is_asked:
            return []
        sources = _sources(sync, join.head.size, now, ask_at)
        if join.source not in sources:
            if not sources:
                return []
            join.source, join.bundles = rng.choice(sources), []
        start, whole = len(join.bundles), join.head.size // TILE_WIDTH
        join.is_asked = True
        end = min(whole, start + HASHES_MAX)
        return [FetchHashes(join.source, sync.view.log, start, end, join.head.size)]

    def _persist(self, join: _Join, sync: Syncing, verifier: Verifier) -> list[Command]:
        """The next step, of what has arrived without a gap."""
        if sync.writing or join.tree is None:
            return []
        size, most = sync.view.size, self._window.step_statements
        statements: list[Statement] = []
        at = _first_start(size, join.pieces)
        while (piece := join.pieces.get(at)) is not None and piece.statements is not None:
            if statements and len(statements) + len(piece.statements) > most:
                break
            del join.pieces[at]
            statements += piece.statements[max(size - at, 0) :]
            at = piece.end
        if not statements:
            return []
        try:
            proof = join.tree.proof(size + len(statements))
            step = sync.view.advance(join.head, statements, proof, verifier)
        except FederationError:
            # Every bundle is what the head commits to, so it is the log itself that is wrong, or
            # another one than the part held here: that is found, and told, range by range.
            self._give_up(sync.view.log)
            return []
        sync.writing, join.taken = True, step.view.size
        return [Persist(step)]

    def _ask_piece(
        self, join: _Join, sync: Syncing, now: float, rng: Dice, ask_at: Callable[[str], float]
    ) -> Command | None:
        sources = [
            peer
            for peer in _sources(sync, 0, now, ask_at)
            if self._in_flight.get(peer, 0) < PIECES_PER_PEER_MAX
        ]
        held_to = _held_to(join, sync)
        if not sources or held_to >= join.head.size:
            return None
        start, piece = self._next_piece(join, held_to, now)
        if piece is None:
            if sum(len(each.pieces) for each in self._joins.values()) >= self._pieces_max():
                return None
            end = min(_piece_end(start), join.head.size)
            if start >= end:
                return None
            piece = _Piece(end)
        able = [
            peer
            for peer in sources
            if sync.offers[peer].size >= piece.end and peer not in piece.asked
        ]
        if not able:
            return None
        fewest = min(self._in_flight.get(peer, 0) for peer in able)
        peer = rng.choice([each for each in able if self._in_flight.get(each, 0) == fewest])
        join.pieces[start] = piece
        piece.asked[peer] = now
        self._in_flight[peer] = self._in_flight.get(peer, 0) + 1
        return FetchPiece(peer, sync.view.log, start, piece.end)

    def _pieces_max(self) -> int:
        """As many pieces as the window holds; two at least, or the line would idle between them."""
        return min(PIECES_MAX, max(2, self._window.statements_max // RANGE_STATEMENTS_MAX))

    def _next_piece(self, join: _Join, size: int, now: float) -> tuple[int, _Piece | None]:
        """A piece that nobody serves, the first one if it stalled, or where the next one begins."""
        at = first = _first_start(size, join.pieces)
        while (piece := join.pieces.get(at)) is not None:
            if piece.statements is None:
                has_stalled = at == first and all(
                    now - asked >= STALL_SECONDS for asked in piece.asked.values()
                )
                if not piece.asked or has_stalled:
                    return at, piece
            at = piece.end
        return at, None

    # --- what comes of them ---------------------------------------------------------------------

    def awaits(self, asked: FetchHashes) -> bool:
        """Whether these hashes are still waited for."""
        join = self._joins.get(asked.log)
        return (
            join is not None
            and join.is_asked
            and (asked.peer, asked.start, asked.at)
            == (join.source, len(join.bundles), join.head.size)
        )

    def hashes(self, peer: str, log: LogId, message: BundleHashes) -> None:
        """Hashes arrived; with the last of them the tree is judged.

        Raises:
            MessageMalformed: they are not what was asked for.
            RootMismatch: they are not the log's.
        """
        join = self._joins.get(log)
        if join is None or join.source != peer or not join.is_asked:
            return
        join.is_asked = False
        start, whole = len(join.bundles), join.head.size // TILE_WIDTH
        wanted = min(whole - start, HASHES_MAX)
        if message.start != start or len(message.bundles) != wanted:
            raise MessageMalformed(f"other hashes of {log} than were asked for")
        join.bundles += message.bundles
        if len(join.bundles) == whole:
            join.tree = BundleTree(join.head, join.bundles, message.leaves)
            join.bundles = []

    def piece(self, peer: str, log: LogId, start: int, message: StatementRange) -> None:
        """A piece arrived: judge it, and keep it until its turn comes.

        Raises:
            MessageMalformed: it is not what was asked for.
            RootMismatch: the log has other statements there.
        """
        piece = self._take(peer, log, start)
        join = self._joins.get(log)
        if piece is None or join is None or join.tree is None or piece.statements is not None:
            return
        count = piece.end - start
        if message.start != start or len(message.statements) > count:
            raise MessageMalformed(f"another piece of {log} than was asked for")
        if len(message.statements) < count:
            join.short_answers += 1
            if join.short_answers >= SHORT_ANSWERS_MAX:
                self._give_up(log)
            return
        join.tree.check(start, message.statements)
        piece.statements = message.statements

    def note_hashes_failed(self, peer: str, log: LogId) -> None:
        """A peer did not serve hashes, or served what is not proven: another one is asked."""
        join = self._joins.get(log)
        if join is not None and join.source == peer:
            join.is_asked, join.source, join.bundles = False, None, []

    def note_piece_failed(self, peer: str, log: LogId, start: int) -> None:
        """A peer did not serve a piece."""
        self._take(peer, log, start)

    def _take(self, peer: str, log: LogId, start: int) -> _Piece | None:
        """The piece that a peer was asked for and is asked for no more."""
        left = self._in_flight.get(peer, 0) - 1
        if left > 0:
            self._in_flight[peer] = left
        else:
            self._in_flight.pop(peer, None)
        join = self._joins.get(log)
        piece = None if join is None else join.pieces.get(start)
        if piece is None or piece.asked.pop(peer, None) is None:
            return None
        return piece

    def _give_up(self, log: LogId) -> None:
        self.forget(log)
        self._given_up.add(log)


def _sources(sync: Syncing, size: int, now: float, ask_at: Callable[[str], float]) -> list[str]:
    """The peers that may be asked now and hold at least so much."""
    return sorted(
        peer
        for peer, head in sync.offers.items()
        if head.size >= size
        and sync.set_aside.get(peer, now) <= now
        and sync.may_follow(head)
        and ask_at(peer) <= now
    )


def _held_to(join: _Join, sync: Syncing) -> int:
    """Up to where the log is held, or is being written."""
    return max(sync.view.size, join.taken) if sync.writing else sync.view.size


def _first_start(size: int, pieces: Mapping[int, _Piece]) -> int:
    """Where the piece begins that goes on from what is held: with a bundle, held in part or not."""
    for start, piece in pieces.items():
        if start <= size < piece.end:
            return start
    return size - size % TILE_WIDTH


def _piece_end(start: int) -> int:
    """The end of the piece from there: everybody has the same boundaries, so answers repeat."""
    return start - start % RANGE_STATEMENTS_MAX + RANGE_STATEMENTS_MAX
