"""The local API as a server: loopback, bearer token, no access log.

It listens before the node has filled its index, so that ``/healthz`` and ``/readyz`` can tell the
two apart.
"""

from __future__ import annotations

import asyncio
import errno
import json
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from federation.config import split_listen
from federation.daemon.keyring import read_key_file
from federation.daemon.node import Node
from federation.errors import FederationError, RequestMalformed
from federation.local_errors.config import ConfigInvalid, KeyFileInvalid, PortInUse
from federation.web.feed_api import FeedApi
from federation.web.file_api import FileApi
from federation.web.history_api import HistoryApi
from federation.web.import_api import ImportApi
from federation.web.incident_api import IncidentApi
from federation.web.live_api import LiveApi
from federation.web.local_api import LocalApi
from federation.web.match_api import MatchApi
from federation.web.openapi import describe
from federation.web.policy_api import PolicyApi
from federation.web.problems import problem
from federation.web.proof_api import ProofApi
from federation.web.roster_api import RosterApi
from federation.web.routes import BODY_BYTES_MAX, register
from federation.web.trace_api import TraceApi
from federation.web.uploads_api import UploadsApi
from federation.web.workers import MatchWorkers

TOKEN_CHARACTERS_MIN = 32
"""Shorter ones can be guessed, or are a file of something else."""

SHUTDOWN_SECONDS = 5.0
"""For requests under way when the node stops."""


def read_token(node_token: bytes) -> str:
    """The bearer token in a token file's bytes.

    Raises:
        KeyFileInvalid: too short, or not one line of ASCII.
    """
    try:
        token = node_token.decode("ascii").strip()
    except UnicodeDecodeError:
        token = ""
    if len(token) < TOKEN_CHARACTERS_MIN or any(letter.isspace() for letter in token):
        raise KeyFileInvalid(
            f"the API token is one line of at least {TOKEN_CHARACTERS_MIN} characters"
        )
    return token


class LocalServer:
    """The running local API of a node.

    Args:
        node: an opened node; it may start after this server does.

    Raises:
        ConfigMissing, KeyFileInvalid: the token file is missing, malformed or readable by others.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self.api = LocalApi(node)
        self._token = token = read_token(
            read_key_file(node.config.path(node.config.api.token_file))
        )
        self.workers = MatchWorkers(node.config.api.workers - 1, node.platform, self._hello)
        self.api.workers_answering = lambda: 1 + self.workers.ready
        self.file_api = FileApi(node)
        self.feed_api = FeedApi(node)
        self.match_api = MatchApi(node)
        apis = (
            self.match_api,
            self.api,
            ProofApi(node),
            TraceApi(node),
            self.file_api,
            ImportApi(node),
            IncidentApi(node),
            PolicyApi(node),
            UploadsApi(node),
            self.feed_api,
            LiveApi(node, self.file_api),
            RosterApi(node),
            HistoryApi(node),
        )
        calls = [call for api in apis for call in api.calls()]
        document = json.dumps(describe(calls)).encode("utf-8")
        application = web.Application(
            client_max_size=BODY_BYTES_MAX, middlewares=[_problems_for_everything]
        )
        register(application, calls, token, lambda: self.api.is_ready, lambda: node.is_filled)

        async def openapi(_request: web.Request) -> web.Response:
            return web.Response(body=document, content_type="application/json")

        application.router.add_get("/openapi.json", openapi)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            shutdown_timeout=SHUTDOWN_SECONDS,
            auto_decompress=False,  # what is compressed is refused, and not looked into
        )

    async def start(self) -> None:
        """Listen.

        Raises:
            PortInUse: something else listens there.
            ConfigInvalid: the address is not one of this machine's.
        """
        host, port = split_listen(self._node.config.api.listen)
        await self._runner.setup()
        try:
            if self.workers.count:
                # Sharing a port is allowed to whoever asks for it: look first whether it is free.
                (await asyncio.start_server(lambda _reader, _writer: None, host, port)).close()
                await web.UnixSite(self._runner, self.workers.node_path).start()
            shares = bool(self.workers.count)
            await web.TCPSite(self._runner, host, port, reuse_port=shares).start()
        except OSError as error:
            await self._runner.cleanup()
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(f"the local API's address {host}:{port} is taken") from None
            raise ConfigInvalid(f"cannot listen on {host}:{port}: {error.strerror}") from None

    async def open(self) -> None:
        """The node serves: say so, and have the workers answer beside it."""
        await self.workers.start()
        self.api.is_ready = True

    def _hello(self) -> dict[str, Any]:
        """What a worker has to know."""
        host, port = split_listen(self._node.config.api.listen)
        return {
            "host": host,
            "port": port,
            "token": self._token,
            "distance_max": self._node.config.matching.distance_max,
            "index_folder": str(self._node.platform.index_folder),
            "nothing": self.match_api.nothing().model_dump(mode="json"),
        }

    async def close(self) -> None:
        """Stop listening and let requests under way end."""
        await self.workers.close()
        self.feed_api.close()
        await self._runner.cleanup()
        await self.file_api.close()


@web.middleware
async def _problems_for_everything(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors that aiohttp itself raises, in the one error form."""
    try:
        return await handler(request)
    except FederationError as error:
        return problem(error)
    except web.HTTPException as error:
        response = problem(RequestMalformed(f"{error.reason}: {request.method} {request.path}"))
        response.set_status(error.status)
        return response
