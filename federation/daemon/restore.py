"""What a node knows when it starts: views and receipts, read from the store and judged again.

The store is not trusted to believe for us: every head goes through the verifier once more, and the
edge it kept must hash to the head's root.
"""

from __future__ import annotations

from federation.daemon.membership import Membership
from federation.errors import FederationError
from federation.local_errors import StoreCorrupt
from federation.protocol.origins import Cosigner, LogId
from federation.provenance.log_view import LogView
from federation.provenance.verifier import Receipt
from federation.store.log_store import LogStore
from federation.store.receipt_store import ReceiptStore


async def restore_views(store: LogStore, membership: Membership) -> dict[LogId, LogView]:
    """The view of every log held (branch 0).

    Raises:
        StoreCorrupt: what was kept does not verify any more.
    """
    views: dict[LogId, LogView] = {}
    for kept in await store.load_logs():
        if kept.branch:
            continue
        try:
            head = membership.verifier.open_head(kept.head_note)
        except FederationError as error:
            raise StoreCorrupt(f"what was kept of {kept.log}: {error.message}") from None
        held = kept.held
        if head.log != kept.log or (head.size == held.size and head.root_hash != held.root()):
            raise StoreCorrupt(f"the stored edge of {kept.log} does not lead to its head")
        views[kept.log] = LogView(kept.log, held, head)
    return views


async def restore_receipts(
    store: ReceiptStore, membership: Membership, member: str, views: dict[LogId, LogView]
) -> tuple[Receipt, ...]:
    """This node's own mirror receipts on the heads of its views."""
    receipts: list[Receipt] = []
    for view in views.values():
        head = view.head
        if head is None or view.log.member == member:
            continue
        receipts.extend(
            membership.verifier.open_receipt(head, member, Cosigner.MIRROR, kept.line)
            for kept in await store.receipts(view.log, head.size)
            if kept.member == member and kept.cosigner is Cosigner.MIRROR
        )
    return tuple(receipts)
