"""What strangers do to the public listener: it stays open for everybody else."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from federation.net.identities import make_identity
from federation.net.limits import PublicLimits
from federation.net.public_listener import PublicListener, WitnessAnswered, tls_context
from federation.protocol.tiles import TilePath
from tests.integration.conftest import until

STRANGER, OTHER = "127.0.0.2", "127.0.0.3"
"""Addresses of this machine that are no proxy's."""

GET = b"GET /a/checkpoint HTTP/1.1\r\nHost: a\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


class Answers:
    """A public log of one checkpoint, and a roster that no socket's buffer holds."""

    async def checkpoint(self, origin: str) -> bytes:
        return b"checkpoint of " + origin.encode()

    async def tile(self, origin: str, path: TilePath) -> bytes:
        raise NotImplementedError

    async def roster(self, version: int) -> bytes:
        return bytes(16 << 20) * version

    async def witnessed(self, origin_sha256: bytes) -> bytes:
        raise NotImplementedError

    async def add_checkpoint(self, body: bytes) -> WitnessAnswered:
        raise NotImplementedError


@asynccontextmanager
async def listening(
    limits: PublicLimits, tls: ssl.SSLContext | None = None
) -> AsyncIterator[PublicListener]:
    listener = PublicListener(Answers(), limits)
    await listener.start("127.0.0.1", 0, tls)
    try:
        yield listener
    finally:
        for caller in Caller.calling:
            caller.writer.transport.abort()
        await listener.close()
        for caller in Caller.calling:
            with suppress(OSError):
                await caller.writer.wait_closed()
        Caller.calling.clear()


class Caller:
    """One connection from an address; closed with the listener."""

    calling: ClassVar[list[Caller]] = []

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.calling.append(self)

    @classmethod
    async def call(
        cls, listener: PublicListener, address: str, tls: ssl.SSLContext | None = None
    ) -> Caller:
        return cls(
            *await asyncio.open_connection(
                "127.0.0.1", listener.port, local_addr=(address, 0), ssl=tls
            )
        )

    async def ask(self, request: bytes = GET) -> bytes:
        """The first line of the answer; nothing where the connection was closed."""
        self.writer.write(request)
        try:
            return await self.reader.readline()
        except ConnectionError:
            return b""

    async def is_closed(self) -> bool:
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True


def connections(listener: PublicListener) -> int:
    return len(listener._server.connections)


async def test_handshakes_that_go_on_for_ever_are_counted_and_leave_room_for_others(
    tmp_path: Path,
) -> None:
    pair = make_identity("public.example", not_before=datetime.now(UTC) - timedelta(hours=1))
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.private_key)
    limits = PublicLimits(handshakes_max=4, handshakes_per_address_max=2, handshake_seconds=60.0)
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    async with listening(limits, tls_context(certificate, key)) as listener:
        silent = [await Caller.call(listener, STRANGER) for _ in range(5)]

        async def three_refused() -> bool:
            return listener.counters.connections_refused_busy == 3

        await until(three_refused)
        assert [await each.is_closed() for each in silent[2:]] == [True] * 3
        other = await Caller.call(listener, OTHER, client)
        assert OK == await other.ask()


async def test_one_address_has_so_many_connections_and_another_has_its_own() -> None:
    async with listening(PublicLimits(connections_per_address_max=2)) as listener:
        kept = [await Caller.call(listener, STRANGER) for _ in range(2)]
        assert [OK, OK] == [await each.ask() for each in kept]
        assert await (await Caller.call(listener, STRANGER)).is_closed()
        assert OK == await (await Caller.call(listener, OTHER)).ask()
        proxied = [await Caller.call(listener, "127.0.0.1") for _ in range(3)]
        assert [OK] * 3 == [await each.ask() for each in proxied]


async def test_bodies_that_drip_hold_no_place_of_those_who_are_answered() -> None:
    async with listening(PublicLimits(in_flight_max=1, body_seconds=60.0)) as listener:
        head = b"POST /add-checkpoint HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx"
        dripping = await Caller.call(listener, STRANGER)
        dripping.writer.write(head)

        async def is_read() -> bool:
            return bool(listener._asked)

        await until(is_read)
        assert OK == await (await Caller.call(listener, OTHER)).ask()


async def test_an_answer_that_nobody_takes_ends_with_its_connection() -> None:
    async with listening(PublicLimits(answer_seconds=0.05)) as listener:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", listener.port))
        deaf.sendall(b"GET /roster/1.root.json HTTP/1.1\r\nHost: a\r\n\r\n")

        async def is_abandoned() -> bool:
            return listener.counters.answers_abandoned == 1 and not connections(listener)

        await until(is_abandoned)
        deaf.close()


async def test_pipelined_requests_of_one_who_never_reads_end_with_the_connection() -> None:
    limits = PublicLimits(answer_seconds=0.05, requests_burst=1_000_000)
    async with listening(limits) as listener:
        deaf = await Caller.call(listener, STRANGER)
        deaf.reader._transport.pause_reading()  # type: ignore[attr-defined]
        deaf.writer.write(GET * 100_000)

        async def is_abandoned() -> bool:
            return not connections(listener) and listener.counters.answers_abandoned > 0

        await until(is_abandoned)


async def test_a_connection_that_never_asks_anything_is_closed() -> None:
    async with listening(PublicLimits(keepalive_seconds=0.05)) as listener:
        silent = await Caller.call(listener, STRANGER)
        half = await Caller.call(listener, STRANGER)
        half.writer.write(b"GET /a/checkpoint HTTP/1.1\r\n")
        assert await silent.is_closed()
        assert await half.is_closed()
