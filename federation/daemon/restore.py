"""What a node knows when it starts: views and receipts, read from the store and judged again.

The store is not trusted to believe for us: every head goes through the verifier once more, and the
edge it kept must hash to the head's root.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from federation.daemon.membership import Membership
from federation.daemon.pinning import find_cuts, standing_view
from federation.errors import FederationError, SignatureInvalid
from federation.gossip.fork_events import ForkedLog
from federation.local_errors.disk import StoreCorrupt
from federation.protocol.origins import Cosigner, LogId
from federation.protocol.statements import Statement
from federation.provenance.convicting import Conviction
from federation.provenance.log_view import Advance, LogView
from federation.provenance.verifier import Receipt
from federation.store.receipt_store import ReceiptStore
from federation.store.stores import Stores

READ_BYTES_MAX: Final = 1 << 20
"""Read at a time: some milliseconds, then other tasks have their turn."""


async def restore_views(stores: Stores, membership: Membership) -> dict[LogId, LogView]:
    """The view of every log held (branch 0), as far as it stands; finds what is cut off, too.

    Raises:
        StoreCorrupt: what was kept does not verify any more.
    """
    logs = await stores.logs.load_logs()
    membership.cuts = await find_cuts(stores, membership.roster, logs)
    return {
        kept.log: await standing_view(
            stores, membership.verifier, kept, membership.cuts.ends.get((kept.log, 0))
        )
        for kept in logs
        if not kept.branch
    }


async def restore_view(stores: Stores, membership: Membership, log: LogId) -> LogView:
    """What is held of one log now (branch 0), as far as it stands.

    Raises:
        StoreCorrupt: what was kept does not verify any more.
        StoreError: the disk.
    """
    for kept in await stores.logs.load_logs():
        if kept.log == log and not kept.branch:
            end = membership.cuts.ends.get((log, 0))
            return await standing_view(stores, membership.verifier, kept, end)
    return LogView(log)


async def restore_step(stores: Stores, membership: Membership, known: LogView) -> Advance | None:
    """The step from a view of a log (branch 0) to what the store holds of it now.

    Args:
        stores: what is held.
        membership: the roster in force.
        known: what is known of it.

    Returns:
        None where the store holds no more, or not all under a head.

    Raises:
        StoreCorrupt: what was kept does not verify any more, or does not follow.
        StoreError: the disk.
    """
    view = await restore_view(stores, membership, known.log)
    if view.size <= known.size or view.head is None or not view.is_complete:
        return None
    said: list[Statement] = []
    while (at := known.size + len(said)) < view.size:
        said += await stores.logs.statements(known.log, at, view.size, READ_BYTES_MAX)
    try:
        return known.advance(view.head, said, (), membership.verifier)
    except FederationError as error:
        raise StoreCorrupt(f"what was kept of {known.log}: {error.message}") from None


async def restore_forked(
    stores: Stores, membership: Membership, convictions: Iterable[Conviction]
) -> tuple[ForkedLog, ...]:
    """The logs under evidence, and their branches but the first, as far as each stands.

    Args:
        stores: what is held.
        membership: the roster in force.
        convictions: the evidence, judged again.

    Raises:
        StoreCorrupt: what was kept does not verify any more.
    """
    by_log: dict[LogId, dict[int, LogView]] = {each.log: {} for each in convictions}
    for kept in await stores.logs.load_logs():
        if kept.branch and kept.log in by_log:
            end = membership.cuts.ends.get((kept.log, kept.branch))
            view = await standing_view(stores, membership.verifier, kept, end)
            by_log[kept.log][kept.branch] = view
    return tuple(ForkedLog(each, by_log[each.log]) for each in convictions)


async def restore_receipts(
    store: ReceiptStore, membership: Membership, member: str, views: dict[LogId, LogView]
) -> tuple[Receipt, ...]:
    """This node's own mirror receipts on the heads of its views."""
    receipts: list[Receipt] = []
    for view in views.values():
        head = view.head
        if head is None or view.log.member == member:
            continue
        for kept in await store.receipts(view.log, head.size):
            if kept.member == member and kept.cosigner is Cosigner.MIRROR:
                try:
                    receipts.append(
                        membership.verifier.open_receipt(head, member, Cosigner.MIRROR, kept.line)
                    )
                except SignatureInvalid:
                    continue  # by a key that the roster has replaced since: it is made again
    return tuple(receipts)
