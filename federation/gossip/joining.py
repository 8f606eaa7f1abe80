"""Catching up with a log that lacks much here: the tree first, then bodies from everybody at once.

Range by range, a node that joins late would fetch, judge and write by turns, from one peer. So
where thousands of statements are lacking, it asks one peer for the roots of the log's bundles, and
another one where that takes long, proves them against the log's signed head, and then has every
peer that holds the log serve pieces of it side by side. Each piece is judged alone, on arrival,
whoever sent it; what is judged is written in order, in steps that :meth:`LogView.advance` judges
like any other. What is held is always a prefix, so nothing but the tree is fetched again after an
interruption, and matching begins with the first step.

Source: docs/internals/gossip.md, "Joining late".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from federation.errors import FederationError
from federation.gossip.dice import Dice
from federation.gossip.events import Command, Persist
from federation.gossip.joining_events import (
    FetchHashes,
    FetchPiece,
)
from federation.gossip.joins import AskAt, Join, Piece, Syncing, TreeAsked, piece_end, sources_of
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
4 MB each at most, and as much again for each peer beyond the first that is asked for one."""

PIECES_MAX: Final = 24
"""Pieces asked for or waiting for their turn, of all logs together, at 4 MiB each at the very most
and at 200 kB as they mostly are. A log that has none may always have one, whatever others hold, or
one that nobody goes on serving would stop them all."""

PIECES_PER_PEER_MAX: Final = 2
"""As many as there are connections for statements to one peer."""

STALL_SECONDS: Final = 3.0
"""After that what everything behind it waits for, the tree or the first piece that is lacking, is
asked of a second peer (EBT)."""

TREE_SOURCES_MAX: Final = 4
"""Peers asked for one tree at once, at 4 MB each at most: more members must drip together to hold
up a join."""

IDLE_SECONDS_MAX: Final = 90.0
"""Nothing of a log came for so long, and its place is free for another: longer than a link lets one
answer take, so that a piece on a thin line still comes in time."""

SHORT_ANSWERS_MAX: Final = 3
"""Pieces cut short: bodies are so long that a piece exceeds an answer. Range by range, then."""


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
        self._joins: dict[LogId, Join] = {}
        self._given_up: set[LogId] = set()
        self._in_flight: dict[str, int] = {}

    def is_worth_it(self, log: LogId, lacking: int) -> bool:
        """Whether a log that lacks so much at most is joined, or could be now."""
        if log in self._joins:
            return True
        is_full = log in self._given_up or len(self._joins) >= JOINS_MAX
        return not is_full and lacking >= self._statements_min

    def takes(self, sync: Syncing, now: float, ask_at: AskAt) -> bool:
        """Whether a log is joined, or should be from now on."""
        log = sync.view.log
        join = self._joins.get(log)
        if join is not None:
            is_over = sync.view.size >= join.head.size or not sync.may_follow(join.head)
            is_idle = not sync.writing and now >= join.moved_at + IDLE_SECONDS_MAX
            if is_over or is_idle or self._is_stuck(join, sync, now, ask_at):
                self.forget(log)
                return False
            return True
        if not self.is_worth_it(log, self._statements_min):
            return False
        sources = sources_of(sync, 0, now, ask_at)
        head = max(
            (sync.offers[peer] for peer in sources), key=lambda each: each.size, default=None
        )
        if head is None or head.size - sync.view.size < self._statements_min:
            return False
        if head.size // TILE_WIDTH > BUNDLES_MAX:
            return False
        self._joins[log] = Join(head, now)
        return True

    @staticmethod
    def _is_stuck(join: Join, sync: Syncing, now: float, ask_at: AskAt) -> bool:
        """Whether nobody serves what is next of this head, and others offer less meanwhile."""
        is_moving = sync.writing or join.is_asked
        if is_moving or join.under_way:
            return False
        start = join.first_start(sync.view.size)
        needed = join.head.size
        if join.tree is not None:
            needed = join.pieces[start].end if start in join.pieces else piece_end(start)
        able = sources_of(sync, min(needed, join.head.size), now, ask_at)
        return not able and bool(sources_of(sync, 0, now, ask_at))

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
        """When the piece that everything waits for, or the log, has been awaited too long."""
        join = self._joins.get(sync.view.log)
        if join is None:
            return None
        times = [join.moved_at + IDLE_SECONDS_MAX]
        stalls_at = join.tree_stalls_at(STALL_SECONDS)
        if stalls_at is not None and len(join.trees) < TREE_SOURCES_MAX:
            times.append(stalls_at)
        piece = join.pieces.get(join.first_start(join.held_to(sync)))
        if piece is not None and piece.statements is None and piece.asked:
            times.append(max(piece.asked.values()) + STALL_SECONDS)
        return min((at for at in times if at > now), default=None)

    # --- orders ---------------------------------------------------------------------------------

    def pump(
        self,
        syncs: Mapping[LogId, Syncing],
        now: float,
        rng: Dice,
        ask_at: AskAt,
        verifier: Verifier,
    ) -> list[Command]:
        """Write what is judged, then ask for more, one piece of each log in turn.

        Args:
            syncs: the joined logs.
            now: the engine's clock.
            rng: chooses among sources.
            ask_at: when a peer may be asked for statements of a lane.
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
        self, join: Join, sync: Syncing, now: float, rng: Dice, ask_at: AskAt
    ) -> list[Command]:
        sources = sources_of(sync, join.head.size, now, ask_at)
        for peer in [peer for peer, tree in join.trees.items() if tree.since is None]:
            if peer in sources:
                return [self._ask_tree(join, sync, peer, now)]
            del join.trees[peer]
        stalls_at = join.tree_stalls_at(STALL_SECONDS)
        others = [peer for peer in sources if peer not in join.trees]
        if not others or (stalls_at is not None and now < stalls_at):
            return []
        if len(join.trees) >= TREE_SOURCES_MAX:
            return []
        return [self._ask_tree(join, sync, rng.choice(others), now)]

    @staticmethod
    def _ask_tree(join: Join, sync: Syncing, peer: str, now: float) -> Command:
        tree = join.trees.setdefault(peer, TreeAsked())
        tree.since = now
        start, whole = len(tree.bundles), join.head.size // TILE_WIDTH
        return FetchHashes(
            peer, sync.view.log, start, min(whole, start + HASHES_MAX), join.head.size
        )

    def _persist(self, join: Join, sync: Syncing, verifier: Verifier) -> list[Command]:
        """The next step, of what has arrived without a gap."""
        if sync.writing or join.tree is None:
            return []
        size, most = sync.view.size, self._window.step_statements
        statements: list[Statement] = []
        at = join.first_start(size)
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
        self, join: Join, sync: Syncing, now: float, rng: Dice, ask_at: AskAt
    ) -> Command | None:
        sources = [
            peer
            for peer in sources_of(sync, 0, now, ask_at)
            if self._in_flight.get(peer, 0) < PIECES_PER_PEER_MAX
        ]
        held_to = join.held_to(sync)
        if not sources or held_to >= join.head.size:
            return None
        start, piece = self._next_piece(join, held_to, now)
        if (piece is None or not piece.is_under_way) and not self._has_room(join):
            return None
        if piece is None:
            end = min(piece_end(start), join.head.size)
            if start >= end:
                return None
            piece = Piece(end)
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

    def _has_room(self, join: Join) -> bool:
        """Whether one more piece of that log may be under way."""
        taken = sum(each.under_way for each in self._joins.values())
        return taken < self._pieces_max() or not join.under_way

    def _pieces_max(self) -> int:
        """As many pieces as the window holds; two at least, or the line would idle between them."""
        return min(PIECES_MAX, max(2, self._window.statements_max // RANGE_STATEMENTS_MAX))

    def _next_piece(self, join: Join, size: int, now: float) -> tuple[int, Piece | None]:
        """A piece that nobody serves, the first one if it stalled, or where the next one begins."""
        at = first = join.first_start(size)
        while (piece := join.pieces.get(at)) is not None:
            if piece.statements is None:
                has_stalled = at == first and all(
                    now >= asked + STALL_SECONDS for asked in piece.asked.values()
                )
                if not piece.asked or has_stalled:
                    return at, piece
            at = piece.end
        return at, None

    # --- what comes of them ---------------------------------------------------------------------

    def awaits(self, asked: FetchHashes) -> bool:
        """Whether these hashes are still waited for."""
        join = self._joins.get(asked.log)
        tree = None if join is None else join.trees.get(asked.peer)
        return (
            join is not None
            and tree is not None
            and tree.since is not None
            and (asked.start, asked.at) == (len(tree.bundles), join.head.size)
        )

    def hashes(self, peer: str, log: LogId, message: BundleHashes, now: float) -> None:
        """Hashes arrived; with the last of them the tree is judged.

        Raises:
            MessageMalformed: they are not what was asked for.
            RootMismatch: they are not the log's.
        """
        join = self._joins.get(log)
        tree = None if join is None else join.trees.get(peer)
        if join is None or tree is None or tree.since is None:
            return
        tree.since = None
        start, whole = len(tree.bundles), join.head.size // TILE_WIDTH
        wanted = min(whole - start, HASHES_MAX)
        if message.start != start or len(message.bundles) != wanted:
            raise MessageMalformed(f"other hashes of {log} than were asked for")
        tree.bundles += message.bundles
        if len(tree.bundles) == whole:
            join.tree = BundleTree(join.head, tree.bundles, message.leaves)
            join.trees.clear()
        join.moved_at = now

    def piece(self, peer: str, log: LogId, start: int, message: StatementRange, now: float) -> None:
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
        join.moved_at = now

    def note_hashes_failed(self, peer: str, log: LogId) -> None:
        """A peer did not serve hashes, or served what is not proven: another one is asked."""
        join = self._joins.get(log)
        if join is not None:
            join.trees.pop(peer, None)

    def note_piece_failed(self, peer: str, log: LogId, start: int) -> None:
        """A peer did not serve a piece."""
        self._take(peer, log, start)

    def _take(self, peer: str, log: LogId, start: int) -> Piece | None:
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
