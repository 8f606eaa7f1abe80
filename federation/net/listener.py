"""The running peer listener of a node: the street door, the peer API behind it, and its limits."""

from __future__ import annotations

import logging
import ssl
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from federation.local_errors.askers import PeerNotAMember
from federation.net.door import Door, open_socket
from federation.net.exchange import ListenerCounters
from federation.net.limits import (
    HTTP_FIELD_BYTES_MAX,
    HTTP_FIELDS_MAX,
    HTTP_FIELDS_MAX_BALANCED,
    HTTP_LINE_BYTES_MAX,
    READ_BUFFER_BYTES,
    ListenerLimits,
)
from federation.net.peer_api import PeerApi, Permit
from federation.net.peering import PeerIdentities, certificate_of
from federation.net.proving import Proving, SignatureProving, TlsProving
from federation.net.rates import MemberRates
from federation.net.routes import PeerDesk


class _Counter(logging.Logger):
    """Stands where aiohttp logs what it could not parse: a stack trace for each would be noise."""

    def __init__(self, counters: ListenerCounters) -> None:
        super().__init__("federation.net.listener.http", logging.DEBUG)
        self._counters = counters

    def handle(self, record: logging.LogRecord) -> None:
        if record.exc_info:  # at one level or another, by what aiohttp makes of it
            self._counters.requests_malformed += 1


@dataclass(frozen=True, slots=True)
class Front:
    """How a listener stands behind a balancer that ends TLS.

    Attributes:
        proving: judges each request by its signature.
        context: for TLS between balancer and node; None for plain HTTP on loopback.
    """

    proving: SignatureProving
    context: ssl.SSLContext | None = None


class PeerListener:
    """The running peer API of a node.

    Attributes:
        counters: what it has seen.
        rates: what each member has left to ask for.
        port: where it listens, once started.
    """

    def __init__(
        self,
        desk: PeerDesk,
        identities: PeerIdentities,
        permit: Permit,
        limits: ListenerLimits | None = None,
        *,
        front: Front | None = None,
    ) -> None:
        """Nothing is listened to before :meth:`start`.

        Args:
            desk: answers members.
            identities: says who they are.
            permit: says what they may ask for, by the roster of the moment.
            limits: on all and on each.
            front: where a balancer in front ends TLS; None for mutual TLS.
        """
        self.counters = ListenerCounters()
        self.port = 0
        self._identities = identities
        self._limits = limits or ListenerLimits()
        self.rates = MemberRates(self._limits, time.monotonic)
        self._front = front
        proving: Proving = front.proving if front else TlsProving(identities)
        api = PeerApi(desk, proving, permit, self.counters, self._limits, self.rates)
        self._runner = web.AppRunner(api.application(), **self._http_limits())
        self._door: Door | None = None
        self._unregister: Callable[[], None] | None = None

    async def start(self, host: str, port: int) -> None:
        """Listen; port 0 takes any free one.

        Raises:
            PortInUse: something else listens there.
            ConfigInvalid: the address is not one of this machine's.
        """
        listening = await open_socket(host, port, self._limits.backlog)
        self.port = listening.getsockname()[1]
        await self._runner.setup()
        self._unregister = self._identities.on_replaced(self._close_removed)
        self._identities.on_former(
            lambda member: self.counters.note_refused(member, PeerNotAMember.code)
        )
        self._door = Door(
            listening,
            self._front.context if self._front else self._identities.server_context,
            self._server,
            is_full=lambda: len(self._server.connections) >= self._limits.connections_max,
            admit=self._admit,
            counters=self.counters,
            limits=self._limits,
        )
        self._door.open()

    async def close(self) -> None:
        """Accept nothing more, let requests under way end within their seconds, and stop."""
        if self._unregister is not None:
            self._unregister()
            self._unregister = None
        if self._door is not None:
            await self._door.close()
            self._door = None
        await self._runner.cleanup()

    def connections(self) -> Counter[str]:
        """Established connections by member; those of nobody in the roster are not among them.

        None at all behind a balancer: there they are the balancer's.
        """
        if self._front is not None:
            return Counter()
        members = (self._member_at(transport) for transport in self._transports())
        return Counter(member for member in members if member is not None)

    def close_strangers(self) -> int:
        """Cut the connections whose certificate is no member's now; how many there were.

        A roster change does so by itself; calling it now and then also ends connections whose
        leaf has expired while they were idle.
        """
        if self._front is not None:
            return 0
        strangers = [t for t in self._transports() if self._member_at(t) is None]
        for transport in strangers:
            transport.abort()
        self.counters.connections_closed += len(strangers)
        return len(strangers)

    def _close_removed(self) -> None:
        self.close_strangers()

    def _admit(self, transport: Any) -> bool:
        if self._front is not None:  # connections are the balancer's; each request is judged
            return True
        member = self._member_at(transport)
        if member is None:  # the roster changed between the handshake and now
            self.counters.connections_closed += 1
            return False
        if self.connections()[member] > self._limits.connections_per_member_max:
            self.counters.connections_refused_busy += 1
            return False
        return True

    def _member_at(self, transport: Any) -> str | None:
        try:
            return self._identities.member_of(
                certificate_of(transport.get_extra_info("ssl_object"))
            )
        except PeerNotAMember:
            return None

    def _transports(self) -> list[Any]:
        if self._runner.server is None:
            return []
        transports = (connection.transport for connection in self._runner.server.connections)
        return [t for t in transports if t is not None and not t.is_closing()]

    @property
    def _server(self) -> web.Server:
        if self._runner.server is None:
            raise RuntimeError("the listener is not started")
        return self._runner.server

    def _http_limits(self) -> dict[str, Any]:
        return {
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": self._limits.keepalive_seconds,
            "lingering_time": self._limits.lingering_seconds,
            "logger": _Counter(self.counters),
            "max_field_size": HTTP_FIELD_BYTES_MAX,
            "max_headers": HTTP_FIELDS_MAX if self._front is None else HTTP_FIELDS_MAX_BALANCED,
            "max_line_size": HTTP_LINE_BYTES_MAX,
            "read_bufsize": READ_BUFFER_BYTES,
            "shutdown_timeout": self._limits.shutdown_seconds,
        }
