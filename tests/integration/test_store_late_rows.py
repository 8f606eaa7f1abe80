"""Index rows that are written later: found while they wait, and made again after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest

from federation.local_errors.disk import StoreCorrupt, StoreError, StoreFull
from federation.protocol.origins import Lane
from federation.protocol.signals import SignalType
from federation.store import late_rows
from federation.store.appending import append_steps
from federation.store.late_rows import LATE_STATEMENTS_MIN, LateKeys
from federation.store.stores import Stores, open_stores
from tests.builders import NOVA, MadeLog, make_erase, make_log, make_roster, make_signal

FOUNDED = make_roster()
FID = FOUNDED.roster.federation_id
MANY = LATE_STATEMENTS_MIN + 10


async def _open(folder: Path) -> Stores:
    return await open_stores(folder / "node.sqlite", member=NOVA, federation_id=FID)


async def _counts(stores: Stores) -> tuple[int, int, int]:
    [row] = await stores.database.read(
        "SELECT (SELECT count(*) FROM statement_ids), (SELECT count(*) FROM signal_places),"
        " (SELECT count(*) FROM late_rows)"
    )
    return row[0], row[1], row[2]


async def _check_all_found(stores: Stores, made: MadeLog) -> None:
    for number in (0, 7, len(made.said) - 1):
        found = await stores.logs.statement(made.said[number].id)
        assert found is not None
        assert made.said[number] == found.statement
        [carrier] = await stores.signals.carriers(SignalType.PDQ, make_signal(number).value)
        assert made.said[number] == carrier.statement


async def test_rows_of_a_long_step_wait_and_are_found_all_the_same(tmp_path: Path) -> None:
    async with await _open(tmp_path) as stores:
        made = make_log(MANY, founded=FOUNDED)
        await stores.logs.append(made.moves[0])
        assert (0, 0, 1) == await _counts(stores)
        await _check_all_found(stores, made)
        made.say_numbers([MANY])
        await stores.logs.append(made.advance())  # a short one is written at once
        assert (1, 1, 1) == await _counts(stores)
        await _check_all_found(stores, made)
        await stores.late.flush()
        assert (MANY + 1, MANY + 1, 0) == await _counts(stores)
        await _check_all_found(stores, made)
        assert MANY + 1 == await stores.check_log(made.log)


async def test_rows_are_written_by_themselves_when_they_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_rows, "LATE_ROWS_MAX", 2 * MANY)
    monkeypatch.setattr(late_rows, "ROWS_PER_TRANSACTION", 100)
    async with await _open(tmp_path) as stores:
        made = make_log(MANY, founded=FOUNDED, lane=Lane.BULK)
        await stores.logs.append(made.moves[0])
        assert (0, 0, 1) == await _counts(stores)
        made.say_numbers(range(MANY, 2 * MANY))
        await stores.logs.append(made.advance())
        assert (2 * MANY, 2 * MANY, 0) == await _counts(stores)


async def test_rows_of_bulk_give_way_before_each_transaction_and_those_of_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_rows, "LATE_ROWS_MAX", MANY)
    monkeypatch.setattr(late_rows, "LATE_ROWS_MAX_URGENT", MANY)
    monkeypatch.setattr(late_rows, "ROWS_PER_TRANSACTION", 100)
    written = list[tuple[int, int, int]]()
    async with await _open(tmp_path) as stores:

        async def give_way() -> None:
            written.append(await _counts(stores))

        stores.late.give_way = give_way
        live = make_log(MANY, founded=FOUNDED)
        await stores.logs.append(live.moves[0])
        assert [] == written
        bulk = make_log(MANY, founded=FOUNDED, lane=Lane.BULK)
        await stores.logs.append(bulk.moves[0])
    done = [ids + signals - 2 * MANY for ids, signals, _marks in written]
    assert 0 == done[0]
    assert 100 >= max(after - before for before, after in pairwise(done))
    assert 2 * MANY == done[-1]


@pytest.mark.parametrize("lane", [Lane.CRISIS, Lane.LIVE])
async def test_urgent_step_does_not_wait_for_the_rows_of_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lane: Lane
) -> None:
    monkeypatch.setattr(late_rows, "LATE_ROWS_MAX", 2 * MANY)
    monkeypatch.setattr(late_rows, "LATE_ROWS_MAX_URGENT", 4 * MANY)
    async with await _open(tmp_path) as stores:
        bulk = make_log(2 * MANY - 1, founded=FOUNDED, lane=Lane.BULK)
        await stores.logs.append(bulk.moves[0])
        urgent = make_log(MANY, founded=FOUNDED, lane=lane)
        await stores.logs.append(urgent.moves[0])
        assert (0, 0, 2) == await _counts(stores)
        bulk.say_numbers(range(2 * MANY, 3 * MANY))
        await stores.logs.append(bulk.advance())
        assert (4 * MANY - 1, 4 * MANY - 1, 0) == await _counts(stores)


def _failing_with(monkeypatch: pytest.MonkeyPatch, error: StoreError) -> None:
    async def fail(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(late_rows, "LATE_ROWS_MAX", MANY)
    monkeypatch.setattr(late_rows, "LATE_ROWS_MAX_URGENT", 2 * MANY)
    monkeypatch.setattr(late_rows.LateRows, "_write_waiting", fail)


async def _append(stores: Stores, made: MadeLog) -> None:
    made.say_numbers(range(made.view.size, made.view.size + MANY))
    await stores.logs.append(made.advance())


async def test_rows_that_cannot_be_written_are_told_of_once_and_then_no_more_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A damaged page of an index: memory does not grow for ever, and whoever appends is told."""
    async with await _open(tmp_path) as stores:
        made = make_log(founded=FOUNDED, lane=Lane.BULK)
        with monkeypatch.context() as damaged:
            _failing_with(damaged, StoreCorrupt("a page"))
            for _ in range(2):
                await _append(stores, made)
            told = [each for each in caplog.records if each.name == late_rows.__name__]
            assert 1 == len(told)
            made.say_numbers(range(2 * MANY, 3 * MANY))
            step = made.advance()
            for _ in range(2):
                with pytest.raises(StoreCorrupt):
                    await stores.logs.append(step)
            assert 2 * MANY == await stores.logs.size(made.log)
        await stores.logs.append(step)
        assert 3 * MANY == await stores.check_log(made.log)


async def test_a_full_disk_that_holds_rows_up_fails_no_step_that_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await _open(tmp_path) as stores:
        made = make_log(founded=FOUNDED, lane=Lane.BULK)
        with monkeypatch.context() as full:
            _failing_with(full, StoreFull("no room"))
            for _ in range(5):
                await _append(stores, made)
        assert 5 * MANY == await stores.check_log(made.log)


async def test_an_erase_waits_for_no_rows_of_others_and_leaves_none_of_its_own(
    tmp_path: Path,
) -> None:
    async with await _open(tmp_path) as stores:
        made = make_log(MANY, founded=FOUNDED, lane=Lane.BULK)
        await stores.logs.append(made.moves[0])
        erase = make_log(founded=FOUNDED, lane=Lane.CRISIS)
        erase.say(make_erase(MANY, made.said[7].id, federation_id=FID))
        await stores.logs.append(erase.advance())
        place, _ = await stores.erasures.places_of(erase.log, 0, 1)
        [asked], after = await stores.erasures.asked_for_page(-1, place, place)
        assert (made.log, 7, None) == (asked.log, asked.index, after)
        verified = made.moves[0].statements[7]
        await stores.erasures.erase([(asked, verified)])
        assert (1, 0, 1) == await _counts(stores)  # the erase alone: the rest waits on
        assert ([], None) == await stores.erasures.asked_for_page(-1, place, place)
        assert [] == await stores.signals.carriers(SignalType.PDQ, make_signal(7).value)
        await stores.late.flush()
        assert (MANY + 1, MANY - 1, 0) == await _counts(stores)
        assert [] == await stores.signals.carriers(SignalType.PDQ, make_signal(7).value)
        assert MANY == await stores.check_log(made.log)


async def test_what_a_crash_took_is_made_again_at_the_next_start(tmp_path: Path) -> None:
    stores = await _open(tmp_path)
    made = make_log(MANY, founded=FOUNDED)
    await stores.logs.append(made.moves[0])
    await stores.database.close()  # what a killed process leaves behind
    async with await _open(tmp_path) as again:
        assert (MANY, MANY, 0) == await _counts(again)
        await _check_all_found(again, made)
        assert MANY == await again.check_log(made.log)


async def test_a_step_that_comes_while_others_are_written_keeps_its_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_rows, "ROWS_PER_TRANSACTION", 10)
    stores = await _open(tmp_path)
    made = make_log(MANY, founded=FOUNDED)
    await stores.logs.append(made.moves[0])
    made.say_numbers(range(MANY, 2 * MANY))
    step = made.advance()
    await asyncio.gather(stores.late.flush(), stores.logs.append(step))
    assert (MANY, MANY, 1) == await _counts(stores)
    await _check_all_found(stores, made)
    await stores.database.close()
    async with await _open(tmp_path) as again:
        assert (2 * MANY, 2 * MANY, 0) == await _counts(again)
        assert 2 * MANY == await again.check_log(made.log)


async def test_a_second_crash_while_rows_are_made_again_takes_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes after some of them were written: the mark says where reading had come to."""
    monkeypatch.setattr(late_rows, "PAGE_ROWS", 64)
    stores = await _open(tmp_path)
    made = make_log(MANY, founded=FOUNDED)
    await stores.logs.append(made.moves[0])
    await stores.database.close()
    monkeypatch.setattr(late_rows, "LATE_ROWS_MAX", 64)
    write = late_rows.LateRows._write_waiting

    class KilledError(BaseException):
        """Not to be caught."""

    async def write_and_die(self: late_rows.LateRows) -> None:
        await write(self)
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(late_rows.LateRows, "_write_waiting", write_and_die)
        with pytest.raises(KilledError):
            await _open(tmp_path)
    async with await _open(tmp_path) as again:
        assert (MANY, MANY, 0) == await _counts(again)
        await _check_all_found(again, made)
        assert MANY == await again.check_log(made.log)


async def test_a_program_beside_the_node_leaves_what_waits_in_it_alone(tmp_path: Path) -> None:
    """An export opens and closes the database while the node appends; then the node crashes."""
    stores = await _open(tmp_path)
    made = make_log(MANY, founded=FOUNDED)
    await stores.logs.append(made.moves[0])
    path = tmp_path / "node.sqlite"
    async with await open_stores(path, member=NOVA, federation_id=FID, is_node=False):
        pass
    assert (0, 0, 1) == await _counts(stores)
    await stores.database.close()
    async with await _open(tmp_path) as again:
        assert (MANY, MANY, 0) == await _counts(again)


async def test_a_step_cancelled_while_others_are_written_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is committed all the same, and nobody was told: its mark is all that knows of its rows."""
    made = make_log(MANY, founded=FOUNDED)
    made.say_numbers(range(MANY, 2 * MANY))
    step = made.advance()
    move_marks = late_rows.LateRows._move_marks

    async def cancelled_before(self: late_rows.LateRows, stems: Iterable[int]) -> None:
        with suppress(asyncio.CancelledError), self.claim(dict.fromkeys(stems, MANY)):
            async with self._database.write() as unit:
                keys = LateKeys()
                appended = append_steps([(stem, step) for stem in stems], [], (), keys)
                await unit.run_all([*appended, *self.steps(keys)])
            raise asyncio.CancelledError
        await move_marks(self, stems)

    async with await _open(tmp_path) as stores:
        await stores.logs.append(made.moves[0])
        with monkeypatch.context() as patched:
            patched.setattr(late_rows.LateRows, "_move_marks", cancelled_before)
            await stores.late.flush()
        await stores.late.flush()
        assert (2 * MANY, 2 * MANY, 0) == await _counts(stores)
        await _check_all_found(stores, made)


async def test_an_erased_statement_leaves_no_row_behind(tmp_path: Path) -> None:
    async with await _open(tmp_path) as stores:
        made = make_log(MANY, founded=FOUNDED)
        await stores.logs.append(made.moves[0])
        stored = await stores.logs.places(made.said[3].id)
        judged = made.moves[0].statements[3]
        await stores.erasures.erase([(stored[0], judged)])
        await stores.late.flush()
        assert [] == await stores.signals.carriers(SignalType.PDQ, make_signal(3).value)
        assert MANY == await stores.check_log(made.log)
