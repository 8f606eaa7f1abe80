"""A platform's own small system beside its node: ``python platform_consumer.py STATE CONFIG PORT``.

It follows the feed from its last cursor, and takes webhooks on PORT; what each event does is
written in one transaction with the cursor, or with the event's id. It may be killed at any moment.
This is what docs/guides/feed_and_webhooks.md tells a platform to do, and nothing more.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from pathlib import Path

import aiohttp
from aiohttp import web
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks import Webhook

from federation.config import load_config

SHAPE = """
    CREATE TABLE IF NOT EXISTS cursor (only_row INTEGER PRIMARY KEY, id TEXT);
    CREATE TABLE IF NOT EXISTS taken (way TEXT, id TEXT, kind TEXT, content TEXT);
    CREATE TABLE IF NOT EXISTS counts (way TEXT PRIMARY KEY, count INTEGER);
    CREATE UNIQUE INDEX IF NOT EXISTS webhooks_once ON taken (id) WHERE way = 'webhook';
"""
COUNT = """
    INSERT INTO counts VALUES (?, 1) ON CONFLICT (way) DO UPDATE SET count = count + 1"""


def open_state(path: Path) -> sqlite3.Connection:
    """Where it keeps what it did."""
    state = sqlite3.connect(path)
    state.executescript(f"PRAGMA journal_mode = WAL; {SHAPE}")
    return state


async def follow(state: sqlite3.Connection, address: str, token: str) -> None:
    """The feed, from the last cursor, for ever."""
    while True:
        (cursor,) = state.execute("SELECT max(id) FROM cursor").fetchone()
        headers = {"Authorization": f"Bearer {token}"} | (
            {"Last-Event-ID": cursor} if cursor else {}
        )
        try:
            async with (
                aiohttp.ClientSession(headers=headers) as session,
                session.get(f"{address}/v1/feed") as stream,
            ):
                await take_events(state, stream)
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.1)


async def take_events(state: sqlite3.Connection, stream: aiohttp.ClientResponse) -> None:
    """Each event's effect and its cursor in one transaction."""
    event: dict[str, str] = {}
    async for raw in stream.content:
        name, _, value = raw.decode().rstrip("\n").partition(": ")
        if name:
            event[name] = value
        elif event:
            if "id" in event:  # of a snapshot only the end has one: before it, nothing is counted
                with state:
                    row = ("feed", event["id"], event["event"], event["data"])
                    state.execute("INSERT INTO taken VALUES (?, ?, ?, ?)", row)
                    state.execute(COUNT, ("feed",))
                    state.execute("INSERT OR REPLACE INTO cursor VALUES (1, ?)", (event["id"],))
            event = {}


async def listen(state: sqlite3.Connection, port: int, secret: str) -> None:
    """Webhooks: verified, and each id once."""

    async def receive(request: web.Request) -> web.Response:
        raw = await request.read()
        Webhook(secret).verify(raw, dict(request.headers))
        event = from_http_event(HTTPMessage(dict(request.headers), raw), JSONFormat())
        kind = event.get_type().split(".")[1]
        row = ("webhook", request.headers["webhook-id"], kind, json.dumps(event.get_data()))
        try:
            with state:
                state.execute("INSERT INTO taken VALUES (?, ?, ?, ?)", row)
                state.execute(COUNT, ("webhook",))
        except sqlite3.IntegrityError:
            pass  # taken before: the answer to it was lost
        return web.Response(status=204)

    application = web.Application()
    application.router.add_post("/events", receive)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()


async def main() -> None:
    """Run until killed."""
    state = open_state(Path(sys.argv[1]))
    config = load_config(Path(sys.argv[2]))
    token = config.path(config.api.token_file).read_text().strip()
    secret = config.path(config.webhooks[0].secret_file).read_text().strip()
    await listen(state, int(sys.argv[3]), secret)
    await follow(state, f"http://{config.api.listen}", token)


if __name__ == "__main__":
    asyncio.run(main())
