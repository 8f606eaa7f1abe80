"""What is done now and then goes on, whatever one of its jobs meets."""

from __future__ import annotations

import asyncio

import pytest

from federation.daemon.upkeep import Upkeep, watched
from federation.local_errors.disk import StoreFull


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (StoreFull("no space is left"), "feed: store-full: no space is left"),
        (ValueError("with something of the content in it"), "feed: ValueError"),
    ],
)
async def test_a_job_that_fails_ends_no_other_and_is_told_once_until_it_works(
    error: Exception, told: str
) -> None:
    done: list[str] = []
    alarms: list[tuple[str, str]] = []
    fails = True

    async def leaf() -> None:
        done.append("leaf")

    async def feed() -> None:
        if fails:
            raise error
        done.append("feed")

    async def scrub() -> None:
        done.append("scrub")

    upkeep = Upkeep(
        {"leaf": leaf, "feed": feed, "scrub": scrub}, lambda *alarm: alarms.append(alarm)
    )
    await upkeep.do_all()
    await upkeep.do_all()
    assert ["leaf", "scrub"] * 2 == done
    assert [("upkeep-failed", told)] == alarms
    fails = False
    await upkeep.do_all()
    assert ["leaf", "feed", "scrub"] == done[4:]
    fails = True
    await upkeep.do_all()
    assert [("upkeep-failed", told)] * 2 == alarms


async def test_an_endless_task_that_ends_is_told_and_one_that_is_cancelled_is_not() -> None:
    alarms: list[str] = []

    async def fails() -> None:
        raise KeyError("a signal")

    async def waits() -> None:
        await asyncio.Event().wait()

    for make in (fails, waits):
        task = watched(asyncio.create_task(make()), lambda _code, text: alarms.append(text))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert ["KeyError"] == alarms
