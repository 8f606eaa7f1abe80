"""Peers' receipts are written together, and none is lost by another's trouble."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from federation.daemon import receipt_keeper
from federation.daemon.receipt_keeper import GATHERED_MAX, ReceiptKeeper
from federation.gossip.events import KeepReceipt
from federation.local_errors.disk import StoreCorrupt
from federation.provenance.verifier import Receipt
from federation.store.receipt_store import ReceiptStore
from federation.store.stores import open_stores
from tests.builders import ACME, NOVA, UMBRA, make_log, make_roster

FOUNDED = make_roster()
FID = FOUNDED.roster.federation_id
MADE = make_log(1, founded=FOUNDED)
OTHER = make_log(1, founded=FOUNDED, member=UMBRA)


class Written(ReceiptStore):
    """What a store is asked to write at once; some of it is damaged."""

    def __init__(self, *damaged: Receipt) -> None:
        self.batches: list[Sequence[Receipt]] = []
        self._damaged = damaged

    async def keep_receipts(self, receipts: Sequence[Receipt]) -> list[Receipt]:
        self.batches.append(tuple(receipts))
        if any(each in self._damaged for each in receipts):
            raise StoreCorrupt("a stored checkpoint is none")
        return list(receipts)


async def keep(store: ReceiptStore, receipts: Sequence[Receipt]) -> None:
    carry = ReceiptKeeper(store).carry()[KeepReceipt]
    await asyncio.gather(*(carry(KeepReceipt(each)) for each in receipts))


async def test_receipts_of_one_moment_are_one_transaction_and_stay(tmp_path: Path) -> None:
    given = [MADE.receipt(UMBRA), MADE.receipt(NOVA)]
    async with await open_stores(tmp_path / "node", member=ACME, federation_id=FID) as stores:
        await stores.logs.append(MADE.moves[0])
        await keep(stores.receipts, given)
        kept = await stores.receipts.receipts(MADE.log, 1)
    assert {each.member for each in given} == {each.member for each in kept}
    written = Written()
    await keep(written, given)
    assert [tuple(given)] == written.batches


async def test_one_logs_damage_costs_no_receipt_on_another() -> None:
    damaged, sound = MADE.receipt(UMBRA), OTHER.receipt(NOVA)
    written = Written(damaged)
    await keep(written, [damaged, sound])
    assert (sound,) in written.batches


async def test_a_flood_of_receipts_does_not_pile_up_while_others_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receipt_keeper, "GATHER_SECONDS", None)  # only their number ends the wait
    written = Written()
    await keep(written, [MADE.receipt(UMBRA)] * GATHERED_MAX)
    assert [GATHERED_MAX] == [len(batch) for batch in written.batches]
