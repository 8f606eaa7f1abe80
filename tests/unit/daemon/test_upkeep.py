"""Upkeep goes on: a part that fails ends neither the others nor itself."""

from __future__ import annotations

import asyncio

import pytest

from federation.daemon import upkeep
from federation.local_errors.disk import StoreFull


async def test_a_part_that_fails_is_done_again_and_the_others_with_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(upkeep, "UPKEEP_SECONDS", 0.0)
    errors: list[Exception] = [StoreFull("no space is left"), ValueError("secret.example")]
    told, alarms, done = list[str](), list[str](), asyncio.Event()

    def renew() -> None:
        told.append("leaf")

    async def failing() -> None:
        told.append("disk")
        if errors:
            raise errors.pop(0)

    async def last() -> None:
        told.append("last")
        if told.count("last") == 3:
            done.set()

    parts = renew, failing, last
    task = asyncio.create_task(upkeep.keep_up(lambda code, _text: alarms.append(code), *parts))
    await done.wait()
    task.cancel()
    assert ["leaf", "disk", "last"] * 3 == told[:9]
    assert ["internal-error"] == alarms
    assert "secret.example" not in caplog.text
