"""Over a quota: stored, counted and matched like anything else; marked, and told to operators."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

import pytest

from federation.config import QuotaSettings
from federation.daemon.quotas import Quota, Quotas, QuotaUse
from federation.protocol.origins import Lane, LogId
from federation.protocol.signals import SignalType
from federation.store.database import WriteUnit
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
from tests.integration.conftest import Found
from tests.integration.test_publish_crash import open_node, until_held

FOUNDED = make_roster()
FID = FOUNDED.roster.federation_id
HOUR, DAY = 3_600.0, 86_400.0


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[Stores]:
    path = tmp_path / "node.sqlite"
    async with await open_stores(path, member=NOVA, federation_id=FID) as opened:
        yield opened


class Counting:
    """A node that counts, with a clock moved by hand."""

    def __init__(self, stores: Stores, settings: QuotaSettings, now: float = 0.0) -> None:
        self.now, self.alarms = now, list[str]()
        self.stores = stores
        began = time.time()
        self.quotas = Quotas(
            NOVA,
            settings,
            stores.quotas,
            lambda: self.now,
            lambda: int((began + self.now) * 1_000),
            lambda code, text: self.alarms.append(f"{code} {text}"),
        )

    async def start(self, *known: MadeLog, is_alone: bool = False) -> None:
        """From what is stored; the first comparison shows these logs as they are."""
        held = {each.log: each.held.size for each in await self.stores.logs.load_logs()}
        await self.quotas.start(held)
        await self.quotas.compared(None)
        if not is_alone:
            await self.compare(*known)

    async def compare(self, *known: MadeLog) -> None:
        await self.quotas.compared({made.log: len(made.said) for made in known})

    async def hear(self, made: MadeLog, count: int) -> None:
        start = len(made.said)
        made.say_numbers(range(start, start + count))
        step = made.advance()
        await self.stores.logs.append(step)
        await self.quotas.absorb(step)

    async def marked(self, made: MadeLog) -> list[int]:
        return [
            index
            for index in range(len(made.said))
            if await self.stores.quotas.marks_of(made.log, index)
        ]


async def test_what_comes_over_a_quota_is_stored_marked_and_told(stores: Stores) -> None:
    counting = Counting(stores, QuotaSettings(statements_day=10))
    made = make_log(founded=FOUNDED, member=ACME)
    await counting.start(is_alone=True)
    await counting.hear(made, 5)  # this node joins: what stood before it is history
    await counting.compare(made)
    await counting.hear(made, 8)
    assert [] == await counting.marked(made)
    await counting.hear(made, 4)
    await counting.hear(made, 3)
    assert [15, 16, 17, 18, 19] == await counting.marked(made)
    assert {ACME: {Quota.STATEMENTS_DAY: 5}} == await stores.quotas.counts()
    assert 15 == counting.quotas.use_of(ACME).statements_day
    (alarm,) = counting.alarms
    assert alarm.startswith(f"over-quota {ACME} is over")
    # They count like any other: found by signal and id, served as they are.
    (carrier,) = await stores.signals.carriers(SignalType.PDQ, make_signal(18).value)
    assert made.said[18] == carrier.statement
    assert 20 == await stores.check_log(made.log)


async def test_crisis_step_waits_for_no_write_of_bulk_before_its_receipt(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    counting = Counting(stores, QuotaSettings(crisis_hour=2))
    made = make_log(founded=FOUNDED, member=ACME, lane=Lane.CRISIS)
    await counting.start(is_alone=True)
    lanes: list[Lane] = []
    write = stores.database.write

    def noted(lane: Lane = Lane.LIVE) -> AbstractAsyncContextManager[WriteUnit]:
        lanes.append(lane)
        return write(lane)

    monkeypatch.setattr(stores.database, "write", noted)
    await counting.hear(made, 1)  # history
    await counting.compare(made)
    await counting.hear(made, 3)
    assert [3] == await counting.marked(made)
    assert {Lane.CRISIS} == set(lanes)


async def test_window_slides_and_a_member_is_told_about_again(stores: Stores) -> None:
    counting = Counting(stores, QuotaSettings(crisis_hour=2))
    made = make_log(founded=FOUNDED, member=ACME, lane=Lane.CRISIS)
    await counting.start(is_alone=True)
    await counting.hear(made, 1)
    await counting.compare(made)
    await counting.hear(made, 4)
    assert [3, 4] == await counting.marked(made)
    counting.now = HOUR + 1
    await counting.hear(made, 2)
    assert [3, 4] == await counting.marked(made)
    await counting.hear(made, 1)
    assert [3, 4, 7] == await counting.marked(made)
    assert 2 == len(counting.alarms)
    counting.now += DAY + 1
    assert (0, 0) == (
        counting.quotas.use_of(ACME).statements_day,
        counting.quotas.use_of(ACME).crisis_hour,
    )


async def test_long_body_is_marked_alone(stores: Stores) -> None:
    counting = Counting(stores, QuotaSettings(body_bytes=500))
    made = make_log(founded=FOUNDED, member=ACME)
    await counting.start(is_alone=True)
    await counting.hear(made, 1)
    await counting.compare(made)
    signals = [make_signal(number) for number in range(40)]
    made.say(
        make_statement(1, federation_id=FID),
        make_statement(2, make_confirm(2, signals=signals), federation_id=FID),
    )
    step = made.advance()
    await stores.logs.append(step)
    await counting.quotas.absorb(step)
    assert [2] == await counting.marked(made)
    assert [Quota.BODY_BYTES] == await stores.quotas.marks_of(made.log, 2)


async def test_own_statements_are_not_counted(stores: Stores) -> None:
    counting = Counting(stores, QuotaSettings(statements_day=1))
    made = make_log(founded=FOUNDED, member=NOVA)
    await counting.start()
    await counting.hear(made, 1)
    await counting.hear(made, 9)
    assert 0 == counting.quotas.use_of(NOVA).statements_day
    assert {} == await stores.quotas.counts()


async def test_first_crisis_head_ever_counts_from_its_first_statement(stores: Stores) -> None:
    """A flood must not hide in a log that nobody has heard of before, nor in a new epoch."""
    counting = Counting(stores, QuotaSettings(crisis_hour=10))
    await counting.start()  # a peer answers, and has nothing
    made = make_log(founded=FOUNDED, member=ACME, lane=Lane.CRISIS)
    await counting.hear(made, 50)
    assert 50 == counting.quotas.use_of(ACME).crisis_hour
    assert list(range(10, 50)) == await counting.marked(made)
    assert 1 == len(counting.alarms)


async def test_log_first_shown_to_a_node_that_held_others_is_no_history(stores: Stores) -> None:
    await Counting(stores, QuotaSettings()).hear(make_log(founded=FOUNDED, member=UMBRA), 1)
    counting = Counting(stores, QuotaSettings(crisis_hour=10))
    made = make_log(founded=FOUNDED, member=ACME, lane=Lane.CRISIS)
    await counting.start(is_alone=True)
    await counting.hear(made, 12)
    await counting.compare(made)
    assert 12 == counting.quotas.use_of(ACME).crisis_hour


async def test_windows_outlive_a_restart_and_what_came_meanwhile_is_history(
    stores: Stores,
) -> None:
    settings = QuotaSettings(statements_day=100, crisis_hour=10)
    made = make_log(founded=FOUNDED, member=ACME, lane=Lane.CRISIS)
    first = Counting(stores, settings)
    await first.start(is_alone=True)
    await first.hear(made, 20)  # before this node joined
    await first.compare(made)
    await first.hear(made, 6)
    again = Counting(stores, settings)
    await again.start(is_alone=True)
    assert QuotaUse(6, 6) == again.quotas.use_of(ACME)
    await again.hear(made, 30)  # said while it was away
    await again.compare(made)
    assert QuotaUse(6, 6) == again.quotas.use_of(ACME)
    await again.hear(made, 5)
    assert [60] == await again.marked(made)
    third = Counting(stores, settings)
    await third.start(made)
    assert QuotaUse(11, 11) == third.quotas.use_of(ACME)
    await third.hear(made, 1)
    assert [60, 61] == await third.marked(made)
    later = Counting(stores, settings, now=HOUR + 1)
    await later.start(made)
    assert QuotaUse(12, 0) == later.quotas.use_of(ACME)
    next_day = Counting(stores, settings, now=DAY + 1)
    await next_day.start(made)
    assert QuotaUse(0, 0) == next_day.quotas.use_of(ACME)


async def test_interrupted_join_goes_on_as_history(stores: Stores) -> None:
    """Of a log of which nothing was fetched before the crash, too."""
    settings = QuotaSettings(statements_day=3)
    begun = make_log(founded=FOUNDED, member=UMBRA)
    lacking = make_log(8, founded=FOUNDED, member=ACME, lane=Lane.BULK)
    counting = Counting(stores, settings)
    await counting.start(is_alone=True)
    await counting.hear(begun, 5)
    await counting.compare(begun, lacking)
    again = Counting(stores, settings)
    await again.start(begun, lacking)
    await stores.logs.append(lacking.moves[0])
    await again.quotas.absorb(lacking.moves[0])
    assert (0, 0) == tuple(again.quotas.use_of(each).statements_day for each in (ACME, UMBRA))
    assert [] == again.alarms


async def test_node_counts_what_it_hears_and_still_after_a_restart(found: Found) -> None:
    founded = found([ACME, NOVA])
    log = LogId(ACME, founded.chain.federation_id, Lane.CRISIS)
    async with AsyncExitStack() as stack:
        acme = await open_node(founded, ACME, stack)
        async with AsyncExitStack() as before:
            nova = await open_node(founded, NOVA, before)
            await acme.publisher.confirm(Lane.CRISIS, [make_confirm(each) for each in range(3)])
            await until_held(nova, log, 3)
            assert 3 == nova.quotas.use_of(ACME).crisis_hour
        await acme.publisher.confirm(Lane.CRISIS, [make_confirm(3)])
        nova = await open_node(founded, NOVA, stack)
        assert (4, 3) == (nova.replicator.held_size(log), nova.quotas.use_of(ACME).crisis_hour)
        await acme.publisher.confirm(Lane.CRISIS, [make_confirm(4)])
        await until_held(nova, log, 5)
        assert 4 == nova.quotas.use_of(ACME).crisis_hour
