"""Logs in a real database: what goes in comes out, proofs included, and nothing else goes in."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.errors import ProofMalformed
from federation.local_errors.askers import LogNotFound, RangeNotHeld
from federation.local_errors.disk import StoreConflict, StoreUnavailable
from federation.protocol.limits import TILE_WIDTH
from federation.protocol.merkle import verify_inclusion
from federation.protocol.merkle_growth import CompactRange
from federation.protocol.merkle_proofs import consistency_proof, inclusion_proof
from federation.protocol.origins import Lane
from federation.protocol.statements import Statement
from federation.provenance.log_view import LogView
from federation.store.late_rows import LATE_STATEMENTS_MIN
from federation.store.log_store import StoredLog
from federation.store.places import StoredStatement
from federation.store.stores import Stores, open_stores
from tests.builders import (
    ACME,
    NOVA,
    UMBRA,
    MadeLog,
    make_confirm,
    make_log,
    make_roster,
    make_signal,
    make_statement,
)

FOUNDED = make_roster()
FID = FOUNDED.roster.federation_id
EVERYTHING = 10**9


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    path = tmp_path / "node.sqlite"
    async with await open_stores(path, member=NOVA, federation_id=FID) as opened:
        yield opened


def _log(count: int = 0, member: str = ACME, lane: Lane = Lane.LIVE) -> MadeLog:
    return make_log(count, founded=FOUNDED, member=member, lane=lane)


async def _appended(stores: Stores, count: int, **where: object) -> MadeLog:
    made = _log(count, **where)  # type: ignore[arg-type]
    await stores.logs.append(made.moves[0])
    return made


# --- appending ----------------------------------------------------------------------------------


async def test_crisis_commit_is_next_after_the_one_under_way(stores: Stores) -> None:
    """Whoever wrote before it asked: bulk of others and our own, marks, index rows, the scrub."""
    long = _log(LATE_STATEMENTS_MIN, member=UMBRA, lane=Lane.BULK)
    await stores.logs.append(long.moves[0])  # its index rows wait to be written
    made = {
        (member, lane): _log(3, member=member, lane=lane)
        for member in (ACME, NOVA)
        for lane in (Lane.BULK, Lane.CRISIS)
    }
    await stores.stems.ensure([each.log for each in made.values()])
    order: list[str] = []

    async def ends(name: str, write: Awaitable[object]) -> None:
        await write
        order.append(name)

    async with stores.database.write(Lane.BULK):
        lower = [
            stores.logs.append(made[ACME, Lane.BULK].moves[0]),
            stores.logs.append(made[NOVA, Lane.BULK].moves[0]),
            stores.late.flush(),
            stores.erasures.scrub(),
            *(stores.quotas.mark(long.log, "crowd", at, at + 1) for at in range(0, 40, 2)),
        ]
        tasks = [asyncio.create_task(ends(f"bulk {at}", each)) for at, each in enumerate(lower)]
        for _ in range(100):  # until each of them waits for the writer
            await asyncio.sleep(0)
        tasks += [
            asyncio.create_task(ends("crisis", stores.logs.append(made[each].moves[0])))
            for each in made
            if each[1] is Lane.CRISIS
        ]
        for _ in range(100):
            await asyncio.sleep(0)
        assert [] == order
    await asyncio.gather(*tasks)
    assert ["crisis", "crisis"] == order[:2]
    assert len(lower) + 2 == len(order)


async def test_log_is_loaded_as_it_was_appended(tmp_path: Path) -> None:
    path = tmp_path / "node.sqlite"
    made = _log(300)
    async with await open_stores(path, member=NOVA, federation_id=FID) as stores:
        assert [] == await stores.logs.load_logs()
        await stores.logs.append(made.moves[0])
    async with await open_stores(path, member=NOVA, federation_id=FID) as stores:
        [stored] = await stores.logs.load_logs()
    note = made.head().note
    assert StoredLog(made.log, 0, made.view.held, note, 300, note) == stored
    assert made.view == LogView(stored.log, stored.held, made.verifier.open_head(stored.head_note))


async def test_log_held_in_part_is_loaded_with_the_last_head_that_was_whole(stores: Stores) -> None:
    made = _log(2)
    head = made.head()
    await stores.logs.append(made.moves[0])
    made.say_numbers(range(2, 5))
    await stores.logs.append(made.advance(2))
    other = make_log(1, founded=FOUNDED, member=NOVA)
    await stores.logs.append(other.moves[0])
    [stored] = await stores.logs.load_logs(made.log)
    assert (2, head.note) == (stored.whole_size, stored.whole_note)
    assert (4, made.head().note) == (stored.held.size, stored.head_note)


async def test_log_pulled_in_parts_is_loaded_with_the_head_it_is_pulled_under(
    stores: Stores,
) -> None:
    made = _log()
    made.say_numbers(range(600))
    for count in (100, 1, 300):
        await stores.logs.append(made.advance(count))
        [stored] = await stores.logs.load_logs()
        assert made.view.held == stored.held
        assert 600 == made.verifier.open_head(stored.head_note).size
        # A head is no proof here before all under it is held.
        assert [] == await stores.receipts.checkpoints(made.log)
    await stores.logs.append(made.advance())
    assert [600] == [each.size for each in await stores.receipts.checkpoints(made.log)]
    assert 600 == await stores.check_log(made.log)


async def test_step_is_committed_only_on_what_it_was_judged_from(stores: Stores) -> None:
    made = _log(3)
    made.say_numbers(range(3, 5))
    second = made.advance()
    with pytest.raises(StoreConflict):
        await stores.logs.append(second)
    await stores.logs.append(made.moves[0])
    with pytest.raises(StoreConflict):
        await stores.logs.append(made.moves[0])
    await stores.logs.append(second)
    with pytest.raises(StoreConflict):
        await stores.logs.append(second)
    assert 5 == await stores.check_log(made.log)


async def test_step_of_the_other_side_of_a_fork_is_refused(stores: Stores) -> None:
    ours, theirs = _log(3), _log()
    theirs.say_numbers(range(10, 13))
    theirs.advance()
    for made in (ours, theirs):
        made.say_numbers(range(20, 22))
        made.advance()
    await stores.logs.append(ours.moves[0])
    with pytest.raises(StoreConflict):
        await stores.logs.append(theirs.moves[1])
    await stores.logs.append(ours.moves[1])
    assert ours.said == await stores.logs.statements(ours.log, 0, 10, EVERYTHING)


async def test_one_lost_swap_stops_all_steps_of_a_transaction(stores: Stores) -> None:
    acme, nova = _log(3), _log(4, NOVA)
    await stores.logs.append(acme.moves[0])
    with pytest.raises(StoreConflict):
        await stores.logs.append_many([nova.moves[0], acme.moves[0]])
    with pytest.raises(RangeNotHeld):
        await stores.logs.statements(nova.log, 0, 1, EVERYTHING)
    await stores.logs.append(nova.moves[0])
    assert [3, 4] == [log.held.size for log in await stores.logs.load_logs()]


async def test_steps_of_one_log_follow_each_other_in_one_transaction(stores: Stores) -> None:
    made = _log()
    for start in range(0, 1_000, 100):
        made.say_numbers(range(start, start + 100))
        made.advance()
    await stores.logs.append_many(made.moves)
    assert 1_000 == await stores.check_log(made.log)
    assert 10 == len(await stores.receipts.checkpoints(made.log))


async def test_nothing_but_a_step_is_appended(stores: Stores) -> None:
    made = _log(3)
    made.say_numbers(range(3, 5))
    first, second = made.moves[0], made.advance()
    for forged in (
        replace(first, statements=first.statements[1:]),
        replace(first, statements=second.statements),
        replace(second, before=first.before),
        replace(first, view=replace(first.view, log=_log(member=NOVA).log)),
        replace(first, statements=()),
    ):
        with pytest.raises(ValueError, match="step"):
            await stores.logs.append(forged)
    assert [] == await stores.logs.load_logs()


async def test_receipt_on_another_head_is_not_appended(stores: Stores) -> None:
    made = _log(3)
    with pytest.raises(ValueError, match="receipt"):
        await stores.logs.append(made.moves[0], [made.receipt(size=2)])
    assert [] == await stores.logs.load_logs()


@pytest.mark.parametrize("turns", range(0, 60, 3))
async def test_append_cancelled_anywhere_is_whole_or_not_there(stores: Stores, turns: int) -> None:
    made = await _appended(stores, 5)
    made.say_numbers(range(5, 300))
    task = asyncio.create_task(stores.logs.append(made.advance(), [made.receipt()]))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    held = await stores.check_log(made.log)
    assert held in {5, 300}
    assert (held == 300) == bool(await stores.receipts.receipts(made.log, 300))
    if held == 5:
        await stores.logs.append(made.moves[-1])
    assert 300 == await stores.check_log(made.log)


async def test_first_append_of_many_logs_at_once(stores: Stores) -> None:
    logs = [_log(2, member, lane) for member in (ACME, NOVA, UMBRA) for lane in Lane]
    await asyncio.gather(*(stores.logs.append(made.moves[0]) for made in logs))
    held = {stored.log: stored.held for stored in await stores.logs.load_logs()}
    assert {made.log: made.view.held for made in logs} == held


async def test_both_sides_of_a_fork_are_held_side_by_side(stores: Stores) -> None:
    ours, theirs = _log(300), _log()
    theirs.say(*ours.said[:200], make_statement(999, federation_id=FID))
    theirs.advance()
    await stores.logs.append(ours.moves[0])
    await stores.logs.append(theirs.moves[0], branch=1)
    assert [(0, 300), (1, 201)] == [
        (stored.branch, stored.held.size) for stored in await stores.logs.load_logs()
    ]
    for branch, made in enumerate((ours, theirs)):
        assert made.view.size == await stores.check_log(made.log, branch)
        read = await stores.logs.statements(made.log, 199, 201, EVERYTHING, branch=branch)
        assert made.said[199:201] == read
        proof = inclusion_proof(7, 201, made.node)
        assert proof == await stores.trees.inclusion_proof(made.log, 7, 201, branch=branch)
    # A receipt goes to the side whose root it is on.
    await stores.receipts.keep_receipts([theirs.receipt(size=201), ours.receipt(size=201)])
    for branch, made in enumerate((ours, theirs)):
        [kept] = await stores.receipts.receipts(made.log, 201, branch=branch)
        assert made.receipt(size=201).line == kept.line
    assert [0, 1] == [place.branch for place in await stores.logs.places(ours.said[3].id)]


async def test_append_after_close_is_refused(tmp_path: Path) -> None:
    stores = await open_stores(tmp_path / "node.sqlite", member=NOVA, federation_id=FID)
    await stores.close()
    with pytest.raises(StoreUnavailable):
        await stores.logs.append(_log(1).moves[0])


# --- reading ------------------------------------------------------------------------------------


async def test_statement_is_found_by_its_id_with_the_bytes_that_were_signed(
    stores: Stores,
) -> None:
    made = await _appended(stores, 20)
    for index, said in enumerate(made.said):
        expected = StoredStatement(made.log, 0, index, said)
        assert expected == await stores.logs.statement(said.id)
    assert await stores.logs.statement(make_statement(999).id) is None


async def test_statement_in_two_lanes_has_two_places(stores: Stores) -> None:
    live = await _appended(stores, 3)
    crisis = await _appended(stores, 2, lane=Lane.CRISIS)
    places = await stores.logs.places(live.said[1].id)
    assert [live.log, crisis.log] == [place.log for place in places]
    assert {live.said[1]} == {place.statement for place in places}


async def test_ids_that_share_their_key_are_told_apart(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("federation.store.places.hkey_of", lambda digest: digest[0] % 2)
    made = await _appended(stores, 50)
    for index, said in enumerate(made.said):
        found = await stores.logs.statement(said.id)
        assert found is not None
        assert (index, said) == (found.index, found.statement)
    assert await stores.logs.statement(make_statement(999).id) is None


async def test_range_is_cut_at_its_bytes_but_never_below_one_statement(stores: Stores) -> None:
    made = await _appended(stores, 10)
    sizes = [said.bytes_on_wire for said in made.said]
    for count in range(1, 11):
        exactly = sum(sizes[:count])
        assert made.said[:count] == await stores.logs.statements(made.log, 0, 10, exactly)
        assert made.said[: max(count - 1, 1)] == await stores.logs.statements(
            made.log, 0, 10, exactly - 1
        )
    assert made.said[4:5] == await stores.logs.statements(made.log, 4, 10, 0)


async def test_range_ends_where_the_log_does(stores: Stores) -> None:
    made = await _appended(stores, 10)
    await _appended(stores, 5, member=NOVA)
    assert made.said[7:] == await stores.logs.statements(made.log, 7, 1_000, EVERYTHING)
    assert made.said[7:8] == await stores.logs.statements(made.log, 7, 8, EVERYTHING)
    for start, end in ((10, 11), (5, 5), (-1, 3), (6, 5)):
        with pytest.raises(RangeNotHeld):
            await stores.logs.statements(made.log, start, end, EVERYTHING)


async def test_log_that_is_not_held_is_said(stores: Stores) -> None:
    log = _log().log
    with pytest.raises(LogNotFound):
        await stores.logs.statements(log, 0, 1, EVERYTHING)
    with pytest.raises(LogNotFound):
        await stores.trees.root_hash(log, 0)
    with pytest.raises(LogNotFound):
        await stores.check_log(log)


async def test_statement_with_a_long_body_is_kept_verbatim(stores: Stores) -> None:
    made = _log()
    for number in range(3):
        signals = [make_signal(signal) for signal in range(number, 1_200 + number)]
        confirm = make_confirm(number, signals=signals)
        made.say(make_statement(number, confirm, federation_id=FID))
    await stores.logs.append(made.advance())
    assert 3 == await stores.check_log(made.log)
    assert made.said == await stores.logs.statements(made.log, 0, 3, EVERYTHING)
    assert made.head().root_hash == await stores.trees.root_hash(made.log, 3)


# --- trees --------------------------------------------------------------------------------------


async def test_tiles_are_those_of_the_tree(stores: Stores) -> None:
    made = _log()
    for start, end in ((0, 200), (200, 700), (700, 2 * TILE_WIDTH + 300)):
        made.say_numbers(range(start, end))
        await stores.logs.append(made.advance())
    size = made.view.size
    for level in (0, 1):
        nodes = [made.node(8 * level, index) for index in range(size >> (8 * level))]
        for tile in range((len(nodes) + TILE_WIDTH - 1) // TILE_WIDTH):
            expected = nodes[tile * TILE_WIDTH : (tile + 1) * TILE_WIDTH]
            for width in {1, len(expected) // 2 or 1, len(expected)}:
                joined = await stores.trees.tile(made.log, level, tile, width)
                assert b"".join(expected[:width]) == joined
            if len(expected) < TILE_WIDTH:
                with pytest.raises(RangeNotHeld):
                    await stores.trees.tile(made.log, level, tile, len(expected) + 1)
    for level, tile in ((0, 4), (1, 1), (2, 0)):
        with pytest.raises(RangeNotHeld):
            await stores.trees.tile(made.log, level, tile, 1)


async def test_proof_beyond_what_is_held_is_refused(stores: Stores) -> None:
    made = await _appended(stores, 10)
    with pytest.raises(RangeNotHeld):
        await stores.trees.inclusion_proof(made.log, 3, 11)
    with pytest.raises(RangeNotHeld):
        await stores.trees.consistency_proof(made.log, 3, 11)
    with pytest.raises(ProofMalformed):
        await stores.trees.inclusion_proof(made.log, 7, 7)
    with pytest.raises(ProofMalformed):
        await stores.trees.consistency_proof(made.log, 8, 7)
    assert CompactRange().root() == await stores.trees.root_hash(made.log, 0)


async def test_inclusion_is_proven_in_a_log_with_three_levels_of_tiles(stores: Stores) -> None:
    # Tiles of level 2 begin at 65,536 statements.
    made = _log()
    few = [make_statement(number, federation_id=FID) for number in range(200)]
    made.say(*few * (TILE_WIDTH**2 // len(few) + 1))
    await stores.logs.append(made.advance(TILE_WIDTH**2 - 100))
    await stores.logs.append(made.advance())
    size = made.view.size
    root_hash = made.view.held.root()
    assert root_hash == await stores.trees.root_hash(made.log, size)
    for index in (0, 255, 256, 65_535, 65_536, size - 1):
        proof = await stores.trees.inclusion_proof(made.log, index, size)
        verify_inclusion(index, size, made.leaves[index], proof, root_hash)
    [[level]] = await stores.database.read("SELECT max(level) FROM tiles")
    assert 2 == level


@st.composite
def _histories(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Which log says how many statements, and how many of them are pulled."""
    step = st.tuples(st.integers(0, 2), st.integers(1, 300), st.integers(1, 300))
    return draw(st.lists(step, min_size=1, max_size=8))


@settings(max_examples=25)
@given(_histories(), st.data())
def test_any_interleaving_of_logs_gives_the_proofs_of_a_tree_in_memory(
    history: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    logs = [_log(member=member) for member in (ACME, NOVA, UMBRA)]

    async def play(path: Path) -> None:
        async with await open_stores(path, member=NOVA, federation_id=FID) as stores:
            for which, said, pulled in history:
                made = logs[which]
                made.say_numbers(range(len(made.said), len(made.said) + said))
                await stores.logs.append(made.advance(min(pulled, len(made.said) - made.view.size)))
            for made in logs:
                if made.view.size:
                    await _compare(stores, made, data)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder) / "node.sqlite"))


async def _compare(stores: Stores, made: MadeLog, data: st.DataObject) -> None:
    held = made.view.size
    assert held == await stores.check_log(made.log)
    size2 = data.draw(st.integers(1, held))
    size1 = data.draw(st.integers(0, size2))
    index = data.draw(st.integers(0, size2 - 1))
    trees, log = stores.trees, made.log
    assert made.head(size2).root_hash == await trees.root_hash(log, size2)
    expected = inclusion_proof(index, size2, made.node)
    assert expected == await trees.inclusion_proof(log, index, size2)
    between = consistency_proof(size1, size2, made.node)
    assert between == await trees.consistency_proof(log, size1, size2)
    said: list[Statement] = made.said[index:size2]
    assert said == await stores.logs.statements(log, index, size2, EVERYTHING)
