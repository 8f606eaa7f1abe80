"""Evidence: signed heads that cannot both be true, kept so that anybody can be shown them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from federation.protocol.merkle import DIGEST_BYTES
from federation.protocol.origins import LogId
from federation.store.database import Database, Row
from federation.store.stems import stored_log

EVIDENCE_PER_LOG_MAX: Final = 16
"""One piece convicts. A thief of a log's key can make any number of others."""

# The count is taken where the row is written, so two writers cannot pass it together.
_INSERT: Final = """
    INSERT INTO evidence (origin, content_sha256, first, second, proof, seen_at_ms)
    SELECT :origin, :content, :first, :second, :proof, :seen_at_ms
    WHERE (SELECT count(*) FROM evidence WHERE origin = :origin) < :most
    ON CONFLICT DO NOTHING"""
_COLUMNS: Final = "origin, first, second, proof, seen_at_ms"


@dataclass(frozen=True, slots=True)
class StoredEvidence:
    """Two signed heads of one log that cannot both be true.

    Attributes:
        log: whose key is convicted.
        first: a signed checkpoint note, verbatim.
        second: another.
        proof: where their sizes differ, consistency hashes from the smaller to the larger that
            show that the larger commits to another prefix; 32 bytes each.
        seen_at_ms: when this node had both, Unix milliseconds.
    """

    log: LogId
    first: bytes
    second: bytes
    proof: tuple[bytes, ...]
    seen_at_ms: int


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

    async def keep(self, evidence: StoredEvidence) -> bool:
        """Keep a piece of evidence, durably.

        Returns:
            Whether it is new; False too where ``EVIDENCE_PER_LOG_MAX`` are kept of the log.

        Raises:
            StoreFull, StoreCorrupt, StoreUnavailable: the disk; nothing was stored.
        """
        row = {
            "origin": evidence.log.origin,
            "content": _content_sha256(evidence),
            "first": evidence.first,
            "second": evidence.second,
            "proof": b"".join(evidence.proof),
            "seen_at_ms": evidence.seen_at_ms,
            "most": EVIDENCE_PER_LOG_MAX,
        }
        async with self._database.write() as unit:
            kept = await unit.run(f"{_INSERT} RETURNING 1", row)
        self.accused |= {evidence.log}
        return bool(kept)

    async def of_log(self, log: LogId) -> list[StoredEvidence]:
        """The evidence against a log, oldest first."""
        rows = await self._database.read(
            f"SELECT {_COLUMNS} FROM evidence WHERE origin = ? ORDER BY evidence_no",  # noqa: S608
            (log.origin,),
        )
        return [_evidence(row) for row in rows]

    async def first_of_each(self) -> list[StoredEvidence]:
        """One piece for every log that is accused, oldest first."""
        rows = await self._database.read(
            f"SELECT {_COLUMNS} FROM evidence WHERE evidence_no IN"  # noqa: S608 - constants
            " (SELECT min(evidence_no) FROM evidence GROUP BY origin) ORDER BY evidence_no"
        )
        return [_evidence(row) for row in rows]


def _content_sha256(evidence: StoredEvidence) -> bytes:
    """The same for both orders of the two notes."""
    origin, notes = evidence.log.origin.encode(), sorted((evidence.first, evidence.second))
    parts: Sequence[bytes] = (origin, *notes, *evidence.proof)
    return sha256(b"".join(sha256(part).digest() for part in parts)).digest()


def _evidence(row: Row) -> StoredEvidence:
    origin, first, second, proof, seen_at_ms = row
    hashes = tuple(proof[at : at + DIGEST_BYTES] for at in range(0, len(proof), DIGEST_BYTES))
    return StoredEvidence(stored_log(origin), first, second, hashes, seen_at_ms)
