"""Evidence: files that convict a log's key, kept for ever so that anybody can be shown them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from federation.errors import FederationError
from federation.local_errors.disk import StoreCorrupt
from federation.protocol.evidence import (
    Prefix,
    encode_evidence,
    evidence_id,
    make_evidence,
)
from federation.protocol.merkle import DIGEST_BYTES
from federation.protocol.origins import LogId
from federation.provenance.convicting import Conviction
from federation.store.database import Database, Row
from federation.store.stems import stored_log

EVIDENCE_PER_LOG_MAX: Final = 16
"""One piece convicts. A thief of a log's key can make any number of others."""

# The count is taken where the row is written, so two writers cannot pass it together.
_INSERT: Final = """
    INSERT INTO evidence
        (origin, content_sha256, first, second, proof, prefix_root, seen_at_ms)
    SELECT :origin, :content, :first, :second, :proof, :prefix_root, :seen_at_ms
    WHERE (SELECT count(*) FROM evidence WHERE origin = :origin) < :most
    ON CONFLICT DO NOTHING RETURNING 1"""
_COLUMNS: Final = "origin, first, second, proof, prefix_root, seen_at_ms"


@dataclass(frozen=True, slots=True)
class StoredEvidence:
    """A file against a log, as it was kept; the judge alone convicts by it again.

    Attributes:
        log: whose key signed both.
        encoded: the file, in its only form.
        seen_at_ms: when this node had it first, Unix milliseconds.
    """

    log: LogId
    encoded: bytes
    seen_at_ms: int

    @property
    def id(self) -> bytes:
        """SHA-256 of the file."""
        return evidence_id(self.encoded)


class EvidenceStore:
    """Evidence against all logs.

    Attributes:
        accused: the logs that there is evidence against, as of :meth:`load` and every ``keep``
            since: whoever answers a match asks without a read.
    """

    def __init__(self, database: Database) -> None:
        self.accused: frozenset[LogId] = frozenset()
        self._database = database

    async def load(self) -> None:
        """Read which logs are accused; once, before anything is answered."""
        self.accused = frozenset(each.log for each in await self.first_of_each())

    async def keep(self, conviction: Conviction, seen_at_ms: int) -> bool:
        """Keep evidence that was judged, durably.

        Args:
            conviction: what the judge said of it.
            seen_at_ms: Unix milliseconds.

        Returns:
            Whether it is new; False too where ``EVIDENCE_PER_LOG_MAX`` are kept of the log.

        Raises:
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; nothing was stored.
        """
        evidence, prefix = conviction.evidence, conviction.evidence.prefix
        row = {
            "origin": conviction.log.origin,
            "content": conviction.id,
            "first": evidence.first.note,
            "second": evidence.second.note,
            "proof": b"".join(prefix.hashes) if prefix else b"",
            "prefix_root": prefix.root_hash if prefix else None,
            "seen_at_ms": seen_at_ms,
            "most": EVIDENCE_PER_LOG_MAX,
        }
        async with self._database.write() as unit:
            kept = await unit.run(_INSERT, row)
        self.accused |= {conviction.log}
        return bool(kept)

    async def of_log(self, log: LogId) -> list[StoredEvidence]:
        """The evidence against a log, oldest first."""
        rows = await self._database.read(
            f"SELECT {_COLUMNS} FROM evidence WHERE origin = ? ORDER BY evidence_no",  # noqa: S608
            (log.origin,),
        )
        return [_evidence(row) for row in rows]

    async def all(self) -> list[StoredEvidence]:
        """Every piece, oldest first; ``EVIDENCE_PER_LOG_MAX`` of a log at most."""
        rows = await self._database.read(
            f"SELECT {_COLUMNS} FROM evidence ORDER BY evidence_no"  # noqa: S608 - constants
        )
        return [_evidence(row) for row in rows]

    async def first_of_each(self) -> list[StoredEvidence]:
        """One piece for every log that is accused, oldest first."""
        rows = await self._database.read(
            f"SELECT {_COLUMNS} FROM evidence WHERE evidence_no IN"  # noqa: S608 - constants
            " (SELECT min(evidence_no) FROM evidence GROUP BY origin) ORDER BY evidence_no"
        )
        return [_evidence(row) for row in rows]


def _evidence(row: Row) -> StoredEvidence:
    """The file of a row, written again: it has one form only.

    Raises:
        StoreCorrupt: the row holds none.
    """
    origin, first, second, proof, prefix_root, seen_at_ms = row
    hashes = tuple(proof[at : at + DIGEST_BYTES] for at in range(0, len(proof), DIGEST_BYTES))
    try:
        prefix = None if prefix_root is None else Prefix(prefix_root, hashes)
        encoded = encode_evidence(make_evidence(first, second, prefix))
    except FederationError:
        raise StoreCorrupt("stored evidence is none") from None
    return StoredEvidence(stored_log(origin), encoded, seen_at_ms)
