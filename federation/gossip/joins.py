"""One log on the way of ``joining``: its tree, its pieces, and who may be asked for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from federation.protocol.limits import TILE_WIDTH
from federation.protocol.limits_messages import RANGE_STATEMENTS_MAX
from federation.protocol.origins import Lane
from federation.protocol.statements import Statement
from federation.provenance.bundle_tree import BundleTree
from federation.provenance.log_view import LogView
from federation.provenance.verifier import Head

AskAt: TypeAlias = Callable[[str, Lane], float]
"""When a peer may be asked for statements of a lane."""


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
class Piece:
    """Neighbouring statements that are asked for, or judged and waiting for their turn.

    Attributes:
        end: one past its last statement; where it begins, it is filed under.
        asked: of which peers, and since when.
        statements: as they were judged; None before.
    """

    end: int
    asked: dict[str, float] = field(default_factory=dict)
    statements: tuple[Statement, ...] | None = None

    @property
    def is_under_way(self) -> bool:
        """Whether it takes room: not, where everybody asked refused."""
        return bool(self.asked) or self.statements is not None


@dataclass(slots=True)
class TreeAsked:
    """The tree of a log, as far as one peer has told it; nothing is judged before all of it is.

    Attributes:
        bundles: roots of the log's bundles, from the first on.
        since: since when it is asked for more; None where it is not.
    """

    bundles: list[bytes] = field(default_factory=list)
    since: float | None = None


@dataclass(slots=True)
class Join:
    """One log on the way.

    Attributes:
        head: up to which it is joined.
        moved_at: when something of it last came, or it began.
        trees: peer -> what it told of the tree, until one told all of it.
        tree: once it is judged.
        pieces: start -> the piece from there.
        taken: up to where it was handed to the disk.
        short_answers: pieces that were cut short.
    """

    head: Head
    moved_at: float
    trees: dict[str, TreeAsked] = field(default_factory=dict)
    tree: BundleTree | None = None
    pieces: dict[int, Piece] = field(default_factory=dict)
    taken: int = 0
    short_answers: int = 0

    @property
    def is_asked(self) -> bool:
        """Whether somebody is asked for the tree."""
        return any(each.since is not None for each in self.trees.values())

    def tree_stalls_at(self, seconds: float) -> float | None:
        """When one more peer is asked for the tree; None where nobody is yet.

        Args:
            seconds: how long the first one is waited for; each further one twice as long as the one
                before, so that a thin line does not carry many trees and end none.
        """
        begun = [each.since for each in self.trees.values() if each.since is not None]
        return max(begun) + seconds * 2 ** (len(begun) - 1) if begun else None

    @property
    def under_way(self) -> int:
        """Pieces that take room."""
        return sum(piece.is_under_way for piece in self.pieces.values())

    def held_to(self, sync: Syncing) -> int:
        """Up to where the log is held, or is being written."""
        return max(sync.view.size, self.taken) if sync.writing else sync.view.size

    def first_start(self, size: int) -> int:
        """Where the piece begins that goes on from so much: with a bundle, held in part or not."""
        for start, piece in self.pieces.items():
            if start <= size < piece.end:
                return start
        return size - size % TILE_WIDTH


def sources_of(sync: Syncing, size: int, now: float, ask_at: AskAt) -> list[str]:
    """The peers that may be asked now and hold at least so much, in the order of names."""
    return sorted(
        peer
        for peer, head in sync.offers.items()
        if head.size >= size
        and sync.set_aside.get(peer, now) <= now
        and sync.may_follow(head)
        and ask_at(peer, sync.view.log.lane) <= now
    )


def piece_end(start: int) -> int:
    """The end of the piece from there: everybody has the same boundaries, so answers repeat."""
    return start - start % RANGE_STATEMENTS_MAX + RANGE_STATEMENTS_MAX
