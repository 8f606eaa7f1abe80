"""The street door of the peer listener: TCP connections in, authenticated connections out.

Until a TLS handshake ends, the other side is a stranger, and strangers are cheap to be: so their
number, the number from one address and their time are limited here, failures are counted rather
than logged, and nothing of HTTP sees them.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from federation.local_errors.config import ConfigInvalid, PortInUse
from federation.net.exchange import ListenerCounters
from federation.net.limits import ListenerLimits

_log = logging.getLogger("federation.net.listener")

_OUT_OF_RESOURCES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_BREATH_SECONDS: Final = 1.0
"""Pause after the kernel had no file or memory left; asyncio's own listener waits as long."""

_GOODBYE_SECONDS: Final = 2.0
"""For the other side's TLS closing message, which nothing depends on."""


async def open_socket(host: str, port: int, backlog: int) -> socket.socket:
    """A listening, non-blocking TCP socket; port 0 takes any free one.

    Raises:
        PortInUse: something else listens there.
        ConfigInvalid: the address is not one of this machine's.
    """
    loop = asyncio.get_running_loop()
    place = f"{host}:{port}"
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listening = socket.create_server((address[0], port), family=family, backlog=backlog)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"{place} is taken by another program") from None
        raise ConfigInvalid(f"cannot listen on {place}: {error.strerror}") from None
    listening.setblocking(False)  # noqa: FBT003 - the standard library's own signature
    return listening


class Door:
    """Accepts connections, shakes hands over TLS, and hands each on to a protocol."""

    def __init__(
        self,
        listening: socket.socket,
        context: ssl.SSLContext | None,
        protocol_factory: Callable[[], asyncio.Protocol],
        *,
        is_full: Callable[[], bool],
        admit: Callable[[asyncio.BaseTransport], bool],
        counters: ListenerCounters,
        limits: ListenerLimits,
    ) -> None:
        """Take over a listening socket; nothing is accepted before :meth:`open`.

        Args:
            listening: from :func:`open_socket`; closed by :meth:`close`.
            context: asks for a client certificate and judges it during the handshake; None where
                a balancer in front has done TLS.
            protocol_factory: makes what speaks on an established connection.
            is_full: whether no further connection may be established now.
            admit: the last word about an established connection; False cuts it.
            counters: counted into.
            limits: how many, how long.
        """
        self._listening = listening
        self._tls: dict[str, Any] = {}
        if context is not None:
            self._tls = {
                "ssl": context,
                "ssl_handshake_timeout": limits.handshake_seconds,
                "ssl_shutdown_timeout": _GOODBYE_SECONDS,
            }
        self._protocol_factory = protocol_factory
        self._is_full = is_full
        self._admit = admit
        self._counters = counters
        self._limits = limits
        self._handshakes: set[asyncio.Task[None]] = set()
        self._from_address: Counter[str] = Counter()
        self._accepting: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Begin to accept."""
        self._accepting = asyncio.create_task(self._accept(), name="peer-listener-accept")

    async def close(self) -> None:
        """Accept nothing more and break off the handshakes under way."""
        tasks = [*self._handshakes, *([self._accepting] if self._accepting else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listening.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._listening)
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES:
                    _log.warning("cannot accept a connection: %s", error.strerror)
                    await asyncio.sleep(_BREATH_SECONDS)
                continue
            self._counters.connections_accepted += 1
            self._receive(connection, str(address[0]))

    def _receive(self, connection: socket.socket, address: str) -> None:
        if (
            len(self._handshakes) >= self._limits.handshakes_max
            or self._from_address[address] >= self._limits.handshakes_per_address_max
            or self._is_full()
        ):
            self._counters.connections_refused_busy += 1
            connection.close()
            return
        self._from_address[address] += 1
        task = asyncio.create_task(self._shake_hands(connection))
        self._handshakes.add(task)
        task.add_done_callback(lambda done: self._forget(done, address))

    def _forget(self, task: asyncio.Task[None], address: str) -> None:
        self._handshakes.discard(task)
        self._from_address[address] -= 1
        if not self._from_address[address]:
            del self._from_address[address]

    async def _shake_hands(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            established: tuple[Any, Any] = await loop.connect_accepted_socket(
                self._protocol_factory,
                connection,
                **self._tls,
            )
        except ConnectionAbortedError:  # asyncio's word for its handshake timeout
            self._counters.handshakes_timed_out += 1
            return
        except OSError:  # a TLS error is one too
            self._counters.handshakes_refused += 1
            return
        transport = established[0]
        if not self._admit(transport):
            transport.abort()
