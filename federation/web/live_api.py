"""Live streams over HTTP: frames in, and at once what to do about the stream."""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web

from federation.daemon.live import LiveFrame
from federation.daemon.node import Node
from federation.errors import RequestMalformed
from federation.matching.live_windows import LiveStanding
from federation.protocol.signals import SignalType
from federation.web import live_schemas
from federation.web.file_api import FileApi
from federation.web.routes import Call
from federation.web.verdicts import read_signal

_STREAM: Final = re.compile(r"[A-Za-z0-9._:~-]{1,128}\Z")


class LiveApi:
    """The calls about live streams, for one node.

    Args:
        node: the running node.
        files: hashes pictures.
    """

    def __init__(self, node: Node, files: FileApi) -> None:
        self._node, self._files = node, files

    def calls(self) -> list[Call]:
        """Every call, as routed, validated and described."""
        s = live_schemas
        one = "/v1/live/{stream}"
        return [
            Call("POST", one, "frames of a live stream, as signals", s.LiveAnswer, self.frames,
                 body=s.LiveRequest, once_filled=True),
            Call("POST", one + "/frame", "one frame of a live stream, as a picture (the body)",
                 s.LiveAnswer, self.picture, query=s.LiveFrameQuery, takes_file=True,
                 once_filled=True),
            Call("DELETE", one, "the stream is over", s.LiveAnswer, self.end,
                 once_filled=True),
            Call("GET", "/v1/live", "which streams something is raised for", s.LiveStreamsAnswer,
                 self.streams, once_filled=True),
        ]  # fmt: skip

    async def frames(
        self, request: web.Request, body: live_schemas.LiveRequest
    ) -> live_schemas.LiveAnswer:
        """Match frames, and say how the stream stands."""
        frames = [
            LiveFrame(read_signal(SignalType.PDQ, each.pdq).value, each.quality, each.at_ms)
            for each in body.frames
        ]
        name = _name_of(request)
        return _answer(name, await self._node.platform.live.take(name, frames))

    async def picture(
        self, request: web.Request, query: live_schemas.LiveFrameQuery
    ) -> live_schemas.LiveAnswer:
        """Hash one picture, match it, and say how the stream stands.

        Raises:
            PictureUnreadable: the body is no picture.
        """
        name = _name_of(request)
        found = await self._files.signals_of(request, only_picture=True)
        if found.unread is not None:
            raise found.unread
        signal = found.signals[0]
        at_ms = None if query.at_ms is None else int(query.at_ms)
        frame = LiveFrame(signal.value, signal.quality, at_ms)
        return _answer(name, await self._node.platform.live.take(name, [frame]))

    async def end(self, request: web.Request, _body: None) -> live_schemas.LiveAnswer:
        """End a stream.

        Raises:
            LiveStreamUnknown: it was not on.
        """
        name = _name_of(request)
        return _answer(name, self._node.platform.live.end(name))

    async def streams(self, _request: web.Request, _body: None) -> live_schemas.LiveStreamsAnswer:
        """How many streams are on, and those that something is raised for."""
        live = self._node.platform.live
        raised = [_answer(name, standing) for name, standing in sorted(live.raised().items())]
        return live_schemas.LiveStreamsAnswer(streams=len(live), raised=raised)


def _name_of(request: web.Request) -> str:
    name = request.match_info["stream"]
    if not _STREAM.match(name):
        raise RequestMalformed("a stream's name is 1 to 128 letters, digits or one of . _ : ~ -")
    return name


def _answer(name: str, standing: LiveStanding) -> live_schemas.LiveAnswer:
    decision = standing.hit.decision if standing.hit else None
    return live_schemas.LiveAnswer(
        stream=name,
        action=str(standing.action),
        rule=decision.rule if decision else None,
        why=decision.why if decision else None,
        began_at_ms=standing.began_at_ms,
        share_percent=standing.share_percent,
        matched=standing.matched,
        window=standing.window,
        frames=standing.frames,
        statements=[str(each) for each in standing.hit.statements] if standing.hit else [],
    )
