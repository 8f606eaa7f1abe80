"""The Merkle trees of the held logs: tiles and proofs.

Leaf hashes are computed from the statements, hashes of tile level 1 and up are read. A proof is
made twice: once over a source that only notes which tiles are asked for, then, when those have been
read in a few queries, over the tiles.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias, TypeVar

from federation.local_errors.askers import RangeNotHeld
from federation.local_errors.disk import StoreCorrupt
from federation.protocol.limits import TILE_WIDTH
from federation.protocol.merkle import DIGEST_BYTES, leaf_hash
from federation.protocol.merkle_growth import TILE_HEIGHT, CompactRange
from federation.protocol.merkle_proofs import (
    Nodes,
    consistency_proof,
    edge_from,
    inclusion_proof,
    root_from,
)
from federation.protocol.origins import LogId
from federation.protocol.statements import Opening, Statement, commitment_of
from federation.protocol.tiles import nodes_from, tile_width
from federation.store.database import Database, Row
from federation.store.places import place_of
from federation.store.stems import Stems

_Made = TypeVar("_Made")
_TileKey: TypeAlias = tuple[int, int]
"""Tile level and tile index."""

# A long body is not read: its row keeps the commitment.
READ_LEAVES: Final = (
    "SELECT header, salt, commitment, CASE WHEN commitment IS NULL THEN body END"
    " FROM statements WHERE place BETWEEN ? AND ? ORDER BY place"
)
_READ_TILES: Final = (
    "SELECT level, tile, hashes FROM json_each(?) AS wanted JOIN tiles"
    " ON stem = ? AND level = json_extract(wanted.value, '$[0]')"
    " AND tile = json_extract(wanted.value, '$[1]')"
)


class TreeStore:
    """The trees of all logs.

    Args:
        database: where they are.
        stems: which branch has which stem.
    """

    def __init__(self, database: Database, stems: Stems) -> None:
        self._database = database
        self._stems = stems

    async def inclusion_proof(
        self, log: LogId, index: int, size: int, *, branch: int = 0
    ) -> tuple[bytes, ...]:
        """The proof that a statement stands at an index of the log at some size (RFC 6962).

        Raises:
            LogNotFound, RangeNotHeld: the log is not held up to that size.
            ProofMalformed: the index is not below the size.
            StoreCorrupt: tiles or statements are missing.
        """
        return await self._make(
            log, branch, size, lambda nodes: inclusion_proof(index, size, nodes)
        )

    async def consistency_proof(
        self, log: LogId, size1: int, size2: int, *, branch: int = 0
    ) -> tuple[bytes, ...]:
        """The proof that the log at the first size is a prefix of itself at the second (RFC 6962).

        Raises:
            LogNotFound, RangeNotHeld: the log is not held up to the second size.
            ProofMalformed: the first size is the larger one.
            StoreCorrupt: tiles or statements are missing.
        """
        return await self._make(
            log, branch, size2, lambda nodes: consistency_proof(size1, size2, nodes)
        )

    async def root_hash(self, log: LogId, size: int, *, branch: int = 0) -> bytes:
        """The root of the log at some size, 32 bytes.

        Raises:
            LogNotFound, RangeNotHeld: the log is not held up to that size.
            StoreCorrupt: tiles or statements are missing.
        """
        return await self._make(log, branch, size, lambda nodes: root_from(size, nodes))

    async def edge(self, log: LogId, size: int, *, branch: int = 0) -> CompactRange:
        """The right edge of the log at some size: what it takes to go on from there.

        Raises:
            LogNotFound, RangeNotHeld: the log is not held up to that size.
            StoreCorrupt: tiles or statements are missing.
        """
        return await self._make(log, branch, size, lambda nodes: edge_from(size, nodes))

    async def tile(
        self, log: LogId, level: int, index: int, width: int = TILE_WIDTH, *, branch: int = 0
    ) -> bytes:
        """A tile's hashes, joined: ``width`` of 32 bytes.

        Args:
            log: which log.
            level: tile level, 0 for leaf hashes.
            index: the tile's index on its level.
            width: how much of it, 1 to 256.
            branch: which branch of the log.

        Raises:
            LogNotFound, RangeNotHeld: the tile is not there, or not that wide.
            StoreCorrupt: tiles or statements are missing.
        """
        stem = await self._stems.find(log, branch)
        held = await self._held(stem)
        if not 1 <= width <= tile_width(level, index, held):
            raise RangeNotHeld(f"the tile is not that wide in {log}")
        tiles = await self._read_tiles(stem, held, {(level, index)})
        return tiles[level, index][: width * DIGEST_BYTES]

    async def bundle_hashes(
        self, log: LogId, start: int, end: int, size: int, *, branch: int = 0
    ) -> tuple[list[bytes], list[bytes]]:
        """The roots of whole bundles, and the leaf hashes behind the last of them.

        Args:
            log: which log.
            start: number of the first bundle.
            end: number after the last one wanted.
            size: of the tree that is meant; the leaves are those of its end, and come only where
                ``end`` reaches its last whole bundle.
            branch: which branch of the log.

        Returns:
            Bundle hashes, then leaf hashes, 32 bytes each.

        Raises:
            LogNotFound, RangeNotHeld: the log is not held up to that size.
            StoreCorrupt: tiles or statements are missing.
        """
        stem = await self._stems.find(log, branch)
        held = await self._held(stem)
        if size > held:
            raise RangeNotHeld(f"this node holds {held} statements of {log}, not {size}")
        whole, rest = divmod(size, TILE_WIDTH)
        end = min(end, whole)
        first = start // TILE_WIDTH
        wanted = {(1, tile) for tile in range(first, -(-end // TILE_WIDTH))}
        if rest and end == whole:
            wanted.add((0, whole))
        tiles = await self._read_tiles(stem, held, wanted)
        bundles = b"".join(hashes for (level, _), hashes in sorted(tiles.items()) if level)
        leaves = tiles.get((0, whole), b"")[: rest * DIGEST_BYTES]
        at = (start - first * TILE_WIDTH) * DIGEST_BYTES
        return _split(bundles[at : at + max(end - start, 0) * DIGEST_BYTES]), _split(leaves)

    async def _make(
        self, log: LogId, branch: int, size: int, make: Callable[[Nodes], _Made]
    ) -> _Made:
        stem = await self._stems.find(log, branch)
        held = await self._held(stem)
        if size > held:
            raise RangeNotHeld(f"this node holds {held} statements of {log}, not {size}")
        tiles = await self._read_tiles(stem, held, _tiles_asked(make))
        return make(nodes_from(lambda level, tile: tiles[level, tile]))

    async def _held(self, stem: int) -> int:
        [[size]] = await self._database.read("SELECT size FROM branches WHERE stem = ?", (stem,))
        return int(size)

    async def _read_tiles(
        self, stem: int, held: int, wanted: set[_TileKey]
    ) -> dict[_TileKey, bytes]:
        """Each tile as wide as it is at the size held."""
        leaf_tiles = sorted(tile for level, tile in wanted if level == 0)
        stored = sorted(key for key in wanted if key[0] > 0)
        reads = [self._leaf_tile(stem, tile) for tile in leaf_tiles]
        found = dict(
            zip(((0, tile) for tile in leaf_tiles), await asyncio.gather(*reads), strict=True)
        )
        for home, keys in (await self._homes(stem, stored)).items():
            rows = await self._database.read(_READ_TILES, (json.dumps(keys), home))
            found.update({(level, tile): hashes for level, tile, hashes in rows})
        for level, tile in wanted:
            # What was appended since may have made it wider.
            if len(found.get((level, tile), b"")) < tile_width(level, tile, held) * DIGEST_BYTES:
                raise StoreCorrupt(f"tile {tile} of level {level} has holes")
        return found

    async def _homes(self, stem: int, keys: Iterable[_TileKey]) -> dict[int, list[_TileKey]]:
        """Under which stems some tiles of a branch stand: where their last statement does."""
        homes: dict[int, list[_TileKey]] = {}
        for level, tile in keys:
            last = (tile + 1) * TILE_WIDTH ** (level + 1) - 1
            home, _ = await self._stems.home(stem, last)
            homes.setdefault(home, []).append((level, tile))
        return homes

    async def _leaf_tile(self, stem: int, tile: int) -> bytes:
        start, end = tile * TILE_WIDTH, (tile + 1) * TILE_WIDTH
        leaves: list[bytes] = []
        while start < end:
            home, until = await self._stems.home(stem, start)
            until = end if until is None else min(end, until)
            rows = await self._database.read(
                READ_LEAVES, (place_of(home, start), place_of(home, until - 1))
            )
            leaves += map(_leaf_of, rows)
            start = until
        return b"".join(leaves)


def _split(joined: bytes) -> list[bytes]:
    return [joined[at : at + DIGEST_BYTES] for at in range(0, len(joined), DIGEST_BYTES)]


def entry_of(row: Row) -> bytes:
    """The entry of a row of ``READ_LEAVES``, 32 bytes: the content of its leaf."""
    header_bytes, salt, commitment, body = row
    if commitment is None:
        commitment = commitment_of(Opening(salt, body))
    return Statement(header_bytes, commitment, None).id.entry


def _leaf_of(row: Row) -> bytes:
    return leaf_hash(entry_of(row))


def _tiles_asked(make: Callable[[Nodes], object]) -> set[_TileKey]:
    """The tiles whose hashes it takes to make something."""
    asked: set[_TileKey] = set()

    def node(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, TILE_HEIGHT)
        asked.add((tile_level, (index << height) // TILE_WIDTH))
        return bytes(DIGEST_BYTES)

    make(node)
    return asked
