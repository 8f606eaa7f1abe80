"""The network between real processes ends without a word, whatever it is in the middle of."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from tests.ports import free_ports
from tests.scenarios.fault_proxy import Network

SECONDS_MAX = 60.0


@pytest.mark.parametrize("moment", ["it came this moment", "whose it is is being looked up"])
def test_a_connection_at_the_end_is_ended_and_reports_nothing(
    monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Nodes connect anew while others are killed one after the other."""
    reports: list[dict[str, Any]] = []

    async def end_in_the_middle() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report))
        looking = asyncio.Event()

        async def look(*_: object) -> str:
            looking.set()
            await asyncio.Event().wait()
            return "?"

        monkeypatch.setattr(asyncio, "to_thread", look)
        network = Network(1)
        port, real_port = free_ports(2)
        await network.stand_before("acme", port, real_port)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if moment.startswith("whose"):
            await looking.wait()
        await network.close()
        with suppress(ConnectionError):
            async with asyncio.timeout(SECONDS_MAX):
                assert b"" == await reader.read()
        writer.close()
        assert {asyncio.current_task()} == asyncio.all_tasks()

    asyncio.run(end_in_the_middle())
    assert [] == reports
