"""Names of peers: their own threads, one lookup for each, and the last good address."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from federation.net import names as room
from federation.net.names import PeerNames


class NameServer:
    """Answers what a test tells it, or not before it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.address = "192.0.2.1"
        self.is_down = False
        self.is_free = threading.Event()
        self.is_free.set()

    def __call__(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        self.is_free.wait()
        if self.is_down:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (self.address, port))]


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    server = NameServer()
    yield server
    server.is_free.set()


@pytest.fixture
async def names(server: NameServer) -> AsyncIterator[PeerNames]:
    names = PeerNames(server)
    yield names
    await names.close()


async def address_of(names: PeerNames, host: str = "peer.example") -> str:
    return (await names.resolve(host, 443))[0]["host"]


async def test_a_name_is_looked_up_once_for_all_who_ask_and_then_remembered(
    names: PeerNames, server: NameServer
) -> None:
    answers = await asyncio.gather(*(address_of(names) for _ in range(5)))
    assert ["192.0.2.1"] * 5 == answers
    assert "192.0.2.1" == await address_of(names)
    assert ["peer.example"] == server.asked


async def test_a_peer_that_moved_is_found_at_its_new_address(
    names: PeerNames, server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await address_of(names)
    server.address = "192.0.2.2"
    monkeypatch.setattr(room, "FRESH_SECONDS", 0.0)
    assert "192.0.2.2" == await address_of(names)


async def test_a_name_server_that_fails_or_is_silent_takes_no_known_peer_away(
    names: PeerNames, server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await address_of(names)
    monkeypatch.setattr(room, "FRESH_SECONDS", 0.0)
    server.is_down = True
    assert "192.0.2.1" == await address_of(names)
    monkeypatch.setattr(room, "PATIENCE_SECONDS", 0.0)
    server.is_free.clear()
    assert "192.0.2.1" == await address_of(names)
    server.is_free.set()
    with pytest.raises(socket.gaierror):
        await address_of(names, "unknown.example")


async def test_slow_names_hold_none_of_the_threads_that_others_use(
    names: PeerNames, server: NameServer
) -> None:
    server.is_free.clear()
    dead = [
        asyncio.create_task(address_of(names, f"dead{number}.example"))
        for number in range(2 * room.LOOKUPS_AT_ONCE_MAX)
    ]
    await asyncio.sleep(0)
    assert 7 == await asyncio.to_thread(lambda: 7)
    dead[0].cancel()
    server.is_free.set()
    answers = await asyncio.gather(*dead[1:])
    assert {"192.0.2.1"} == set(answers)


async def test_who_gives_up_does_not_end_the_lookup_for_others(
    names: PeerNames, server: NameServer
) -> None:
    server.is_free.clear()
    first, second = (asyncio.create_task(address_of(names)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    server.is_free.set()
    assert "192.0.2.1" == await second
    assert ["peer.example"] == server.asked
