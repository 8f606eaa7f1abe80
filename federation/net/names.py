"""Where peers' names lead: looked up in threads of their own, and never waited for twice.

A name server that does not answer holds a thread for half a minute, and a few dead members' names
would hold all the threads that the rest of the node reads files with. So lookups have their own,
one at a time for each name; and a peer that was found before is found again whatever its name
server does: the last good address is used while the lookup runs or fails. That is safe, because
whoever answers there must prove the peer's identity.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult

LOOKUPS_AT_ONCE_MAX: Final = 32
"""Threads; idle ones cost little, and so many dead names must meet before a new one waits."""

FRESH_SECONDS: Final = 60.0
"""How long an address is used before asking again: what a failover of a peer may cost."""

PATIENCE_SECONDS: Final = 1.0
"""For a lookup, where an older address is at hand: a third of the time there is to connect."""

NAMES_REMEMBERED_MAX: Final = 4_096
"""1,000 members with up to four URLs each."""

LookUp: TypeAlias = Callable[..., list[tuple[Any, ...]]]
_Key: TypeAlias = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class _Found:
    addresses: list[ResolveResult]
    at: float


class PeerNames(AbstractResolver):
    """The resolver of all links of one node.

    Args:
        look_up: ``socket.getaddrinfo``, or what takes its place; called in a thread.
    """

    def __init__(self, look_up: LookUp = socket.getaddrinfo) -> None:
        self._look_up = look_up
        self._threads = ThreadPoolExecutor(LOOKUPS_AT_ONCE_MAX, thread_name_prefix="peer-names")
        self._found: dict[_Key, _Found] = {}
        self._under_way: dict[_Key, asyncio.Task[list[ResolveResult]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of a name.

        Raises:
            OSError: it has none, and had none before.
        """
        key = (host, port, int(family))
        found = self._found.get(key)
        if found is not None and asyncio.get_running_loop().time() - found.at < FRESH_SECONDS:
            return found.addresses
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(self._ask(key))
            task.add_done_callback(lambda done: self._ended(key, done))
        # Shielded: whoever gives up waiting must not end the lookup for the others.
        if found is None:
            return await asyncio.shield(task)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await asyncio.shield(task)
        except OSError:  # TimeoutError is one too
            return found.addresses

    async def close(self) -> None:
        """Wait for no lookup any more."""
        for task in self._under_way.values():
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, key: _Key) -> list[ResolveResult]:
        host, port, family = key
        answer = await asyncio.get_running_loop().run_in_executor(
            self._threads,
            lambda: self._look_up(
                host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG
            ),
        )
        addresses = [
            ResolveResult(
                hostname=host,
                host=address[0],
                port=address[1],
                family=kind,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, proto, _, address in answer
        ]
        if len(self._found) >= NAMES_REMEMBERED_MAX:
            self._found.clear()  # members that moved; whoever is left is asked for again
        self._found[key] = _Found(addresses, asyncio.get_running_loop().time())
        return addresses

    def _ended(self, key: _Key, task: asyncio.Task[list[ResolveResult]]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # whoever still waited was told
