"""The feed's history in the store: what erases find, and what age takes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from federation.protocol.headers import StatementId
from federation.store import feed_store, schema
from federation.store.feed_store import ERASED, FeedEntry
from federation.store.stores import Stores, open_stores
from tests.builders import NOVA, make_log, make_roster

FOUNDED = make_roster()
FID = FOUNDED.roster.federation_id
IDS = [each.id for each in make_log(4, founded=FOUNDED).said]


def telling(*ids: StatementId) -> FeedEntry:
    return FeedEntry("verdict-changed", '{"of": "a signal"}', ids)


async def opened(folder: Path) -> Stores:
    return await open_stores(folder / "node.sqlite", member=NOVA, federation_id=FID)


async def marks(stores: Stores) -> int:
    [(count,)] = await stores.database.read("SELECT count(*) FROM feed_statements")
    return int(count)


async def test_an_erase_finds_every_entry_that_tells_of_its_statement_and_no_other(
    tmp_path: Path,
) -> None:
    async with await opened(tmp_path) as stores:
        told = [
            telling(IDS[0]),
            telling(IDS[1], IDS[0]),
            telling(IDS[1]),
            telling(),
            telling(IDS[2]),
        ]
        assert 5 == await stores.feed.append(told, 1_000)
        due = []
        for erased in ([IDS[3]], [IDS[0], IDS[2]]):
            await stores.feed.blank(erased)
            due.append(stores.feed.scrub_due)
        assert [False, True] == due
        kinds = [each.kind for each in await stores.feed.entries(0, 10)]
        assert [ERASED, ERASED, "verdict-changed", "verdict-changed", ERASED] == kinds
        assert 1 == await marks(stores)


async def test_what_age_and_number_take_is_taken_in_parts_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_store, "CUT_ENTRIES", 2)
    async with await opened(tmp_path) as stores:
        for at_ms in range(1, 9):
            await stores.feed.append([telling(IDS[at_ms % 4])], at_ms)
        assert 0 == await stores.feed.cut(1, 8)
        assert 3 == await stores.feed.cut(4, 8)
        assert 5 == await stores.feed.cut(4, 3)
        assert (5, 8) == ((bounds := await stores.feed.bounds()).cut, bounds.newest)
        assert 3 == await marks(stores)
        assert 8 == await stores.feed.cut(100, 3)
        assert 0 == await marks(stores)
        await stores.feed.append([telling()], 10)
        assert 9 == (await stores.feed.bounds()).newest


async def test_an_erase_finds_entries_of_before_this_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = schema.migrations()
    with monkeypatch.context() as patched:
        patched.setattr(schema, "migrations", lambda _folder: steps[:11])
        await (await opened(tmp_path)).database.close()
    with sqlite3.connect(tmp_path / "node.sqlite") as raw:
        for ids in (IDS[:3], IDS[3:], []):
            told = b"".join(each.entry for each in ids)
            raw.execute("INSERT INTO feed_entries VALUES (NULL, 1, 'x', ?, '')", (told,))
    async with await opened(tmp_path) as stores:
        assert 4 == await marks(stores)
        await stores.feed.blank([IDS[2]])
        assert [ERASED, "x", "x"] == [each.kind for each in await stores.feed.entries(0, 10)]
