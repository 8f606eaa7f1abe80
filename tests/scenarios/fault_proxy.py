"""A network that can go wrong, between real processes: one TCP proxy before each node.

It does not end TLS: bytes pass as they are, so both ends still prove who they are to each other.
Which node connected is told by its socket (Linux: /proc), so each way from one node to another can
have a fault of its own: cut, slow, narrow, clogged, broken off.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

CHUNK_BYTES: Final = 64 * 1024
LOOK_SECONDS: Final = 0.02
"""How often a way that is cut or clogged is looked at again."""

CONNECT_SECONDS: Final = 5.0


@dataclass
class Way:
    """From one node to another, as it is now.

    Attributes:
        up: whether anything passes.
        latency: [least, most] seconds.
        rate: bytes a second; 0 for as many as there are.
        clogged_until: loop time until which everything is kept back.
    """

    up: bool = True
    latency: tuple[float, float] = (0.0, 0.0)
    rate: float = 0.0
    clogged_until: float = 0.0


class Network:
    """All ways between some nodes.

    Args:
        seed: of the latencies.
    """

    def __init__(self, seed: int) -> None:
        self._ways: dict[tuple[str, str], Way] = {}
        self._rng = Random(f"network {seed}")
        # Who is at either end of each; the one that connected is known after a look.
        self._connections: dict[asyncio.Task[None], set[str]] = {}
        self._is_closed = False
        self._servers: list[asyncio.Server] = []
        self._processes: dict[str, int] = {}

    def way(self, source: str, target: str) -> Way:
        """The way from one node to another; to be changed."""
        return self._ways.setdefault((source, target), Way())

    def calm(self) -> None:
        """Every way is good again."""
        self._ways.clear()

    def reset(self, source: str, target: str) -> None:
        """Break what is connected between two nodes."""
        for task, ends in list(self._connections.items()):
            if ends == {source, target}:
                task.cancel()

    def started(self, node: str, process_id: int) -> None:
        """A node's process: connections of its own are told by it."""
        self._processes[node] = process_id

    async def stand_before(self, node: str, port: int, real_port: int) -> None:
        """Listen where others look for a node, and pass on to where it listens."""

        # Given a coroutine, asyncio would make the task: one that close() does not know before it
        # has run, and whose end as a cancelled one Python 3.11 reports as an error of its own.
        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if self._is_closed:
                _abort(writer)
                return
            task = asyncio.create_task(self._connected(node, real_port, reader, writer))
            self._connections[task] = {node}
            task.add_done_callback(lambda done: self._ended(done, writer))

        self._servers.append(await asyncio.start_server(connected, "127.0.0.1", port))

    async def close(self) -> None:
        """End all of it."""
        self._is_closed = True
        for server in self._servers:
            server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None], writer: asyncio.StreamWriter) -> None:
        del self._connections[task]
        if task.cancelled():  # also before it had begun
            _abort(writer)

    async def _connected(
        self,
        target: str,
        real_port: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        name = writer.get_extra_info("peername")
        if name is None:  # it has gone already
            writer.close()
            return
        source = await asyncio.to_thread(owner_of, int(name[1]), self._processes)
        self._connections[task].add(source)
        far: asyncio.StreamWriter | None = None
        try:
            await self._open(self.way(source, target))
            async with asyncio.timeout(CONNECT_SECONDS):
                far_reader, far = await asyncio.open_connection("127.0.0.1", real_port)
            there = asyncio.create_task(self._pump(reader, far, lambda: self.way(source, target)))
            back = asyncio.create_task(
                self._pump(far_reader, writer, lambda: self.way(target, source))
            )
            try:
                await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in (there, back):
                    each.cancel()
                await asyncio.gather(there, back, return_exceptions=True)
        except (OSError, TimeoutError, asyncio.CancelledError) as error:
            _abort(writer)
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            writer.close()
            if far is not None:
                far.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Callable[[], Way]
    ) -> None:
        """Bytes in their order; each chunk leaves no sooner than its way lets it."""
        loop = asyncio.get_running_loop()
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=64)

        async def deliver() -> None:
            while True:
                due, chunk = await under_way.get()
                await asyncio.sleep(max(0.0, due - loop.time()))
                await self._open(way())
                writer.write(chunk)
                await writer.drain()
                under_way.task_done()

        delivering = asyncio.create_task(deliver())
        try:
            due = 0.0
            while chunk := await reader.read(CHUNK_BYTES):
                now, condition = loop.time(), way()
                due = max(due, now + self._rng.uniform(*condition.latency))
                if condition.rate:
                    due += len(chunk) / condition.rate
                await under_way.put((due, chunk))
                if delivering.done():
                    return
            await under_way.join()
        except (ConnectionError, OSError):
            return
        finally:
            delivering.cancel()
            with suppress(asyncio.CancelledError, ConnectionError, OSError):
                await delivering

    async def _open(self, way: Way) -> None:
        loop = asyncio.get_running_loop()
        while not way.up or way.clogged_until > loop.time():  # noqa: ASYNC110 - a way changes at will
            await asyncio.sleep(LOOK_SECONDS)


def _abort(writer: asyncio.StreamWriter) -> None:
    """Close so that the other end sees a reset and not an end."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


def owner_of(port: int, processes: Mapping[str, int]) -> str:
    """The node whose process has a socket at that port of loopback; ``?`` for nobody's."""
    inode = _inode_of(port)
    for node, process_id in processes.items():
        with suppress(OSError):
            for descriptor in list(Path(f"/proc/{process_id}/fd").iterdir()):
                with suppress(OSError):
                    if str(descriptor.readlink()) == f"socket:[{inode}]":
                        return node
    return "?"


def _inode_of(port: int) -> str:
    local = f"0100007F:{port:04X}"
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        if fields[1] == local:
            return fields[9]
    return "?"
