"""The desk where the public is answered: no credential is asked for, and nothing secret is shown.

What stands here are salted commitments, signatures and names of members, as of the roster's public
delay: the newest checkpoint that was committed here so long ago, the tiles of that size, and heads
that the witness signed so long ago. A tile beyond the public checkpoint does not exist yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from federation.daemon.membership import Membership
from federation.daemon.quorum import QuorumWatch
from federation.daemon.witness import Witness, WitnessAnswer
from federation.errors import LogUnknown, OriginMalformed
from federation.local_errors.askers import LogNotFound, NotFound, RangeNotHeld
from federation.protocol.merkle import leaf_hash
from federation.protocol.notes import parse_signature_line
from federation.protocol.notes_writing import add_signatures
from federation.protocol.origins import LogId, parse_origin
from federation.protocol.tiles import TilePath, encode_entries, tile_width
from federation.store.receipt_store import StoredCheckpoint
from federation.store.stores import Stores

PUBLIC_HEADS_KEPT_SECONDS: Final = 1.0
"""How long a public head is remembered: a client that reads a whole log asks for it once a tile."""

PUBLIC_HEADS_MAX: Final = 4_096
"""Heads remembered, at some hundred bytes each: three lanes of 1,000 members."""


def signed_note(head: StoredCheckpoint) -> bytes:
    """A checkpoint with every cosignature that is known of it.

    Raises:
        NoteMalformed, TooLarge: what was stored is no note, or too many lines of one.
    """
    return add_signatures(head.note, [parse_signature_line(f"{line}\n") for line in head.lines])


class PublicDesk:
    """Answers the public listener (docs/internals/public_log.md).

    Args:
        stores: what this node holds.
        membership: the roster in force.
        witness: this node's witness.
        quorum: which heads the operator lets out.
        unix_ms: the clock, Unix milliseconds.
    """

    def __init__(
        self,
        stores: Stores,
        membership: Membership,
        witness: Witness,
        quorum: QuorumWatch,
        unix_ms: Callable[[], int],
    ) -> None:
        self._stores, self._membership = stores, membership
        self._witness, self._quorum, self._unix_ms = witness, quorum, unix_ms
        self._heads: dict[LogId, tuple[int, StoredCheckpoint]] = {}

    async def checkpoint(self, origin: str) -> bytes:
        """The public checkpoint of a log, with its cosignatures.

        Raises:
            LogNotFound: no such log, or nothing of it is public yet.
        """
        return signed_note(await self._public_head(self._log(origin)))

    async def tile(self, origin: str, path: TilePath) -> bytes:
        """A tile or entry bundle of a log, as far as its public checkpoint implies it.

        Raises:
            LogNotFound: no such log, or nothing of it is public yet.
            RangeNotHeld: the tile is not there, or not that wide.
        """
        log = self._log(origin)
        head = await self._public_head(log)
        if path.width > tile_width(path.level or 0, path.index, head.size):
            raise RangeNotHeld("no such tile, or not that wide")
        if path.level:
            return await self._stores.trees.tile(log, path.level, path.index, path.width)
        entries = await self._stores.public.entries(log, path.index, path.width)
        if path.level is None:
            return encode_entries(entries)
        return b"".join(leaf_hash(entry) for entry in entries)

    async def roster(self, version: int) -> bytes:
        """A roster version, verbatim.

        Raises:
            NotFound: this node has no such version.
        """
        versions = self._membership.chain.versions
        if not 1 <= version <= len(versions):
            raise NotFound(f"this node has no roster version {version}")
        return versions[version - 1]

    async def witnessed(self, origin_sha256: bytes) -> bytes:
        """The witness's monitoring endpoint, as of the public delay.

        Raises:
            LogNotFound: no log of that name, or nothing signed so long ago.
        """
        return await self._witness.monitored(origin_sha256, self._public_at_ms())

    async def add_checkpoint(self, body: bytes) -> WitnessAnswer:
        """Answer a log that asks for a witness's signature.

        Raises:
            StoreError: it could not be made durable.
        """
        return await self._witness.add_checkpoint(body)

    def _log(self, origin: str) -> LogId:
        try:
            log = parse_origin(origin)
            self._membership.roster.log(log)
        except (OriginMalformed, LogUnknown):
            raise LogNotFound("no log of that origin") from None
        return log

    async def _public_head(self, log: LogId) -> StoredCheckpoint:
        now_ms = self._unix_ms()
        kept = self._heads.get(log)
        if kept is not None and 0 <= now_ms - kept[0] < PUBLIC_HEADS_KEPT_SECONDS * 1_000:
            return kept[1]
        head = await self._quorum.public_head(log, self._public_at_ms())
        if head is None:
            raise LogNotFound(f"nothing of {log} is public yet")
        if len(self._heads) >= PUBLIC_HEADS_MAX:
            self._heads.clear()
        self._heads[log] = (now_ms, head)
        return head

    def _public_at_ms(self) -> int:
        return self._unix_ms() - self._membership.roster.public_delay_seconds * 1_000
