"""Exporting: every log that a node holds, as files for any static host.

Reads the database beside the running node or without one, and takes neither keys nor the node's
lock. What is written is what the node holds now: an export is an operator's own act, so it is
delayed by nobody. Tiles come first and the checkpoint last, so that whoever reads the folder
meanwhile finds every tile that its checkpoint implies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from federation.config import NodeConfig
from federation.daemon.log_folder import (
    CHECKPOINT_FILE,
    SECOND_VKEY_SUFFIX,
    VKEY_SUFFIX,
    LogFolder,
    folder_name,
    write_whole,
)
from federation.daemon.membership import Membership, read_root_of_trust
from federation.daemon.node import DATABASE_FILE
from federation.daemon.public_desk import signed_note
from federation.errors import ProtocolError, RequestMalformed
from federation.local_errors.config import ConfigMissing
from federation.local_errors.disk import StoreCorrupt
from federation.protocol.checkpoints import parse_checkpoint
from federation.protocol.limits import NOTE_BYTES_MAX, TILE_WIDTH
from federation.protocol.merkle import DIGEST_BYTES, leaf_hash
from federation.protocol.notes import parse_note
from federation.protocol.origins import LogId
from federation.protocol.roster_directory import log_mldsa44_vkey
from federation.protocol.tiles import (
    ENTRY_LENGTH_BYTES,
    TilePath,
    encode_entries,
    tile_levels,
)
from federation.store.receipt_store import StoredCheckpoint
from federation.store.stores import Stores, open_stores

_FOR_EVER_MS = 2**62


@dataclass(frozen=True, slots=True)
class Exported:
    """One log as exported.

    Attributes:
        log: which.
        name: of its folder.
        size: entries under the checkpoint written.
        tiles_written: files of the tree that were not there yet.
    """

    log: LogId
    name: str
    size: int
    tiles_written: int


class Exporter:
    """Writes logs into a directory. Made by :func:`open_exporter`.

    Args:
        stores: the node's database.
        membership: the roster in force.
    """

    def __init__(self, stores: Stores, membership: Membership) -> None:
        self._stores, self._membership = stores, membership

    async def heads(self) -> dict[LogId, StoredCheckpoint]:
        """Every log held, with the checkpoint that an export writes now; by origin."""
        found = {}
        for log in await self._stores.public.logs():
            head = await self._stores.public.public_head(log, _FOR_EVER_MS)
            if head is not None and log in self._membership.roster.logs:
                found[log] = head
        return found

    async def export(
        self, log: LogId, head: StoredCheckpoint, target: Path, advance: Callable[[int], None]
    ) -> Exported:
        """Write one log.

        Args:
            log: which.
            head: from :meth:`heads`.
            target: the directory that gets ``NAME`` and ``NAME.vkey``.
            advance: called with entries as they are done.

        Raises:
            RequestMalformed: the folder holds another history of that log.
            ConfigInvalid: a file cannot be written.
            StoreError: the database cannot be read.
        """
        name = folder_name(log)
        folder = LogFolder(target / name)
        await self._check_same_history(log, folder, head.size)
        vkey = self._membership.roster.log_vkey(log).format()
        await asyncio.to_thread(write_whole, target / f"{name}{VKEY_SUFFIX}", f"{vkey}\n".encode())
        second = log_mldsa44_vkey(self._membership.roster, log)
        if second is not None:
            path = target / f"{name}{SECOND_VKEY_SUFFIX}"
            await asyncio.to_thread(write_whole, path, f"{second.format()}\n".encode())
        written = await self._write_entries(log, head.size, folder, advance)
        written += await self._write_upper(log, head.size, folder)
        await asyncio.to_thread(folder.write, CHECKPOINT_FILE, signed_note(head))
        return Exported(log, name, head.size, written)

    async def _write_entries(
        self, log: LogId, size: int, folder: LogFolder, advance: Callable[[int], None]
    ) -> int:
        """Entry bundles and tiles of level 0: both are made of the same rows."""
        written = 0
        for index in range(-(-size // TILE_WIDTH)):
            width = min(TILE_WIDTH, size - index * TILE_WIDTH)
            bundle, tile = TilePath(None, index, width), TilePath(0, index, width)
            bundle_bytes = width * (ENTRY_LENGTH_BYTES + DIGEST_BYTES)
            if not (
                folder.holds(bundle.format(), bundle_bytes)
                and folder.holds(tile.format(), width * DIGEST_BYTES)
            ):
                entries = await self._stores.public.entries(log, index, width)
                if len(entries) != width:
                    raise StoreCorrupt(f"statements of {log} are missing before {size}")
                joined = b"".join(leaf_hash(entry) for entry in entries)
                await asyncio.to_thread(folder.write_tile, bundle, encode_entries(entries))
                await asyncio.to_thread(folder.write_tile, tile, joined)
                written += 2
            advance(width)
        return written

    async def _write_upper(self, log: LogId, size: int, folder: LogFolder) -> int:
        written = 0
        for level in tile_levels(size)[1:]:
            for index in range(level.full + bool(level.partial)):
                width = TILE_WIDTH if index < level.full else level.partial
                path = TilePath(level.level, index, width)
                if folder.holds(path.format(), width * DIGEST_BYTES):
                    continue
                hashes = await self._stores.trees.tile(log, level.level, index, width)
                await asyncio.to_thread(folder.write_tile, path, hashes)
                written += 1
        return written

    async def _check_same_history(self, log: LogId, folder: LogFolder, size: int) -> None:
        """A folder that holds another history is somebody's evidence: nothing is overwritten."""
        note = folder.read(CHECKPOINT_FILE, NOTE_BYTES_MAX)
        if note is None:
            return
        try:
            there = parse_checkpoint(parse_note(note).text)
        except ProtocolError:
            raise _foreign(folder) from None
        if there.origin != log.origin or there.size > size:
            raise _foreign(folder)
        if there.size and there.root_hash != await self._stores.trees.root_hash(log, there.size):
            raise _foreign(folder)


def _foreign(folder: LogFolder) -> RequestMalformed:
    return RequestMalformed(
        f"{folder.folder} holds a checkpoint that is not of what this node holds",
        hint="nothing was overwritten; look at both, and export into another directory",
    )


@asynccontextmanager
async def open_exporter(config: NodeConfig) -> AsyncIterator[Exporter]:
    """Open a node's database for exporting, beside the running node or without one.

    Raises:
        ConfigMissing: the node has no database yet.
        RosterMissing, RosterMalformed, RosterUnproven: its root of trust is none.
        StoreError: the database cannot be opened.
    """
    first = read_root_of_trust(config.path(config.root_file))
    path = config.path(config.data_directory) / DATABASE_FILE
    if not path.exists():
        raise ConfigMissing(f"there is no database {path}", hint="start the node once")
    member, federation_id = config.member, first.newest.federation_id
    stores = await open_stores(path, member=member, federation_id=federation_id, is_node=False)
    async with stores:
        yield Exporter(stores, await Membership.restore(first, stores.rosters))
