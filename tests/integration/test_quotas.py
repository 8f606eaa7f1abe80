"""Over a quota: stored, counted and matched like anything else; marked, and told to operators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from federation.config import QuotaSettings
from federation.daemon.quotas import Quota, Quotas
from federation.protocol.origins import Lane
from federation.protocol.signals import SignalType
from federation.store.stores import Stores, open_stores
from tests.builders import (
    ACME,
    NOVA,
    MadeLog,
    make_confirm,
    make_log,
    make_roster,
    make_signal,
    make_statement,
)

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

    def __init__(self, stores: Stores, settings: QuotaSettings) -> None:
        self.now, self.alarms = 0.0, list[str]()
        self.stores = stores
        self.quotas = Quotas(
            NOVA,
            settings,
            stores.quotas,
            lambda: self.now,
            lambda code, text: self.alarms.append(f"{code} {text}"),
        )

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
    await counting.hear(made, 5)  # what stood before this node heard of it
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


async def test_window_slides_and_a_member_is_told_about_again(stores: Stores) -> None:
    counting = Counting(stores, QuotaSettings(crisis_hour=2))
    made = make_log(founded=FOUNDED, member=ACME, lane=Lane.CRISIS)
    await counting.hear(made, 1)
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
    await counting.hear(made, 1)
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
    await counting.hear(made, 1)
    await counting.hear(made, 9)
    assert 0 == counting.quotas.use_of(NOVA).statements_day
    assert {} == await stores.quotas.counts()
