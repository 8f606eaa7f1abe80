"""Checkpoints that prove something here, and who cosigned them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from federation.local_errors.askers import LogNotFound, ProofNotAvailable
from federation.protocol.notes import parse_signature_line
from federation.protocol.origins import Cosigner
from federation.store import receipt_store
from federation.store.receipt_store import Reach, StoredReceipt
from federation.store.stores import Stores, open_stores
from tests.builders import ACME, NOVA, UMBRA, MadeLog, make_log, make_roster

FOUNDED = make_roster()
FID = FOUNDED.roster.federation_id


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    path = tmp_path / "node.sqlite"
    async with await open_stores(path, member=NOVA, federation_id=FID) as opened:
        yield opened


async def _grown(stores: Stores, *sizes: int) -> MadeLog:
    """A log with a checkpoint at each size."""
    made = make_log(founded=FOUNDED)
    for size in sizes:
        made.say_numbers(range(len(made.said), size))
        await stores.logs.append(made.advance())
    return made


async def _sizes(stores: Stores, made: MadeLog, *indexes: int) -> list[int]:
    best = [await stores.receipts.best_checkpoint(made.log, index) for index in indexes]
    return [checkpoint.size for checkpoint in best]


async def test_own_receipt_is_stored_with_the_statements_it_is_for(stores: Stores) -> None:
    made = make_log(5, founded=FOUNDED)
    receipt = made.receipt(NOVA, at_seconds=77)
    await stores.logs.append(made.moves[0], [receipt])
    stored = StoredReceipt(NOVA, Cosigner.MIRROR, 77, receipt.line)
    assert [stored] == await stores.receipts.receipts(made.log, 5)
    assert [Reach(made.log, NOVA, Cosigner.MIRROR, 5, 77)] == (
        await stores.receipts.receipts_by_member()
    )
    [checkpoint] = await stores.receipts.checkpoints(made.log)
    assert (5, made.head().note, (receipt.line,)) == (
        checkpoint.size,
        checkpoint.note,
        checkpoint.lines,
    )
    # What was stored is what the judge opens again.
    assert receipt == made.verifier.open_receipt(
        made.verifier.open_head(checkpoint.note), NOVA, Cosigner.MIRROR, checkpoint.lines[0]
    )
    assert parse_signature_line(f"{checkpoint.lines[0]}\n").name.endswith("/mirror")


async def test_receipt_on_what_is_not_held_is_not_kept(stores: Stores) -> None:
    made = await _grown(stores, 5)
    elsewhere = make_log(founded=FOUNDED)
    elsewhere.say_numbers(range(100, 110))
    made.say_numbers(range(5, 8))
    beyond, forked = made.receipt(size=8), elsewhere.receipt(size=4)
    unheard = make_log(3, founded=FOUNDED, member=UMBRA).receipt()
    held = made.receipt(size=5)
    assert [held] == await stores.receipts.keep_receipts([beyond, forked, unheard, held])
    assert [] == await stores.receipts.receipts(made.log, 8)
    assert [] == await stores.receipts.receipts(made.log, 4)
    assert [] == await stores.receipts.keep_receipts([])
    with pytest.raises(LogNotFound):
        await stores.receipts.receipts(make_log(1, founded=FOUNDED, member=UMBRA).log, 3)


async def test_receipt_on_a_head_that_was_passed_over_brings_its_checkpoint(
    stores: Stores,
) -> None:
    made = await _grown(stores, 300)
    receipt = made.receipt(size=123)
    assert [receipt] == await stores.receipts.keep_receipts([receipt])
    assert [123, 300] == [each.size for each in await stores.receipts.checkpoints(made.log)]
    [first] = await stores.receipts.checkpoints(made.log, count_max=1)
    assert (receipt.head.note, (receipt.line,)) == (first.note, first.lines)


async def test_earliest_word_of_a_cosigner_on_a_head_stays(stores: Stores) -> None:
    made = await _grown(stores, 5)
    for at_seconds in (200, 100, 300):
        await stores.receipts.keep_receipts([made.receipt(at_seconds=at_seconds)])
    [stored] = await stores.receipts.receipts(made.log, 5)
    assert 100 == stored.at_seconds
    assert made.receipt(at_seconds=100).line == stored.line


async def test_reach_of_a_member_is_its_largest_head(stores: Stores) -> None:
    made = await _grown(stores, 5, 9, 12)
    for member, cosigner, size in (
        (NOVA, Cosigner.MIRROR, 9),
        (NOVA, Cosigner.MIRROR, 5),
        (NOVA, Cosigner.WITNESS, 12),
        (UMBRA, Cosigner.MIRROR, 12),
        (ACME, Cosigner.MIRROR, 5),
    ):
        receipt = made.receipt(member, cosigner, size=size, at_seconds=1_000 + size)
        await stores.receipts.keep_receipts([receipt])
    assert [
        Reach(made.log, ACME, Cosigner.MIRROR, 5, 1_005),
        Reach(made.log, NOVA, Cosigner.MIRROR, 9, 1_009),
        Reach(made.log, NOVA, Cosigner.WITNESS, 12, 1_012),
        Reach(made.log, UMBRA, Cosigner.MIRROR, 12, 1_012),
    ] == await stores.receipts.receipts_by_member()


async def test_best_checkpoint_has_the_most_cosigners_and_then_the_most_statements(
    stores: Stores,
) -> None:
    made = await _grown(stores, 2, 4, 6, 8, 10)
    assert [10, 10] == await _sizes(stores, made, 0, 9)
    await stores.receipts.keep_receipts(
        [
            made.receipt(NOVA, size=4),
            made.receipt(UMBRA, size=4),
            made.receipt(NOVA, size=6),
            made.receipt(NOVA, size=8),
        ]
    )
    # Up to index 3 the two cosigners of size 4 cover it, then the one of size 8, then none.
    assert [4, 4, 8, 8, 10, 10] == await _sizes(stores, made, 0, 3, 4, 7, 8, 9)
    with pytest.raises(ProofNotAvailable):
        await stores.receipts.best_checkpoint(made.log, 10)


async def test_statement_of_a_log_pulled_in_parts_waits_for_its_proof(stores: Stores) -> None:
    made = make_log(founded=FOUNDED)
    made.say_numbers(range(10))
    await stores.logs.append(made.advance(4))
    with pytest.raises(ProofNotAvailable):
        await stores.receipts.best_checkpoint(made.log, 0)
    await stores.logs.append(made.advance())
    assert [10] == await _sizes(stores, made, 0)


async def test_checkpoints_are_read_in_bounded_parts(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipt_store, "CHECKPOINTS_READ_MAX", 3)
    made = await _grown(stores, 2, 4, 6, 8, 10)
    read = await stores.receipts.checkpoints(made.log, 3, count_max=100)
    assert [4, 6, 8] == [checkpoint.size for checkpoint in read]
    read = await stores.receipts.checkpoints(made.log, read[-1].size + 1, count_max=100)
    assert [10] == [checkpoint.size for checkpoint in read]
