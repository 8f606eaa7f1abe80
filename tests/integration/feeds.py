"""A consumer of the feed and a receiver of webhooks, as a platform would write them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat
from standardwebhooks import Webhook

from tests.integration.conftest import SECONDS_MAX
from tests.ports import free_ports

SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS10ZXN0LWNvbXBhbnk9PT09"


@dataclass(frozen=True)
class Told:
    """One server-sent event."""

    id: str | None
    kind: str
    data: dict[str, Any]


async def events_of(response: aiohttp.ClientResponse) -> AsyncIterator[Told]:
    """The events of a stream, read as the standard says; comments are passed over."""
    fields: dict[str, str] = {}
    async for raw in response.content:
        line = raw.decode("utf-8").rstrip("\n")
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield Told(fields.get("id"), fields["event"], json.loads(fields["data"]))
            fields = {}


async def take(events: AsyncIterator[Told], count: int) -> list[Told]:
    """The next so many events of a stream."""
    taken: list[Told] = []
    async with asyncio.timeout(SECONDS_MAX):
        while len(taken) < count:
            taken.append(await anext(events))
    return taken


@dataclass
class Receiver:
    """What a receiver took, each event once, and how it answers."""

    port: int
    answer: Callable[[str], web.Response] = field(default=lambda _id: web.Response(status=204))
    taken: dict[str, Any] = field(default_factory=dict)
    requests: int = 0

    async def receive(self, request: web.Request) -> web.StreamResponse:
        """Verify with the scheme's own library, read with CloudEvents' own, and answer."""
        raw = await request.read()
        Webhook(SECRET).verify(raw, dict(request.headers))
        event = from_http_event(HTTPMessage(dict(request.headers), raw), JSONFormat())
        self.requests += 1
        answer = self.answer(request.headers["webhook-id"])
        if answer.status < 300:
            self.taken.setdefault(request.headers["webhook-id"], event)
        return answer

    def kinds(self) -> list[str]:
        """The kinds of what was taken, in order."""
        return [event.get_type().split(".")[1] for event in self.taken.values()]


@asynccontextmanager
async def receiving(port: int | None = None) -> AsyncIterator[Receiver]:
    """A receiver that listens on loopback."""
    receiver = Receiver(port or free_ports(1)[0])
    application = web.Application()
    application.router.add_post("/events", receiver.receive)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", receiver.port).start()
        yield receiver
    finally:
        await runner.cleanup()


def add_webhook(config: Path, port: int, name: str = "moderation", more: str = "") -> None:
    """Configure a webhook to a receiver on loopback."""
    secret = config.parent / "webhook.secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    table = (
        f'\n[[webhooks]]\nname = "{name}"\nurl = "http://127.0.0.1:{port}/events"\n'
        f'secret_file = "webhook.secret"\nallow_private = true\n{more}'
    )
    config.write_text(config.read_text() + table)


def enable_feed(config: Path) -> None:
    """Have a node keep its feed."""
    config.write_text(config.read_text().replace("enabled = false", "enabled = true"))
