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
_ACCEPTED_PER_WAKE: Final = 32
"""Connections taken in one turn of the event loop: a crowd at the door must not stop all else."""

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
        self._breath: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Begin to accept."""
        # Not loop.sock_accept: cancelled while a connection already waits, it accepts that one all
        # the same, loses it, and raises in the event loop. A reader that is removed never runs.
        asyncio.get_running_loop().add_reader(self._listening, self._accept)

    async def close(self) -> None:
        """Accept nothing more and break off the handshakes under way."""
        asyncio.get_running_loop().remove_reader(self._listening)
        if self._breath is not None:
            self._breath.cancel()
        self._listening.close()
        # A task that is cancelled before its first step would never close its connection.
        await asyncio.sleep(0)
        tasks = list(self._handshakes)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self) -> None:
        for _ in range(_ACCEPTED_PER_WAKE):
            try:
                connection, address = self._listening.accept()
            except OSError as error:  # nobody left, or gone again before it was taken
                if error.errno in _OUT_OF_RESOURCES:
                    _log.warning("cannot accept a connection: %s", error.strerror)
                    self._take_breath()
                return
            connection.setblocking(False)  # noqa: FBT003 - the standard library's own signature
            self._counters.connections_accepted += 1
            self._receive(connection, str(address[0]))

    def _take_breath(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._listening)
        self._breath = loop.call_later(_BREATH_SECONDS, self.open)

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
