"""Tiles: a log's tree and entries cut into files that never change (C2SP tlog-tiles).

    tile/0/x001/x234/067          256 leaf hashes, from leaf 1234067 * 256
    tile/1/000.p/17               17 roots of subtrees of 256 leaves: a partial tile
    tile/entries/000.p/3          3 entries, each after its length

Tile ``index`` of level L holds up to 256 roots of full subtrees of 256^L leaves. A full tile is
immutable; a partial one is a prefix of it and stands for one tree size. Anybody with a checkpoint
and the tiles of its size can recompute the root.

Source: docs/spec/tiles.md; C2SP tlog-tiles v0.1.0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from federation.errors import TooLarge
from federation.local_errors.proofs import TileMalformed, TilePathMalformed
from federation.protocol.limits import TILE_WIDTH
from federation.protocol.merkle import DIGEST_BYTES
from federation.protocol.merkle_growth import TILE_HEIGHT, CompactRange, NodeRun
from federation.protocol.merkle_proofs import Nodes
from federation.protocol.texts import SIZE_LIMIT, parse_decimal

TILE_LEVEL_MAX: Final = 63
"""Largest level a path may name (C2SP); a tree below 2^63 leaves has levels 0 to 7."""

TILE_BYTES_MAX: Final = TILE_WIDTH * DIGEST_BYTES

ENTRY_BYTES_MAX: Final = 0xFFFF
"""An entry's length has two bytes."""

ENTRY_LENGTH_BYTES: Final = 2

TILE_PATH_CHARACTERS_MAX: Final = 64
"""The longest path, of an index below 2^63, has 46."""

ReadTile: TypeAlias = Callable[[int, int], bytes]
"""(tile level, tile index) -> the tile's hashes, joined; the widest tile that is held."""

_ENTRIES: Final = "entries"
_PATH = re.compile(
    r"tile/(?P<level>entries|[0-9]{1,2})/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})"
    r"(?:\.p/(?P<width>[0-9]{1,3}))?\Z"
)


@dataclass(frozen=True, slots=True)
class TilePath:
    """Which tile, and how much of it.

    Attributes:
        level: the tile level, 0 to 63; None for a bundle of entries.
        index: the tile's index on its level.
        width: hashes or entries in it, 1 to 256; 256 is a full tile.

    Raises:
        TilePathMalformed: a number out of range.
    """

    level: int | None
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if self.level is not None and not 0 <= self.level <= TILE_LEVEL_MAX:
            raise TilePathMalformed(f"a tile level is between 0 and {TILE_LEVEL_MAX}")
        if not 0 <= self.index < SIZE_LIMIT:
            raise TilePathMalformed("a tile index is between 0 and 2^63 - 1")
        if not 0 < self.width <= TILE_WIDTH:
            raise TilePathMalformed(f"a tile is between 1 and {TILE_WIDTH} wide")

    def format(self) -> str:
        """The path below the log's prefix."""
        level = _ENTRIES if self.level is None else str(self.level)
        digits = str(self.index)
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        number = "".join(f"x{group}/" for group in groups[:-1]) + groups[-1]
        partial = f".p/{self.width}" if self.width < TILE_WIDTH else ""
        return f"tile/{level}/{number}{partial}"


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """The path of a tile of hashes.

    Raises:
        TilePathMalformed: a number out of range.
    """
    return TilePath(level, index, width).format()


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    """The path of a bundle of entries.

    Raises:
        TilePathMalformed: a number out of range.
    """
    return TilePath(None, index, width).format()


def parse_tile_path(path: str) -> TilePath:
    """Read the path of a tile or an entry bundle, below the log's prefix.

    Raises:
        TilePathMalformed: any path that ``TilePath.format`` would not write.
    """
    found = _PATH.match(path) if len(path) <= TILE_PATH_CHARACTERS_MAX else None
    if found is None:
        raise TilePathMalformed("not the path of a tile")
    digits = found["index"].replace("x", "").replace("/", "").lstrip("0") or "0"
    tile = TilePath(
        None if found["level"] == _ENTRIES else int(found["level"]),
        parse_decimal(digits, TilePathMalformed, "the tile index"),
        TILE_WIDTH if found["width"] is None else int(found["width"]),
    )
    # Leading zeros, a group of zeros too many and a partial tile of full width are other spellings.
    if tile.format() != path:
        raise TilePathMalformed("the path of the tile is not in its only form")
    return tile


# --- which tiles a tree has -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TileLevel:
    """The tiles of one level of a tree.

    Attributes:
        level: the tile level.
        full: how many full tiles it has: indexes 0 to ``full`` - 1.
        partial: width of the partial tile at index ``full``; 0 where there is none.
    """

    level: int
    full: int
    partial: int


def tile_levels(size: int) -> tuple[TileLevel, ...]:
    """The tiles that a tree of ``size`` leaves has, lowest level first; none when it is empty."""
    levels: list[TileLevel] = []
    while size:
        full, partial = divmod(size, TILE_WIDTH)
        levels.append(TileLevel(len(levels), full, partial))
        size = full
    return tuple(levels)


def tile_paths(size: int) -> Iterator[TilePath]:
    """Every tile of hashes and every entry bundle of a tree of ``size`` leaves, lowest first."""
    for row in tile_levels(size):
        for level in (None, 0) if row.level == 0 else (row.level,):
            for index in range(row.full):
                yield TilePath(level, index)
            if row.partial:
                yield TilePath(level, row.full, row.partial)


def tile_width(level: int, index: int, size: int) -> int:
    """How wide that tile is in a tree of ``size`` leaves: 0 (not there) to 256 (full).

    A server may serve any width up to this one: narrower ones belong to earlier checkpoints.

    Args:
        level: the tile level; an entry bundle is as wide as its tile of level 0.
        index: the tile's index on its level.
        size: leaves in the tree.
    """
    held = (size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH
    return max(0, min(held, TILE_WIDTH))


# --- what is in them ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile of hashes with its bytes.

    Attributes:
        level: the tile level.
        index: the tile's index on its level.
        joined: its hashes, joined; up to 256 of 32 bytes.
    """

    level: int
    index: int
    joined: bytes

    @property
    def width(self) -> int:
        """How many hashes it holds."""
        return len(self.joined) // DIGEST_BYTES


def lay_tiles(run: NodeRun, edge: bytes) -> tuple[Tile, ...]:
    """Cut what a batch added to a level into tiles, going on where the last one ended.

    Args:
        run: the batch's new hashes on that level.
        edge: hashes, joined, of the partial tile that the run goes on from; empty at a boundary.

    Returns:
        Every tile that became wider, in order; all but the last are full.

    Raises:
        TileMalformed: an edge that does not end where the run starts.
    """
    index, offset = divmod(run.start, TILE_WIDTH)
    if len(edge) != offset * DIGEST_BYTES:
        raise TileMalformed("the partial tile does not end where the new hashes start")
    joined = edge + b"".join(run.hashes)
    return tuple(
        Tile(run.tile_level, index + nth, joined[at : at + TILE_BYTES_MAX])
        for nth, at in enumerate(range(0, len(joined), TILE_BYTES_MAX))
    )


def split_tile(joined: bytes) -> tuple[bytes, ...]:
    """The hashes of a tile.

    Raises:
        TileMalformed: empty, over 256 hashes, or not a whole number of them.
    """
    if not 0 < len(joined) <= TILE_BYTES_MAX or len(joined) % DIGEST_BYTES:
        raise TileMalformed(f"a tile is 1 to {TILE_WIDTH} hashes of {DIGEST_BYTES} bytes")
    return tuple(joined[at : at + DIGEST_BYTES] for at in range(0, len(joined), DIGEST_BYTES))


def nodes_from(read_tile: ReadTile) -> Nodes:
    """A source of subtree hashes, for making proofs and roots, over a source of tiles.

    Args:
        read_tile: gives the widest tile held, of the log's size or any later one.

    Returns:
        A function of level and index.

    Raises:
        TileMalformed: by that function, where a tile is too narrow for the subtree.
    """

    def node(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, TILE_HEIGHT)
        tile_index, offset = divmod(index << height, TILE_WIDTH)
        start, end = offset * DIGEST_BYTES, (offset + (1 << height)) * DIGEST_BYTES
        joined = read_tile(tile_level, tile_index)
        if end > len(joined):
            raise TileMalformed("the tile is narrower than the tree needs")
        return CompactRange().extend(split_tile(joined[start:end])).root()

    return node


def encode_entries(entries: Iterable[bytes]) -> bytes:
    """Join entries to the bytes of an entry bundle: each after its length in two bytes.

    Args:
        entries: 1 to 256 of them.

    Raises:
        TileMalformed: none, or more than 256.
        TooLarge: an entry over 65,535 bytes.
    """
    kept = tuple(entries)
    if not 0 < len(kept) <= TILE_WIDTH:
        raise TileMalformed(f"an entry bundle has 1 to {TILE_WIDTH} entries")
    if max(map(len, kept)) > ENTRY_BYTES_MAX:
        raise TooLarge(f"an entry has at most {ENTRY_BYTES_MAX} bytes")
    return b"".join(len(entry).to_bytes(ENTRY_LENGTH_BYTES, "big") + entry for entry in kept)


def decode_entries(bundle: bytes) -> tuple[bytes, ...]:
    """Take the entries out of an entry bundle.

    Raises:
        TileMalformed: none, more than 256, or bytes that end within an entry.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(bundle):
        start = at + ENTRY_LENGTH_BYTES
        at = start + int.from_bytes(bundle[at:start], "big")
        if start > len(bundle) or at > len(bundle):
            raise TileMalformed("the entry bundle ends within an entry")
        if len(entries) == TILE_WIDTH:
            raise TileMalformed(f"an entry bundle has at most {TILE_WIDTH} entries")
        entries.append(bundle[start:at])
    if not entries:
        raise TileMalformed("the entry bundle is empty")
    return tuple(entries)
