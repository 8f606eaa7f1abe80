"""A process that answers matches beside the node: ``python -m federation.web.worker FD``.

It listens on the local API's own port, follows the node's index over the socket that it inherited,
and answers by itself what nothing known is near to, which is nearly everything. Whatever is near
something known it asks the node about, whose answer depends on statements, members and policy;
every other call it passes on. So what it answers is what the node would answer.

The node's closing of the socket, or its death, ends it. SIGTERM and SIGINT it leaves to the node.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from federation.daemon.index_channel import Frame, IndexFollower, read_frame
from federation.daemon.searching import search_index
from federation.errors import FederationError
from federation.local_errors.disk import IndexFileInvalid
from federation.matching.index import SignalIndex, warm_up
from federation.store.index_files import IndexFiles
from federation.web import match_schemas
from federation.web.misses import MissAnswer, answer_with
from federation.web.passing_on import NodeBehind
from federation.web.problems import problem
from federation.web.routes import BODY_BYTES_MAX, check_plain, check_token, read_body
from federation.web.verdicts import read_signal, thresholds_of

log_lines = logging.getLogger(__name__)

READY: Final = b"\x01"
"""What it writes to the node once it listens."""

SHUTDOWN_SECONDS: Final = 5.0
"""For requests under way when the node stops."""


class WorkerApi:
    """What one process answers.

    Args:
        index: what the node knows.
        misses: the node's answer to what nothing known is near to.
        token: of the API.
        distance_max: the node's own PDQ distance.
        node: the node behind it.
    """

    def __init__(
        self,
        index: SignalIndex,
        misses: MissAnswer,
        token: str,
        distance_max: int,
        node: NodeBehind,
    ) -> None:
        self._index, self._misses = index, misses
        self._token, self._distance_max = token, distance_max
        self._node = node

    def application(self) -> web.Application:
        """Matches here, everything else at the node."""
        application = web.Application(client_max_size=BODY_BYTES_MAX)
        application.router.add_post("/v1/match", self.match)
        application.router.add_route("*", "/{anything:.*}", self._node.pass_on)
        return application

    async def match(self, request: web.Request) -> web.StreamResponse:
        """Answer what nothing is near to; ask the node about the rest."""
        try:
            check_token(request, self._token)
            check_plain(request)
            body = await read_body(request, match_schemas.MatchRequest)
            if not body.model_fields_set <= _SEARCHED_WITH:
                return await self._node.pass_on(request)
            signals = [read_signal(each.type, each.value) for each in body.signals]
            wanted = thresholds_of(
                body.distance_max,
                body.video,
                body.tlsh_distance_max,
                default=self._distance_max,
            )
            found = await search_index(self._index, signals, wanted, 0)
        except FederationError as error:
            return problem(error)
        near = [at for at, matches in enumerate(found) if matches.total]
        if not near:
            raw = self._misses.to(len(signals))
            return web.Response(body=raw, content_type="application/json")
        # Of one content the node has to see all signals: its policy may except any of them.
        if len(near) == len(signals) or body.one_content:
            return await self._node.pass_on(request)
        return await self._ask(request, body, near)

    async def _ask(
        self, request: web.Request, body: match_schemas.MatchRequest, near: Sequence[int]
    ) -> web.StreamResponse:
        """The node's answer about some of the signals, among the others'."""
        some = body.model_copy(update={"signals": [body.signals[at] for at in near]})
        raw = some.model_dump_json(exclude_unset=True).encode("utf-8")
        authorization = request.headers["Authorization"]
        status, answer, text = await self._node.ask("/v1/match", raw, authorization)
        if status is not HTTPStatus.OK:
            return answer
        asked = json.loads(text)
        results: list[Any] = [self._misses.result] * len(body.signals)
        for at, result in zip(near, asked["results"], strict=True):
            results[at] = result
        return web.Response(body=answer_with(asked, results), content_type="application/json")


_SEARCHED_WITH: Final = frozenset(
    {"signals", "distance_max", "one_content", "video", "tlsh_distance_max"}
)
"""What a request may say that a search alone can answer; anything else is for the node."""


async def run(channel: socket.socket) -> None:
    """Follow, listen, answer; until the node closes the channel.

    Args:
        channel: to the node.

    Raises:
        IndexFileInvalid: the node's files are not what it said: it starts this anew.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: None)
    reader, writer = await asyncio.open_connection(sock=channel)
    frame = await read_frame(reader)
    if frame is None:
        return
    if frame[0] is not Frame.TOLD:
        raise IndexFileInvalid("the node does not say what it is")
    hello = json.loads(bytes(frame[1]))
    misses = MissAnswer(hello["nothing"])
    follower = IndexFollower(IndexFiles(Path(hello["index_folder"])), reader)
    await follower.install_first()
    await asyncio.to_thread(warm_up)
    async with NodeBehind(hello["node"]) as node:
        api = WorkerApi(follower.index, misses, hello["token"], hello["distance_max"], node)
        runner = web.AppRunner(
            api.application(),
            access_log=None,
            shutdown_timeout=SHUTDOWN_SECONDS,
            auto_decompress=False,  # passed on as it is, and refused there
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, hello["host"], hello["port"], reuse_port=True).start()
            gc.collect()
            gc.freeze()  # what is here now stays: not to be walked over while answers wait
            writer.write(READY)
            await follower.follow()
        finally:
            await runner.cleanup()


def main() -> None:
    """The program."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    channel = socket.socket(fileno=int(sys.argv[1]))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(channel))


if __name__ == "__main__":
    main()
