"""The guard: what was signed goes forward only, whatever became of the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from federation.daemon.guard import CACHE_TAG_FILE, Guard
from federation.local_errors.askers import SigningStopped
from federation.local_errors.config import DataDirectoryForeign
from federation.local_errors.disk import StoreConflict, StoreFull
from federation.protocol.origins import LogId
from federation.provenance.log_view import LogView
from federation.store.guard_store import GuardStore, Signed, SignedAs
from federation.store.stores import Stores, open_stores
from tests.builders import ACME, NOVA, MadeLog, make_log, make_roster

FOUNDED = make_roster()
FEDERATION = FOUNDED.roster.federation_id


async def open_guard(folder: Path, stores: Stores, member: str = ACME) -> Guard:
    return await Guard.open(folder / "guard", stores, member, FEDERATION, lambda: 1_000)


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    path = tmp_path / "node.sqlite"
    async with await open_stores(path, member=ACME, federation_id=FEDERATION) as opened:
        yield opened


async def holding(stores: Stores, count: int, first: int = 0) -> MadeLog:
    """Acme's own log with so many statements, in the store."""
    made = make_log(founded=FOUNDED)
    made.say_numbers(range(first, first + count))
    made.advance()
    await stores.logs.append(made.moves[0])
    return made


async def test_what_was_signed_is_there_after_a_restart(tmp_path: Path, stores: Stores) -> None:
    made = await holding(stores, 3)
    guard = await open_guard(tmp_path, stores)
    assert (tmp_path / "guard" / CACHE_TAG_FILE).read_text().startswith("Signature: 8a477f59")
    await guard.signed(None, made.head(2))
    await guard.signed(made.head(2), made.head(3))
    await guard.close()
    again = await open_guard(tmp_path, stores)
    last = again.last_of(made.log)
    assert last is not None
    assert (3, made.head(3).root_hash) == (last.size, last.root_hash)
    assert frozenset() == await again.compare({made.log: made.view})
    assert {} == again.stops
    await again.close()


async def put_back(folder: Path, stores: Stores) -> tuple[MadeLog, Guard, str]:
    """An older database: two statements of five that were signed; and its feed's id."""
    made, longer = await holding(stores, 2), make_log(5, founded=FOUNDED)
    guard = await open_guard(folder, stores)
    await guard.signed(None, longer.head(5))
    return made, guard, (await stores.feed.bounds()).feed_id


async def test_an_older_database_stops_all_signing(tmp_path: Path, stores: Stores) -> None:
    made, guard, before = await put_back(tmp_path, stores)
    assert frozenset() == await guard.compare({made.log: made.view})
    await guard.open_for_signing({made.log: made.view}, 2, 2)
    # The feed gives its numbers again: nobody's cursor may take them for those of before.
    feed_id = (await stores.feed.bounds()).feed_id
    assert before != feed_id
    assert ["rolled-back"] == [stop.code for stop in guard.stops.values()]
    with pytest.raises(SigningStopped):
        guard.check_may_sign()
    await guard.close()
    # It is remembered, whatever the database says at the next start.
    again = await open_guard(tmp_path, stores)
    assert ["rolled-back"] == [stop.code for stop in again.stops.values()]
    await again.compare({made.log: made.view})
    assert feed_id == (await stores.feed.bounds()).feed_id
    await again.close()


async def _on_a_full_disk() -> None:
    raise StoreFull("no room")


async def test_a_feed_that_could_not_begin_anew_does_so_at_the_next_start_and_once(
    tmp_path: Path, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, guard, before = await put_back(tmp_path, stores)
    with monkeypatch.context() as full:
        full.setattr(stores.feed, "begin_anew", _on_a_full_disk)
        await guard.compare({made.log: made.view})
        assert ["rolled-back"] == [stop.code for stop in guard.stops.values()]
        await guard.close()
        guard = await open_guard(tmp_path, stores)
        await guard.compare({made.log: made.view})  # still full: the start goes on
        await guard.close()
    assert before == (await stores.feed.bounds()).feed_id
    seen = [before]
    for _ in range(2):
        again = await open_guard(tmp_path, stores)
        assert ["rolled-back"] == [stop.code for stop in again.stops.values()]
        await again.compare({made.log: made.view})
        seen.append((await stores.feed.bounds()).feed_id)
        await again.close()
    assert before != seen[1] == seen[2]


async def test_signing_does_not_go_on_before_the_feed_began_anew(
    tmp_path: Path, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, guard, before = await put_back(tmp_path, stores)
    with monkeypatch.context() as full:
        full.setattr(stores.feed, "begin_anew", _on_a_full_disk)
        await guard.compare({made.log: made.view})
        with pytest.raises(StoreFull):
            await guard.go_on({})
        assert guard.stops
    await guard.go_on({})
    assert {} == guard.stops
    assert before != (await stores.feed.bounds()).feed_id
    await guard.close()


async def test_another_history_in_the_database_is_shown_to_nobody(
    tmp_path: Path, stores: Stores
) -> None:
    made, signed = await holding(stores, 5, first=100), make_log(3, founded=FOUNDED)
    guard = await open_guard(tmp_path, stores)
    await guard.signed(None, signed.head(3))
    assert frozenset({made.log}) == await guard.compare({made.log: made.view})
    assert ["guard-conflict"] == [stop.code for stop in guard.stops.values()]
    await guard.close()


async def test_a_crash_before_the_guard_was_written_is_no_roll_back(
    tmp_path: Path, stores: Stores
) -> None:
    made = await holding(stores, 5)
    guard = await open_guard(tmp_path, stores)
    await guard.signed(None, made.head(4))
    assert frozenset() == await guard.compare({made.log: made.view})
    assert {} == guard.stops
    last = guard.last_of(made.log)
    assert last is not None
    assert 5 == last.size
    await guard.close()


async def test_an_own_log_that_governance_pinned_is_no_roll_back(
    tmp_path: Path, stores: Stores
) -> None:
    """What stands ends at the pin; what was signed is held all the same, and still compared."""
    made = await holding(stores, 5)
    guard = await open_guard(tmp_path, stores)
    await guard.signed(None, made.head(5))
    pinned = LogView(made.log, await stores.trees.edge(made.log, 3), None)
    assert frozenset() == await guard.compare({made.log: pinned})
    assert {} == guard.stops
    await guard.close()


async def test_what_stops_signing_while_a_person_lets_it_go_on_stands(
    tmp_path: Path, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the same log and of another: the person has seen neither."""
    made, other = await holding(stores, 2), make_log(1, founded=FOUNDED, member=NOVA)
    guard = await open_guard(tmp_path, stores)
    await guard.stop(made.log, "guard-lost", "seen")
    lift = guard._store.lift

    async def with_news(logs: Iterable[LogId]) -> None:
        await guard.stop(made.log, "fork", "not seen")
        await lift(logs)
        await guard.stop(other.log, "own-head-unknown", "not seen")

    monkeypatch.setattr(guard._store, "lift", with_news)
    await guard.go_on({made.log: made.head(2)})
    assert {"fork", "own-head-unknown"} == {stop.code for stop in guard.stops.values()}
    await guard.close()
    again = await open_guard(tmp_path, stores)
    assert {"fork", "own-head-unknown"} == {stop.code for stop in again.stops.values()}
    await again.go_on({})
    assert {} == again.stops
    await again.close()


async def test_an_own_log_that_was_lost_is_a_roll_back(tmp_path: Path, stores: Stores) -> None:
    guard = await open_guard(tmp_path, stores)
    await guard.signed(None, make_log(5, founded=FOUNDED).head(5))
    assert frozenset() == await guard.compare({})
    assert ["rolled-back"] == [stop.code for stop in guard.stops.values()]
    await guard.close()


async def test_of_two_processes_with_one_guard_one_signs(tmp_path: Path, stores: Stores) -> None:
    made, other = make_log(4, founded=FOUNDED), make_log(3, founded=FOUNDED)
    other.say_numbers([900])
    one, two = await open_guard(tmp_path, stores), await open_guard(tmp_path, stores)
    await one.signed(None, made.head(3))
    await one.signed(made.head(3), made.head(4))
    with pytest.raises(SigningStopped):
        await two.signed(other.head(3), other.head(4))
    assert made.log in two.stops
    await one.close()
    await two.close()


@pytest.mark.parametrize(
    ("answered", "of", "stops"),
    [(0, 3, ["guard-lost"]), (1, 3, ["guard-lost"]), (2, 3, []), (0, 0, [])],
)
async def test_a_lost_guard_is_replaced_by_the_word_of_half_the_others(
    tmp_path: Path, stores: Stores, answered: int, of: int, stops: list[str]
) -> None:
    made = await holding(stores, 2)
    guard = await open_guard(tmp_path, stores)
    await guard.compare({made.log: made.view})
    assert guard.is_lost
    await guard.open_for_signing({made.log: made.view}, answered, of)
    assert stops == [stop.code for stop in guard.stops.values()]
    assert guard.may_sign == (not stops)
    await guard.close()


async def test_nothing_is_signed_before_the_peers_were_asked(
    tmp_path: Path, stores: Stores
) -> None:
    guard = await open_guard(tmp_path, stores)
    with pytest.raises(SigningStopped):
        guard.check_may_sign()
    await guard.open_for_signing({}, 1, 1)
    guard.check_may_sign()
    await guard.close()


async def test_a_receipt_follows_from_the_last_one_or_is_not_given(
    tmp_path: Path, stores: Stores
) -> None:
    """Nova's mirror signed 3; another history of 4 gets nothing, the same one does."""
    made = await holding(stores, 4)
    guard = await open_guard(tmp_path, stores)
    guard.ready.set()
    assert await guard.receipted(made.receipt(NOVA, size=3))
    assert await guard.may_receipt(made.head(4), made.view)
    forked = make_log(2, founded=FOUNDED)
    forked.say_numbers([900, 901])
    assert not await guard.may_receipt(forked.head(3), made.view)
    assert not await guard.may_receipt(made.head(2), made.view)
    await guard.close()


async def test_writes_that_wait_together_are_written_together(tmp_path: Path) -> None:
    store = await GuardStore.open(tmp_path / "g.sqlite3", member=ACME, federation_id=FEDERATION)
    made = make_log(20, founded=FOUNDED)

    def row(size: int, root: bytes | None = None) -> Signed:
        head = made.head(size)
        return Signed(SignedAs.MIRROR, made.log, size, root or head.root_hash, head.note, "", size)

    ended = await asyncio.gather(
        *(store.advance(row(size)) for size in range(1, 21)), return_exceptions=True
    )
    assert [None] * 20 == ended
    for wrong in (row(19), row(20, bytes(32))):
        with pytest.raises(StoreConflict):
            await store.advance(wrong)
    (kept,) = await store.all()
    assert 20 == kept.size
    await store.close()


async def test_another_members_guard_is_refused(tmp_path: Path, stores: Stores) -> None:
    guard = await open_guard(tmp_path, stores)
    await guard.close()
    with pytest.raises(DataDirectoryForeign):
        await open_guard(tmp_path, stores, NOVA)
