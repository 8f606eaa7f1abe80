"""The feed over HTTP as server-sent events, and the webhooks for operators.

One request is one consumer. It is written to as fast as it reads and no faster; the history waits
for it on disk. Without a cursor a snapshot comes first, then what changed since.

Source: WHATWG HTML, server-sent events.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import web

from federation.daemon.feed import Feed, format_cursor
from federation.daemon.feed_entries import SIGNAL
from federation.daemon.node import Node
from federation.errors import RequestMalformed
from federation.local_errors.askers import TooBusy
from federation.local_errors.disk import NodeStarting
from federation.store.feed_store import StoredEntry
from federation.web import feed_schemas
from federation.web.routes import Call

CONSUMERS_MAX: Final = 32
"""Streams open at a time: a platform has a handful of systems; each holds a page of entries."""

HEARTBEAT_SECONDS: Final = 15.0
"""Idle connections are closed by many a proxy after a minute: a comment keeps them open."""

SNAPSHOT_END: Final = "snapshot-end"
EVENT_STREAM: Final = "text/event-stream"


class FeedApi:
    """The calls about what changed, for one node.

    Args:
        node: the running node.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._consumers = 0
        self._closing = asyncio.Event()

    def calls(self) -> list[Call]:
        """Every call, as routed, validated and described."""
        s = feed_schemas
        return [
            Call("GET", "/v1/feed", "what changed, as server-sent events; without a cursor a "
                 "snapshot first", None, self.feed, query=s.FeedQuery, media_type=EVENT_STREAM),
            Call("GET", "/v1/webhooks", "how every webhook stands", s.WebhooksAnswer,
                 self.webhooks),
            Call("GET", "/v1/webhooks/dead", "what receivers did not take", s.DeadLettersAnswer,
                 self.dead_letters, query=s.DeadLettersQuery),
            Call("POST", "/v1/webhooks/{name}/replay", "send again what was given up",
                 s.ReplayAnswer, self.replay, body=s.ReplayRequest),
        ]  # fmt: skip

    def close(self) -> None:
        """End every stream; consumers come back with their cursors."""
        self._closing.set()

    # --- the feed -------------------------------------------------------------------------------

    async def feed(self, request: web.Request, query: feed_schemas.FeedQuery) -> web.StreamResponse:
        """Stream what changed, until the consumer goes or the node stops.

        Raises:
            FeedOff: the node keeps none.
            RequestMalformed: not a cursor.
            CursorUnknown: a cursor that nothing can be told from: take the snapshot.
            TooBusy: too many consumers.
        """
        feed = self._node.outlets.feed
        # What a browser's EventSource sends by itself when it comes back.
        cursor = request.headers.get("Last-Event-ID") or query.cursor
        number = None if cursor is None else await feed.number_of(cursor)
        if self._consumers >= CONSUMERS_MAX:
            raise TooBusy(
                f"the feed has {CONSUMERS_MAX} consumers, and that is as many as it takes"
            )
        if self._closing.is_set():
            raise NodeStarting("the node is stopping")
        response = web.StreamResponse(
            headers={"Content-Type": EVENT_STREAM, "Cache-Control": "no-store"}
        )
        self._consumers += 1
        try:
            await response.prepare(request)
            with suppress(ConnectionError):  # the consumer went away: it comes back with its cursor
                await self._stream(feed, number, response, stays=query.then == "stay")
        finally:
            self._consumers -= 1
        return response

    async def _stream(
        self, feed: Feed, number: int | None, response: web.StreamResponse, *, stays: bool
    ) -> None:
        feed_id = (await feed.bounds()).feed_id
        if number is None:
            number = await self._snapshot(feed, response)
        while not self._closing.is_set():
            news = feed.news()
            if number < (await feed.bounds()).cut:
                return  # it reads more slowly than history goes: its cursor will tell it so
            entries = await feed.read(number)
            if not entries and not stays:
                return
            if not entries:
                if not await self._wait(news):
                    await response.write(b": still here\n\n")
                continue
            await response.write(b"".join(_event(feed_id, entry) for entry in entries))
            number = entries[-1].number

    async def _snapshot(self, feed: Feed, response: web.StreamResponse) -> int:
        """Tell every signal; returns the number that changes go on from, taken before the first."""
        bounds = await feed.bounds()
        async for page in feed.snapshot():
            await response.write(
                b"".join(f"event: {SIGNAL}\ndata: {each.content}\n\n".encode() for each in page)
            )
            if self._closing.is_set():
                return bounds.newest
        cursor = format_cursor(bounds.feed_id, bounds.newest)
        await response.write(f"id: {cursor}\nevent: {SNAPSHOT_END}\ndata: {{}}\n\n".encode())
        return bounds.newest

    async def _wait(self, news: asyncio.Event) -> bool:
        """Until the feed has grown or the node stops; False where it is time for a sign of life."""
        waits = {
            asyncio.ensure_future(news.wait()),
            asyncio.ensure_future(self._closing.wait()),
        }
        try:
            done, _ = await asyncio.wait(
                waits, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for each in waits:
                each.cancel()
        return bool(done)

    # --- webhooks -------------------------------------------------------------------------------

    async def webhooks(self, _request: web.Request, _body: None) -> feed_schemas.WebhooksAnswer:
        """How every webhook of the config stands."""
        webhooks = self._node.outlets.webhooks
        newest = (await self._node.outlets.feed.bounds()).newest
        dead = await webhooks.dead_letters()
        return feed_schemas.WebhooksAnswer(
            webhooks=[
                feed_schemas.WebhookAnswer(
                    name=each.name,
                    delivered=each.delivered,
                    behind=newest - each.number,
                    attempts=each.attempts,
                    failing_since_ms=each.failing_since_ms,
                    retry_at_ms=each.retry_at_ms,
                    last_error=each.last_error,
                    dead_letters=sum(letter.name == each.name for letter in dead),
                )
                for _, each in sorted(webhooks.standings.items())
            ]
        )

    async def dead_letters(
        self, _request: web.Request, query: feed_schemas.DeadLettersQuery
    ) -> feed_schemas.DeadLettersAnswer:
        """What receivers did not take; of one webhook, or of all."""
        return feed_schemas.DeadLettersAnswer(
            dead_letters=[
                feed_schemas.DeadLetterAnswer(
                    name=each.name, number=each.number, at_ms=each.at_ms, reason=each.reason
                )
                for each in await self._node.outlets.webhooks.dead_letters(query.name)
            ]
        )

    async def replay(
        self, request: web.Request, body: feed_schemas.ReplayRequest
    ) -> feed_schemas.ReplayAnswer:
        """Send again what one webhook gave up.

        Raises:
            RequestMalformed: neither numbers nor all, or both.
            WebhookUnknown: no such webhook or number.
        """
        if body.all == bool(body.numbers):
            raise RequestMalformed("give the numbers to send again, or all")
        numbers = None if body.all else body.numbers
        sent = await self._node.outlets.webhooks.replay(request.match_info["name"], numbers)
        return feed_schemas.ReplayAnswer(sending=sent)


def _event(feed_id: str, entry: StoredEntry) -> bytes:
    cursor = format_cursor(feed_id, entry.number)
    return f"id: {cursor}\nevent: {entry.kind}\ndata: {entry.content}\n\n".encode()
