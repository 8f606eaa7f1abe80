"""All rooms of the store over one database file."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from federation.local_errors.disk import StoreError
from federation.protocol.origins import LogId
from federation.store.branch_store import BranchStore
from federation.store.change_store import ChangeStore
from federation.store.database import Database
from federation.store.decision_store import DecisionStore
from federation.store.erasure_store import ErasureStore
from federation.store.evidence_store import EvidenceStore
from federation.store.feed_store import FeedStore
from federation.store.incident_store import IncidentStore
from federation.store.late_rows import LateRows, open_late_rows
from federation.store.log_check import check_log
from federation.store.log_store import LogStore
from federation.store.public_store import PublicStore
from federation.store.quota_store import QuotaStore
from federation.store.receipt_store import ReceiptStore
from federation.store.roster_store import RosterStore
from federation.store.signal_store import SignalStore
from federation.store.stems import Stems
from federation.store.tree_store import TreeStore
from federation.store.webhook_store import WebhookStore
from federation.store.witness_store import WitnessStore


@dataclass(frozen=True, slots=True)
class Stores:
    """What a node keeps; an async context manager that closes the database.

    Attributes:
        database: the file.
        stems: which branch of which log has which stem.
        late: index rows that are written later.
        logs: statements, appended to by judged steps.
        branches: of forked logs.
        trees: tiles and proofs.
        receipts: checkpoints and who cosigned them.
        signals: statements by signal and by reference.
        erasures: openings that must go, and openings that are missing.
        rosters: the roster chain.
        evidence: against logs that signed two histories.
        public: checkpoints as outsiders see them, and who holds what since when.
        witness: what this node's witness signed.
        incidents: statements about incidents.
        quotas: marks on what came over a quota.
        feed: what changed for this platform, in order.
        webhooks: how far each receiver has taken it.
        changes: how far what changed was told.
        decisions: what people here decided about signals.
    """

    database: Database
    stems: Stems
    late: LateRows
    logs: LogStore
    branches: BranchStore
    trees: TreeStore
    receipts: ReceiptStore
    signals: SignalStore
    erasures: ErasureStore
    rosters: RosterStore
    evidence: EvidenceStore
    public: PublicStore
    witness: WitnessStore
    incidents: IncidentStore
    quotas: QuotaStore
    feed: FeedStore
    webhooks: WebhookStore
    changes: ChangeStore
    decisions: DecisionStore

    async def check_log(self, log: LogId, branch: int = 0) -> int:
        """See :func:`federation.store.log_check.check_log`.

        Raises:
            LogNotFound: nothing of it is held.
            StoreCorrupt: something is not what was written.
        """
        await self.late.flush()
        return await check_log(self.database, self.stems, log, branch)

    async def close(self) -> None:
        """Write what waits, wait for the transaction under way, and close."""
        with suppress(StoreError):  # else the next start makes those rows again
            await self.late.flush()
        await self.database.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


async def open_stores(
    path: Path, *, member: str, federation_id: str, is_node: bool = True
) -> Stores:
    """Open a node's database, or make it; see :meth:`Database.open`.

    Args:
        path: the file.
        member: whose node it is.
        federation_id: 32 hex digits.
        is_node: whether this is the node itself, which makes lost index rows again; not a program
            beside it, to which rows that wait in the node look lost.

    Raises:
        DataDirectoryForeign: it is another member's, federation's or program's.
        StoreNewer: a newer release has written it.
        StoreCorrupt: it is damaged, or no database.
        StoreFull, StoreUnavailable: it cannot be opened or made.
    """
    database = await Database.open(path, member=member, federation_id=federation_id)
    stems = Stems(database)
    trees = TreeStore(database, stems)
    try:
        late = await open_late_rows(database, is_unsure=is_node)
    except BaseException:
        await database.close()
        raise
    return Stores(
        database,
        stems,
        late,
        LogStore(database, stems, late),
        BranchStore(database, stems, trees),
        trees,
        ReceiptStore(database, stems, trees),
        SignalStore(database, stems, late),
        ErasureStore(database, stems, late),
        RosterStore(database),
        EvidenceStore(database),
        PublicStore(database, stems),
        WitnessStore(database),
        IncidentStore(database, stems),
        QuotaStore(database, stems),
        FeedStore(database),
        WebhookStore(database),
        ChangeStore(database),
        DecisionStore(database),
    )
