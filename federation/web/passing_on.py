"""The node behind a worker: what is not the worker's to answer is passed on, as it comes.

Over a Unix socket, bodies and answers streamed, WebSockets message by message; not looked at.
"""

from __future__ import annotations

import asyncio
import io
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from aiohttp import web

from federation.local_errors.disk import NodeStarting
from federation.web.problems import problem

HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "content-length"}
)
"""Of one connection only (RFC 9110, section 7.6.1); the length is the next connection's to say."""

CHUNK_BYTES: Final = 64 * 1024

SENT_AT_ONCE_MAX: Final = 1 << 20
"""What aiohttp takes in one piece without a warning."""

CONNECT_SECONDS: Final = 5.0
"""To a socket on this machine; an answer may take as long as it takes."""


class NodeBehind:
    """The node; an async context manager.

    Args:
        path: of its Unix socket.
    """

    def __init__(self, path: str) -> None:
        self._session = aiohttp.ClientSession(
            "http://node",
            connector=aiohttp.UnixConnector(path=path, limit=0),
            timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS),
            auto_decompress=False,
        )

    async def ask(
        self, path: str, body: bytes, authorization: str
    ) -> tuple[HTTPStatus, web.Response, bytes]:
        """Its answer to a POST of JSON, and the answer's bytes; 503 where it does not answer."""
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        try:
            async with self._session.post(path, data=body, headers=headers) as answer:
                told = await answer.read()
                status = HTTPStatus(answer.status)
                kind = answer.content_type
                return status, web.Response(status=status, body=told, content_type=kind), told
        except aiohttp.ClientError:
            return HTTPStatus.SERVICE_UNAVAILABLE, _silent(), b""

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        """Its answer to a request as it is; 503 where it does not answer."""
        headers = {
            name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP
        }
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._pass_socket_on(request, headers)
        body: Any = None
        if request.body_exists:
            # In memory already where it was looked at; a file is passed on as it comes.
            body = request.content
            if request.content.at_eof():
                read = await request.read()
                body = io.BytesIO(read) if len(read) > SENT_AT_ONCE_MAX else read
            if request.content_length is not None:
                headers["Content-Length"] = str(request.content_length)
        passed: web.StreamResponse | None = None
        try:
            async with self._session.request(
                request.method, request.rel_url, headers=headers, data=body, allow_redirects=False
            ) as answer:
                passed = _same_head(answer)
                await passed.prepare(request)
                async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                    await passed.write(chunk)
                await passed.write_eof()
                return passed
        except aiohttp.ClientError:
            if passed is not None and passed.prepared:
                raise  # half an answer: cut, so that nobody takes it for a whole one
            return _silent()

    async def _pass_socket_on(
        self, request: web.Request, headers: dict[str, str]
    ) -> web.StreamResponse:
        headers = {
            name: value
            for name, value in headers.items()
            if not name.lower().startswith("sec-websocket-")
        }
        protocols = [
            each.strip() for each in request.headers.get("Sec-WebSocket-Protocol", "").split(",")
        ]
        wanted = tuple(filter(None, protocols))
        try:
            async with self._session.ws_connect(
                request.rel_url, headers=headers, protocols=wanted, autoping=False, max_msg_size=0
            ) as node:
                asker = web.WebSocketResponse(protocols=wanted, autoping=False, max_msg_size=0)
                await asker.prepare(request)
                await _join(asker, node)
                return asker
        except aiohttp.WSServerHandshakeError as error:
            # Refused: asked again without the upgrade, it says why.
            return await self._refusal(request, headers, error.status)
        except aiohttp.ClientError:
            return _silent()

    async def _refusal(
        self, request: web.Request, headers: dict[str, str], status: int
    ) -> web.StreamResponse:
        async with self._session.get(request.rel_url, headers=headers) as answer:
            told = await answer.read()
            if answer.status != status:
                return web.Response(status=status)
            return web.Response(status=status, body=told, content_type=answer.content_type)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()


def _same_head(answer: aiohttp.ClientResponse) -> web.StreamResponse:
    passed = web.StreamResponse(status=answer.status)
    for name, value in answer.headers.items():
        if name.lower() not in HOP_BY_HOP:
            passed.headers.add(name, value)
    if answer.content_length is not None:
        passed.content_length = answer.content_length
    return passed


def _silent() -> web.Response:
    return problem(NodeStarting("the node does not answer its own worker"))


_Socket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def _join(one: _Socket, other: _Socket) -> None:
    """Pass messages both ways until either side closes."""
    pumps = {asyncio.create_task(_pump(one, other)), asyncio.create_task(_pump(other, one))}
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for socket, its_other in ((one, other), (other, one)):
            await socket.close(code=its_other.close_code or aiohttp.WSCloseCode.OK)


async def _pump(source: _Socket, sink: _Socket) -> None:
    async for message in source:
        match message.type:
            case aiohttp.WSMsgType.TEXT:
                await sink.send_str(message.data)
            case aiohttp.WSMsgType.BINARY:
                await sink.send_bytes(message.data)
            case aiohttp.WSMsgType.PING:
                await sink.ping(message.data)
            case aiohttp.WSMsgType.PONG:
                await sink.pong(message.data)
