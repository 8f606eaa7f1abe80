"""The public log over HTTP: plain GETs without credentials, and the witness's one POST.

    GET  /{origin}/checkpoint                   C2SP tlog-tiles; cached for seconds
    GET  /{origin}/tile/…                       tiles and entry bundles; never change
    GET  /roster/{version}.root.json            never changes
    GET  /{sha256 of origin, hex}/checkpoint    C2SP tlog-witness: what this witness signed
    POST /add-checkpoint                        C2SP tlog-witness: body at most 260 KiB

Nothing here can be asked that would tell who reads, and nothing is logged of who does. Strangers
are limited by number, size, rate and time (:class:`PublicLimits`); over a limit is 429.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol
from weakref import WeakSet

from aiohttp import hdrs, web

from federation.errors import FederationError, ProtocolError, TooLarge
from federation.local_errors.askers import NotFound, TooBusy
from federation.local_errors.config import ConfigInvalid
from federation.local_errors.disk import StoreError
from federation.net.allowance import Allowance
from federation.net.door import Door, open_socket
from federation.net.exchange import ListenerCounters, expect_later, read_body
from federation.net.limits import (
    HTTP_FIELD_BYTES_MAX,
    HTTP_FIELDS_MAX,
    HTTP_LINE_BYTES_MAX,
    READ_BUFFER_BYTES,
    ListenerLimits,
    PublicLimits,
)
from federation.net.refusals import status_of
from federation.protocol.tiles import TilePath, parse_tile_path
from federation.protocol.witness import ADD_CHECKPOINT_BYTES_MAX

_log = logging.getLogger("federation.net.public_listener")

TEXT: Final = "text/plain; charset=utf-8"
BYTES: Final = "application/octet-stream"
JSON: Final = "application/json"

CHECKPOINT_CACHE: Final = "public, max-age=5"
"""A few seconds (C2SP tlog-tiles): the public delay is minutes, so nobody misses them."""

IMMUTABLE_CACHE: Final = "public, max-age=31536000, immutable"
NO_CACHE: Final = "no-store"

_ROSTER: Final = re.compile(r"/roster/([1-9][0-9]{0,5})\.root\.json\Z")
_WITNESSED: Final = re.compile(r"/([0-9a-f]{64})/checkpoint\Z")
_CHECKPOINT: Final = re.compile(r"/([a-z0-9./-]+)/checkpoint\Z")
_TILE: Final = re.compile(r"/([a-z0-9./-]+?)/(tile/[a-z0-9./]+)\Z")


class WitnessAnswered(Protocol):
    """What the witness answers: status, body and media type."""

    @property
    def status(self) -> int:
        """The HTTP status."""

    @property
    def body(self) -> bytes:
        """The body."""

    @property
    def media_type(self) -> str:
        """The body's type."""


class PublicAnswers(Protocol):
    """What answers the public; any FederationError becomes a status, and its sentence the body."""

    async def checkpoint(self, origin: str) -> bytes:
        """The public checkpoint of a log."""

    async def tile(self, origin: str, path: TilePath) -> bytes:
        """A tile or entry bundle of a log."""

    async def roster(self, version: int) -> bytes:
        """A roster version, verbatim."""

    async def witnessed(self, origin_sha256: bytes) -> bytes:
        """The newest head of a log that the witness signed."""

    async def add_checkpoint(self, body: bytes) -> WitnessAnswered:
        """A log's request to the witness."""


class PublicListener:
    """The running public log of a node.

    Args:
        answers: what is answered.
        limits: how much strangers may take.

    Attributes:
        counters: what it has seen.
        port: where it listens, once started.
    """

    def __init__(self, answers: PublicAnswers, limits: PublicLimits | None = None) -> None:
        self.counters = ListenerCounters()
        self.port = 0
        self._answers = answers
        self._limits = limits or PublicLimits()
        self._allowance = Allowance(self._limits)
        self._in_flight = 0
        self._asked: WeakSet[asyncio.Transport] = WeakSet()
        self._silent: dict[asyncio.Transport, float] = {}
        self._sweep: asyncio.TimerHandle | None = None
        self._body_limits = ListenerLimits(body_seconds=self._limits.body_seconds)
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer, expect_handler=expect_later)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            auto_decompress=False,
            keepalive_timeout=self._limits.keepalive_seconds,
            lingering_time=self._limits.lingering_seconds,
            logger=_Quiet("federation.net.public_listener.http"),
            max_field_size=HTTP_FIELD_BYTES_MAX,
            max_headers=HTTP_FIELDS_MAX,
            max_line_size=HTTP_LINE_BYTES_MAX,
            read_bufsize=READ_BUFFER_BYTES,
            shutdown_timeout=self._limits.shutdown_seconds,
        )
        self._door: Door | None = None

    async def start(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Listen; port 0 takes any free one.

        Args:
            host: name or address.
            port: TCP port.
            tls: the server's context; plain HTTP without one.

        Raises:
            PortInUse: something else listens there.
            ConfigInvalid: the address is not one of this machine's.
        """
        listening: socket.socket = await open_socket(host, port, self._limits.backlog)
        self.port = listening.getsockname()[1]
        await self._runner.setup()
        limits = self._limits
        self._door = Door(
            listening,
            tls,
            self._server,
            is_full=lambda: len(self._server.connections) >= limits.connections_max,
            admit=self._admit,
            counters=self.counters,
            limits=ListenerLimits(
                handshakes_max=limits.handshakes_max,
                # Without TLS a handshake is over at once: a crowd from one proxy is none.
                handshakes_per_address_max=limits.handshakes_per_address_max
                if tls is not None
                else limits.handshakes_max,
                handshake_seconds=limits.handshake_seconds,
            ),
        )
        self._door.open()
        self._close_silent()

    async def close(self) -> None:
        """Accept nothing more, let requests under way end within their seconds, and stop."""
        if self._door is not None:
            await self._door.close()
            self._door = None
        if self._sweep is not None:
            self._sweep.cancel()
        await self._runner.cleanup()

    @property
    def _server(self) -> web.Server:
        if self._runner.server is None:
            raise RuntimeError("the listener is not started")
        return self._runner.server

    # --- connections ------------------------------------------------------------------------------

    def _admit(self, transport: asyncio.BaseTransport) -> bool:
        """Whether one address has not too many; its own is among them already."""
        address = _address_of(transport)
        if _is_loopback(address):
            return True
        count = sum(_address_of(each.transport) == address for each in self._server.connections)
        if count > self._limits.connections_per_address_max:
            self.counters.connections_refused_busy += 1
            return False
        return True

    def _close_silent(self) -> None:
        """Cut who connected and never asked anything: HTTP itself waits for the first request."""
        loop = asyncio.get_running_loop()
        now, silent = loop.time(), dict[asyncio.Transport, float]()
        for connection in list(self._server.connections):
            transport = connection.transport
            if transport is None or transport in self._asked:
                continue
            since = self._silent.get(transport, now)
            if now - since < self._limits.keepalive_seconds:
                silent[transport] = since
            else:
                transport.abort()
        self._silent = silent
        self._sweep = loop.call_later(self._limits.keepalive_seconds / 4, self._close_silent)

    # --- requests ---------------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.transport is not None:
            self._asked.add(request.transport)
        response = await self._response(request)
        try:
            await self._send(request, response)
        except (ConnectionError, TimeoutError):
            self.counters.answers_abandoned += 1
            raise ConnectionResetError("the answer was not taken") from None
        return response

    async def _send(self, request: web.Request, response: web.Response) -> None:
        """Write an answer and wait until it has been taken, or cut the connection."""
        transport = request.transport
        try:
            async with asyncio.timeout(self._limits.answer_seconds):
                if transport is not None:
                    # All of it goes to the kernel before the next request is looked at.
                    transport.set_write_buffer_limits(high=0)
                await response.prepare(request)
                await response.write_eof()
        except BaseException:
            if transport is not None:
                transport.abort()  # a closing connection would wait for its reader for ever
            raise

    async def _response(self, request: web.Request) -> web.Response:
        try:
            self._check_allowance(request)
            body = await self._body(request)
            with self._place():
                async with asyncio.timeout(self._limits.answer_seconds):
                    response = await self._route(request, body)
        except FederationError as error:
            self.counters.requests_refused[error.code] += 1
            return self._refusal(error)
        except (ConnectionError, TimeoutError):
            self.counters.answers_abandoned += 1
            raise
        except Exception as error:  # noqa: BLE001 - a bug of ours must not show itself to strangers
            self.counters.faults += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            _log.error(
                "a public request met a bug: %s at %s:%s",
                type(error).__name__,
                place.filename,
                place.lineno,
            )
            return self._refusal(FederationError("this node cannot answer at the moment"))
        self.counters.requests_answered += 1
        return response

    def _check_allowance(self, request: web.Request) -> None:
        address = request.remote or ""
        if not _is_loopback(address):
            self._allowance.take(address, time.monotonic())

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of the places of those that are being answered, while the block runs.

        Raises:
            TooBusy: all are taken.
        """
        if self._in_flight >= self._limits.in_flight_max:
            raise TooBusy("this node answers as many requests as it can")
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    async def _body(self, request: web.Request) -> bytes:
        """What the witness is asked; of any other request nothing is read."""
        if not _is_to_witness(request):
            return b""
        return await read_body(
            request, bytes_max=ADD_CHECKPOINT_BYTES_MAX, limits=self._body_limits
        )

    async def _route(self, request: web.Request, body: bytes) -> web.Response:
        # As it was sent: a path has one spelling, so an escape in it leads nowhere.
        path = request.rel_url.raw_path
        if _is_to_witness(request):
            answer = await self._answers.add_checkpoint(body)
            return _said(answer.body, answer.media_type, NO_CACHE, status=answer.status)
        if request.method not in {"GET", "HEAD"}:
            return self._refusal(NotFound("there is nothing to write here"), status=405)
        if request.body_exists:
            raise TooLarge("a GET of the public log has no body")
        if found := _ROSTER.match(path):
            return _said(await self._answers.roster(int(found[1])), JSON, IMMUTABLE_CACHE)
        if found := _WITNESSED.match(path):
            note = await self._answers.witnessed(bytes.fromhex(found[1]))
            return _said(note, TEXT, CHECKPOINT_CACHE)
        if found := _TILE.match(path):
            try:
                tile = parse_tile_path(found[2])
            except ProtocolError:
                raise NotFound("no such tile") from None
            return _said(await self._answers.tile(found[1], tile), BYTES, IMMUTABLE_CACHE)
        if found := _CHECKPOINT.match(path):
            return _said(await self._answers.checkpoint(found[1]), TEXT, CHECKPOINT_CACHE)
        raise NotFound("no such path; see docs/guides/public_log.md")

    def _refusal(self, error: FederationError, status: int | None = None) -> web.Response:
        ours = isinstance(error, StoreError) or status_of(error) == 500  # noqa: PLR2004
        told = "this node cannot answer at the moment" if ours else error.message
        # Whoever asks for a range that is not held asks for a path that is not there.
        given = 404 if isinstance(error, NotFound) else status_of(error)
        response = _said(f"{told}\n".encode(), TEXT, NO_CACHE, status=status or given)
        if isinstance(error, TooBusy):
            response.headers[hdrs.RETRY_AFTER] = str(self._limits.retry_after_seconds)
        if isinstance(error, TooLarge):
            response.force_close()
        return response


class _Quiet(logging.Logger):
    """Stands where aiohttp logs what it could not parse: strangers send anything."""

    def handle(self, record: logging.LogRecord) -> None:
        pass


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """The public listener's TLS: 1.2 and up, because auditors' tools may be old.

    Args:
        certificate: PEM, the chain of the server's certificate.
        key: PEM, its private key.

    Raises:
        ConfigInvalid: they cannot be read, or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        # SSLError has no words of the system's; its reason is a constant of OpenSSL.
        reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigInvalid(
            f"the public listener's certificate {certificate} or key {key} is unusable: {reason}"
        ) from None
    return context


def _said(body: bytes, media_type: str, cache: str, *, status: int = 200) -> web.Response:
    return web.Response(
        status=status,
        body=body,
        headers={
            hdrs.CONTENT_TYPE: media_type,
            hdrs.CACHE_CONTROL: cache,
            hdrs.SERVER: "federation",
            # A page that verifies in the browser may be served from anywhere.
            hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
            "X-Content-Type-Options": "nosniff",
        },
    )


def _is_loopback(address: str) -> bool:
    return address in {"127.0.0.1", "::1"}


def _is_to_witness(request: web.Request) -> bool:
    return request.method == "POST" and request.rel_url.raw_path == "/add-checkpoint"


def _address_of(transport: asyncio.BaseTransport | None) -> str:
    peer = transport.get_extra_info("peername") if transport is not None else None
    return str(peer[0]) if peer else ""
