"""Fetching: a public log of anybody, over HTTP, into a folder that an auditor's program can judge.

The checkpoint is opened with the key that the auditor names. Every file is then held against it:
entries must hash to the tiles above them and the tiles to the signed root, and where the folder
held an older checkpoint of the log, the new one must commit to it. The checkpoint is written last,
so a folder with one holds all of it. Files that are there are judged with the rest and not fetched
again: a fetch that was broken off goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from federation.daemon.log_folder import CHECKPOINT_FILE, LogFolder
from federation.errors import ProtocolError, SignatureInvalid, TooLarge, VerificationError
from federation.local_errors.askers import NotFound, TooBusy
from federation.local_errors.proofs import Fork, RootMismatch
from federation.net.log_client import CONNECTIONS_MAX, LogClient
from federation.protocol.checkpoints import Checkpoint, open_mldsa_cosignature
from federation.protocol.checkpoints_foreign import open_checkpoint
from federation.protocol.keys import VerifierKey, check_ed25519, check_mldsa44
from federation.protocol.limits import NOTE_BYTES_MAX, TILE_WIDTH
from federation.protocol.merkle import DIGEST_BYTES, leaf_hash
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.merkle_proofs import root_from
from federation.protocol.notes import parse_note
from federation.protocol.tiles import (
    ENTRY_BYTES_MAX,
    ENTRY_LENGTH_BYTES,
    TILE_BYTES_MAX,
    TilePath,
    decode_entries,
    encode_entries,
    nodes_from,
    split_tile,
    tile_levels,
)

_Got = TypeVar("_Got")

BUNDLE_BYTES_MAX: Final = TILE_WIDTH * (ENTRY_LENGTH_BYTES + ENTRY_BYTES_MAX)
"""The longest entry bundle that anybody's log may have."""

BUSY_TRIES_MAX: Final = 6
"""Waits of 1, 2, 4, 8 and 16 seconds for a host that is busy, then it counts as refused."""

FETCH_ENTRIES_MAX: Final = 100_000_000
"""A folder of 7 GB; a host that says more needs an auditor who means it (``--entries-max``)."""


REFUSED_HINT: Final = (
    "what came now was thrown away: fetch once more, into an empty directory, before you accuse"
)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A log that was fetched and verified.

    Attributes:
        checkpoint: the head, signed by the key that was named.
        files_fetched: that were not there yet.
        was_size: of the checkpoint that the folder held before; None where it held none.
    """

    checkpoint: Checkpoint
    files_fetched: int
    was_size: int | None


class Fetch:
    """One log being fetched.

    Args:
        client: where from.
        folder: where to.
        vkey: the log's verifier key.
        second: the key of its second line (type 06): where it is given, the line must be there.
        advance: called with entries as they are done.
    """

    def __init__(
        self,
        client: LogClient,
        folder: Path,
        vkey: VerifierKey,
        advance: Callable[[int], None] = lambda _entries: None,
        second: VerifierKey | None = None,
    ) -> None:
        self._client, self._folder = client, LogFolder(folder)
        self._vkey, self._advance, self._second = vkey, advance, second
        self._fetched: list[TilePath] = []

    async def head(self) -> tuple[Checkpoint, bytes]:
        """The log's checkpoint now, opened with its key, and its note.

        Raises:
            SignatureInvalid, NoteMalformed, CheckpointMalformed: it is not that key's, or the
                second line that was asked for is missing or wrong.
            PeerError, NotFound: it did not come.
        """
        note = await self._get(CHECKPOINT_FILE, NOTE_BYTES_MAX)
        checkpoint = open_checkpoint(note, self._vkey, check_ed25519)
        if self._second is not None:
            line = parse_note(note).signature_by(self._second.name, self._second.key_id)
            if line is None:
                raise SignatureInvalid("the log has not put its ML-DSA-44 line under it yet")
            open_mldsa_cosignature(checkpoint, line, self._second, check_mldsa44)
        return checkpoint, note

    async def run(
        self, checkpoint: Checkpoint, note: bytes, *, entries_max: int = FETCH_ENTRIES_MAX
    ) -> Fetched:
        """Fetch everything under a head, verify it, and write the checkpoint.

        Args:
            checkpoint: from :meth:`head`.
            note: from :meth:`head`.
            entries_max: a log that says more is not begun.

        Raises:
            TooLarge: the log says more entries.
            RootMismatch: what came does not hash to the signed root; the text says which tile.
            Fork: the folder's own checkpoint is of another history; both notes are with the error.
            PeerError, NotFound: a file did not come.
            ConfigInvalid: a file cannot be written.
        """
        if checkpoint.size > entries_max:
            raise TooLarge(f"the log says {checkpoint.size} entries; {entries_max} are allowed")
        before = self._folder.read(CHECKPOINT_FILE, NOTE_BYTES_MAX)
        known = None if before is None else open_checkpoint(before, self._vkey, check_ed25519)
        # Of a host that lags behind, what is known already stays.
        if known is not None and before is not None and known.size > checkpoint.size:
            await self._fetch_tree(checkpoint)
            self._check_commits(known, before, checkpoint, note)
            return Fetched(known, len(self._fetched), known.size)
        await self._fetch_tree(checkpoint)
        if known is not None and before is not None:
            self._check_commits(checkpoint, note, known, before)
        self._folder.write(CHECKPOINT_FILE, note)
        return Fetched(checkpoint, len(self._fetched), known.size if known else None)

    async def _fetch_tree(self, checkpoint: Checkpoint) -> None:
        """Every tile and bundle; what came now and was refused does not stay."""
        try:
            await self._judge_tree(checkpoint)
        except (ProtocolError, VerificationError) as error:
            for path in self._fetched:
                self._folder.remove(path.format())
            raise type(error)(error.message, hint=error.hint or REFUSED_HINT) from None

    async def _judge_tree(self, checkpoint: Checkpoint) -> None:
        """Each level is judged by the one below it, and at last the root."""
        levels = tile_levels(checkpoint.size)
        edge = CompactRange()
        below: list[bytes] = []
        for level in levels:
            count = level.full + bool(level.partial)
            made: list[bytes] = []
            for first in range(0, count, CONNECTIONS_MAX):
                indexes = range(first, min(first + CONNECTIONS_MAX, count))
                wanted = [
                    self._tile(level.level, index, _width(level.full, level.partial, index))
                    for index in indexes
                ]
                tiles = await _all_of(wanted)
                for index, hashes in zip(indexes, tiles, strict=True):
                    self._check_below(level.level, index, hashes, below)
                    if level.level == 0:
                        edge = edge.extend(hashes)
                    if len(hashes) == TILE_WIDTH:
                        made.append(CompactRange().extend(hashes).root())
            below = made
        if edge.root() != checkpoint.root_hash:
            raise RootMismatch(
                f"the entries of {checkpoint.origin} do not hash to the root that it signed"
            )

    async def _tile(self, level: int, index: int, width: int) -> tuple[bytes, ...]:
        """The hashes of a tile; of level 0 with its entries, which must hash to it."""
        path = TilePath(level, index, width)
        joined = await self._file(path, TILE_BYTES_MAX)
        hashes = split_tile(joined)
        if len(hashes) != width:
            raise RootMismatch(f"{path.format()} has {len(hashes)} hashes instead of {width}")
        if level == 0:
            bundle = TilePath(None, index, width)
            entries = decode_entries(await self._file(bundle, BUNDLE_BYTES_MAX))
            if tuple(leaf_hash(entry) for entry in entries) != hashes:
                raise RootMismatch(f"{bundle.format()} does not hash to {path.format()}")
            self._advance(width)
        return hashes

    def _check_below(
        self, level: int, index: int, hashes: tuple[bytes, ...], below: list[bytes]
    ) -> None:
        first = index * TILE_WIDTH
        if level and tuple(below[first : first + len(hashes)]) != hashes:
            raise RootMismatch(f"the tiles of level {level - 1} do not hash to tile {index} above")

    def _check_commits(
        self, large: Checkpoint, large_note: bytes, small: Checkpoint, small_note: bytes
    ) -> None:
        """The larger head commits to the smaller one, by the tiles that are here."""

        def read_tile(level: int, index: int) -> bytes:
            for size in (large.size, small.size):
                row = next((each for each in tile_levels(size) if each.level == level), None)
                width = _width(row.full, row.partial, index) if row else 0
                path = TilePath(level, index, width).format() if width else ""
                raw = self._folder.read(path, TILE_BYTES_MAX) if path else None
                if raw is not None:
                    return raw
            raise RootMismatch(f"tile {index} of level {level} is missing in the folder")

        if root_from(small.size, nodes_from(read_tile)) != small.root_hash:
            raise Fork(
                f"the log {large.origin} signed two histories: of {small.size} entries and of "
                f"{large.size}",
                first=small_note,
                second=large_note,
            )

    async def _file(self, path: TilePath, bytes_max: int) -> bytes:
        """A tile from the folder, or fetched into it; partial ones may be cut from the full one."""
        there = self._folder.read(path.format(), bytes_max)
        if there is not None:
            return there
        try:
            raw = await self._get(path.format(), bytes_max)
        except NotFound:
            if path.width == TILE_WIDTH:
                raise
            raw = await self._get(TilePath(path.level, path.index).format(), bytes_max)
            raw = _cut(path, raw)
        await asyncio.to_thread(self._folder.write_tile, path, raw)
        self._fetched.append(path)
        return raw

    async def _get(self, path: str, bytes_max: int) -> bytes:
        for tries in range(BUSY_TRIES_MAX):
            try:
                return await self._client.fetch(path, bytes_max)
            except TooBusy:
                if tries == BUSY_TRIES_MAX - 1:
                    raise
                await asyncio.sleep(2**tries)
        raise AssertionError  # the loop returns or raises


async def _all_of(wanted: list[Coroutine[None, None, _Got]]) -> list[_Got]:
    """What all of them give, or the first error once all have ended: nothing writes after it."""
    ended = await asyncio.gather(*wanted, return_exceptions=True)
    got = []
    for each in ended:
        if isinstance(each, BaseException):
            raise each
        got.append(each)
    return got


def _width(full: int, partial: int, index: int) -> int:
    if index < full:
        return TILE_WIDTH
    return partial if index == full else 0


def _cut(path: TilePath, full: bytes) -> bytes:
    """A partial tile out of the full one."""
    try:
        if path.level is None:
            return encode_entries(decode_entries(full)[: path.width])
    except ProtocolError:
        return full  # judged, and refused, with the rest
    return full[: path.width * DIGEST_BYTES]
