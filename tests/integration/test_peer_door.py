"""The street door: connections that come while it closes, or when there is no file left."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from federation.net import door as room
from federation.net.door import Door, open_socket
from federation.net.exchange import ListenerCounters
from federation.net.limits import ListenerLimits

WAIT_SECONDS = 20  # only a hang reaches it


class Street:
    """A door with plain TCP behind it, and what the event loop complained of."""

    def __init__(self, listening: socket.socket) -> None:
        self.counters = ListenerCounters()
        self.complaints: list[dict[str, Any]] = []
        self.admitted: list[asyncio.BaseTransport] = []
        self.address = listening.getsockname()
        self.listening = listening
        self.door = Door(
            listening,
            None,
            asyncio.Protocol,
            is_full=lambda: False,
            admit=self._admit,
            counters=self.counters,
            limits=ListenerLimits(),
        )

    def _admit(self, transport: asyncio.BaseTransport) -> bool:
        self.admitted.append(transport)
        return True

    def connect(self) -> socket.socket:
        """A client in the kernel's queue; the event loop has not run meanwhile."""
        return socket.create_connection(self.address, timeout=WAIT_SECONDS)


@asynccontextmanager
async def open_door() -> AsyncIterator[Street]:
    street = Street(await open_socket("127.0.0.1", 0, 128))
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: street.complaints.append(context))
    street.door.open()
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            yield street
    finally:
        loop.set_exception_handler(None)
        if street.listening.fileno() >= 0:
            await street.door.close()
        for transport in street.admitted:
            transport.abort()  # type: ignore[attr-defined]


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what another task brings about; a hang is ended by the test's own timeout."""
    while not holds():  # noqa: ASYNC110 - what is waited for is a counter, and sets no event
        await asyncio.sleep(0)


async def cut_off(client: socket.socket) -> bytes:
    """What a client hears until the other side has let go of it."""
    client.setblocking(False)
    try:
        return await asyncio.get_running_loop().sock_recv(client, 1)
    except ConnectionError:
        return b""
    finally:
        client.close()


async def test_a_connection_that_comes_while_the_door_closes_is_let_go_in_silence() -> None:
    async with open_door() as street:
        await asyncio.sleep(0)  # the door waits for its first connection
        client = street.connect()
        # After this turn the loop knows of the connection and has not looked at it yet.
        await asyncio.sleep(0)
        await street.door.close()
        await asyncio.sleep(0)
        assert [] == street.complaints
        assert b"" == await cut_off(client)
        assert 0 == street.counters.connections_accepted


async def test_a_handshake_that_has_not_begun_when_the_door_closes_is_cut_off() -> None:
    async with open_door() as street:
        client = street.connect()
        street.door._accept()
        await street.door.close()
        assert b"" == await cut_off(client)
        assert [] == street.admitted
        assert [] == street.complaints


async def test_a_crowd_is_taken_in_several_turns_and_nobody_is_left_outside() -> None:
    async with open_door() as street:
        crowd = [street.connect() for _ in range(room._ACCEPTED_PER_WAKE + 5)]
        street.door._accept()
        assert room._ACCEPTED_PER_WAKE == street.counters.connections_accepted
        await until(lambda: len(street.admitted) == len(crowd))
        for client in crowd:
            client.close()


async def test_without_a_file_left_the_door_takes_a_breath_and_opens_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(room, "_BREATH_SECONDS", 0.0)

    class NoFileLeft:
        """The listening socket of a process that has just run out of files, once."""

        is_out = True

        def __init__(self, listening: socket.socket) -> None:
            self._listening = listening

        def accept(self) -> tuple[socket.socket, Any]:
            if self.is_out:
                self.is_out = False
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return self._listening.accept()

        def fileno(self) -> int:
            return self._listening.fileno()

        def close(self) -> None:
            self._listening.close()

    async with open_door() as street:
        asyncio.get_running_loop().remove_reader(street.listening)
        street.door._listening = NoFileLeft(street.listening)  # type: ignore[assignment]
        street.door.open()
        client = street.connect()
        await until(lambda: bool(street.admitted))
        assert ["cannot accept a connection: Too many open files"] == caplog.messages
        client.close()
