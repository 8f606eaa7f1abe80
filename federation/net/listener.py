"""The peer API over HTTP: who asks is known before what is asked is read.

    POST /v1/announce                                     body at most ANNOUNCE_BYTES_MAX
    POST /v1/digest                                       body at most DIGEST_BYTES_MAX
    GET  /v1/logs/{sha256 of origin, hex}/statements?from=&to=&at=
    GET  /v1/logs/{sha256 of origin, hex}/checkpoint
    GET  /roster/{version}.root.json

Bodies are opaque here: what they mean is the desk's business (:class:`PeerDesk`), and every answer
goes to an authenticated member. There is no access log; refusals are counted by code. What the
public may read without a certificate comes on a listener of its own, not as an exception here.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from aiohttp import web

from federation.errors import FederationError, RequestMalformed
from federation.local_errors import NotFound, PeerNotAMember, TooBusy
from federation.net.door import Door, open_socket
from federation.net.exchange import (
    MSGPACK,
    Answer,
    InFlight,
    ListenerCounters,
    expect_later,
    read_body,
    refusal,
    send_answer,
)
from federation.net.limits import (
    HTTP_FIELD_BYTES_MAX,
    HTTP_FIELDS_MAX,
    HTTP_LINE_BYTES_MAX,
    READ_BUFFER_BYTES,
    ListenerLimits,
)
from federation.net.peering import PeerIdentities, certificate_of
from federation.protocol.limits import LOG_SIZE_MAX
from federation.protocol.limits_messages import (
    ANNOUNCE_BYTES_MAX,
    DIGEST_BYTES_MAX,
    RANGE_STATEMENTS_MAX,
)

_log = logging.getLogger("federation.net.listener")

_MEMBER: Final = web.RequestKey("member", str)  # the asker's name, proven
_STATEMENTS: Final = "statements"  # the route whose requests count as bulk
_NUMBER: Final = re.compile(r"(?:0|[1-9][0-9]{0,15})\Z", re.ASCII)

_LOG_PATH: Final = "/v1/logs/{log:[0-9a-f]{64}}"


class PeerDesk(Protocol):
    """What answers members: bytes in, bytes out. The asker's name is proven; its bytes are not.

    Any FederationError becomes the refusal that ``net/refusals.py`` lists.
    """

    async def announce(self, member: str, body: bytes) -> Answer:
        """Take a member's announcement; the answer says what this node has."""

    async def digest(self, member: str, body: bytes) -> Answer:
        """Compare heads with a member."""

    async def statements(
        self, member: str, log_sha256: bytes, start: int, end: int, at: int
    ) -> Answer:
        """The statements [start, end) of a log, provable against its checkpoint of size ``at``."""

    async def checkpoint(self, member: str, log_sha256: bytes) -> bytes:
        """The newest checkpoint of a log, verbatim."""

    async def roster(self, member: str, version: int) -> bytes | None:
        """The bytes of that roster version, verbatim, or None when this node has not got it."""


class _Counter(logging.Logger):
    """Stands where aiohttp logs what it could not parse: a stack trace for each would be noise."""

    def __init__(self, counters: ListenerCounters) -> None:
        super().__init__("federation.net.listener.http", logging.DEBUG)
        self._counters = counters

    def handle(self, record: logging.LogRecord) -> None:
        if record.exc_info:  # at one level or another, by what aiohttp makes of it
            self._counters.requests_malformed += 1


class _PeerApi:
    """The routes, and what stands before all of them."""

    def __init__(
        self,
        desk: PeerDesk,
        identities: PeerIdentities,
        counters: ListenerCounters,
        limits: ListenerLimits,
    ) -> None:
        self._desk = desk
        self._identities = identities
        self._counters = counters
        self._limits = limits
        self._in_flight = InFlight(limits)

    def application(self) -> web.Application:
        # The limits on bodies are in read_body; aiohttp's own are never reached.
        application = web.Application(middlewares=[self._guard])
        for method, path, name, answer in (
            ("POST", "/v1/announce", "announce", self._announce),
            ("POST", "/v1/digest", "digest", self._digest),
            ("GET", f"{_LOG_PATH}/statements", _STATEMENTS, self._statements),
            ("GET", f"{_LOG_PATH}/checkpoint", "checkpoint", self._checkpoint),
            ("GET", "/roster/{version:[1-9][0-9]{0,5}}.root.json", "roster", self._roster),
        ):
            application.router.add_route(
                method, path, answer, name=name, expect_handler=expect_later
            )
        return application

    @web.middleware
    async def _guard(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Authenticate, take a place, answer; turn whatever is raised into a refusal."""
        try:
            member = self._identities.peer_of(request)
            request[_MEMBER] = member
            is_bulk = request.match_info.route.name == _STATEMENTS
            with self._in_flight.place(member, is_bulk=is_bulk):
                return await handler(request)
        except FederationError as error:
            return self._refuse(request, error)
        except web.HTTPException as error:  # aiohttp's router: no such path, or no such method
            no_such = NotFound("the peer API has no such call")
            return self._refuse(request, no_such, status=error.status)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours must not close the listener
            self._counters.faults += 1
            # Where, not what: an unforeseen error's text may hold a signal value.
            place = traceback.extract_tb(error.__traceback__)[-1]
            _log.error(
                "a peer request met a bug: %s at %s:%s",
                type(error).__name__,
                place.filename,
                place.lineno,
            )
            return self._refuse(request, FederationError("a bug"))

    def _refuse(
        self, request: web.Request, error: FederationError, *, status: int | None = None
    ) -> web.StreamResponse:
        if request.transport is None or request.transport.is_closing():
            raise ConnectionResetError("nobody is left to be refused")
        self._counters.requests_refused[error.code] += 1
        response = refusal(
            error, retry_after_seconds=self._limits.retry_after_seconds, status=status
        )
        # What is left of a refused body is not worth reading, except that a peer which is only
        # asked to wait should not have to shake hands again for it.
        is_unread = request.body_exists and not request.content.is_eof()
        if isinstance(error, PeerNotAMember) or (is_unread and not isinstance(error, TooBusy)):
            response.force_close()
        return response

    async def _announce(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, bytes_max=ANNOUNCE_BYTES_MAX, limits=self._limits)
        return await self._send(request, await self._desk.announce(request[_MEMBER], body))

    async def _digest(self, request: web.Request) -> web.StreamResponse:
        body = await read_body(request, bytes_max=DIGEST_BYTES_MAX, limits=self._limits)
        return await self._send(request, await self._desk.digest(request[_MEMBER], body))

    async def _statements(self, request: web.Request) -> web.StreamResponse:
        _check_no_body(request)
        start, end, at = (_parse_number(request, name) for name in ("from", "to", "at"))
        if not start < end <= at <= LOG_SIZE_MAX or end - start > RANGE_STATEMENTS_MAX:
            raise RequestMalformed(
                f"a range has from < to <= at and at most {RANGE_STATEMENTS_MAX} statements"
            )
        answer = await self._desk.statements(request[_MEMBER], _log_of(request), start, end, at)
        return await self._send(request, answer)

    async def _checkpoint(self, request: web.Request) -> web.StreamResponse:
        _check_no_body(request)
        note = await self._desk.checkpoint(request[_MEMBER], _log_of(request))
        return await self._send(request, note, content_type="text/plain; charset=utf-8")

    async def _roster(self, request: web.Request) -> web.StreamResponse:
        _check_no_body(request)
        version = int(request.match_info["version"])
        root = await self._desk.roster(request[_MEMBER], version)
        if root is None:
            raise NotFound(f"this node has no roster version {version}")
        return await self._send(request, root, content_type="application/json")

    async def _send(
        self, request: web.Request, answer: Answer, *, content_type: str = MSGPACK
    ) -> web.StreamResponse:
        return await send_answer(
            request,
            answer,
            content_type=content_type,
            counters=self._counters,
            limits=self._limits,
        )


def make_peer_application(
    desk: PeerDesk,
    identities: PeerIdentities,
    *,
    counters: ListenerCounters | None = None,
    limits: ListenerLimits | None = None,
) -> web.Application:
    """The peer API as an aiohttp application, to be served over ``identities.server_context``.

    Most callers want :class:`PeerListener`, which also limits connections and handshakes.
    """
    api = _PeerApi(desk, identities, counters or ListenerCounters(), limits or ListenerLimits())
    return api.application()


class PeerListener:
    """The running peer API of a node.

    Attributes:
        counters: what it has seen.
        port: where it listens, once started.
    """

    def __init__(
        self, desk: PeerDesk, identities: PeerIdentities, limits: ListenerLimits | None = None
    ) -> None:
        self.counters = ListenerCounters()
        self.port = 0
        self._identities = identities
        self._limits = limits or ListenerLimits()
        application = make_peer_application(
            desk, identities, counters=self.counters, limits=self._limits
        )
        self._runner = web.AppRunner(application, **self._http_limits())
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
        self._door = Door(
            listening,
            self._identities.server_context,
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

    def connections(self) -> Mapping[str, int]:
        """Established connections by member; those of nobody in the roster are not among them."""
        members = (self._member_at(transport) for transport in self._transports())
        return Counter(member for member in members if member is not None)

    def close_strangers(self) -> int:
        """Cut the connections whose certificate is no member's now; how many there were.

        A roster change does so by itself; calling it now and then also ends connections whose
        leaf has expired while they were idle.
        """
        strangers = [t for t in self._transports() if self._member_at(t) is None]
        for transport in strangers:
            transport.abort()
        self.counters.connections_closed += len(strangers)
        return len(strangers)

    def _close_removed(self) -> None:
        self.close_strangers()

    def _admit(self, transport: Any) -> bool:
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
            "max_headers": HTTP_FIELDS_MAX,
            "max_line_size": HTTP_LINE_BYTES_MAX,
            "read_bufsize": READ_BUFFER_BYTES,
            "shutdown_timeout": self._limits.shutdown_seconds,
        }


def _check_no_body(request: web.Request) -> None:
    if request.body_exists:
        raise RequestMalformed("a GET of the peer API has no body")


def _log_of(request: web.Request) -> bytes:
    return bytes.fromhex(request.match_info["log"])


def _parse_number(request: web.Request, name: str) -> int:
    values = request.query.getall(name, [])
    if len(values) != 1 or not _NUMBER.match(values[0]):
        raise RequestMalformed(f"`{name}` is one whole number")
    return int(values[0])
