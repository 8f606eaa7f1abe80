"""What ``feed`` and ``webhooks`` do: one node's local API, asked and shown."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

from rich.box import SIMPLE_HEAD
from rich.table import Table

from federation.cli.answers import Answer, plain
from federation.cli.client import AnswerModel, NodeClient
from federation.cli.exits import ExitCode
from federation.web.feed_schemas import (
    DeadLettersAnswer,
    ReplayAnswer,
    ReplayRequest,
    WebhooksAnswer,
)


def follow_feed(config_path: Path, cursor: str | None, *, stays: bool) -> int:
    """Write every event to stdout as it comes.

    Raises:
        FederationError: the config is wrong, no node answers, or the cursor is of no use.
    """
    asked = {"then": "stay" if stays else "end"} | ({"cursor": cursor} if cursor else {})
    asyncio.run(_write_events(config_path, f"/v1/feed?{urlencode(asked)}"))
    return ExitCode.YES


async def _write_events(config_path: Path, path: str) -> None:
    event: dict[str, str] = {}
    async with NodeClient.of(config_path) as node:
        async for raw in node.stream(path):
            name, _, value = raw.decode("utf-8").partition(": ")
            if name in {"id", "event", "data"}:
                event[name] = value
            elif not raw and event:
                told = {"id": event.get("id"), "kind": event["event"]}
                # ASCII, so that nothing in a label or reference can steer the terminal.
                line = json.dumps({**told, "data": json.loads(event["data"])})
                sys.stdout.write(f"{line}\n")
                sys.stdout.flush()
                event = {}


def webhooks(config_path: Path) -> Answer:
    """How every webhook stands.

    Raises:
        FederationError: the config is wrong, or no node answers.
    """
    told = asyncio.run(_get(config_path, "/v1/webhooks", WebhooksAnswer)).webhooks
    table = Table("webhook", "delivered", "behind", "given up", "state", box=SIMPLE_HEAD)
    for each in told:
        state = "fine"
        if each.failing_since_ms is not None:
            since = _time(each.failing_since_ms)
            state = f"failing since {since}, {each.attempts} tries: {each.last_error}"
        counts = (f"{each.delivered:,}", f"{each.behind:,}", f"{each.dead_letters:,}")
        table.add_row(each.name, *counts, plain(state))
    needs_somebody = any(each.failing_since_ms or each.dead_letters for each in told)
    return Answer(
        {"webhooks": [each.model_dump() for each in told]},
        (table,) if told else ("no webhooks in node.toml",),
        ExitCode.NO if needs_somebody else ExitCode.YES,
        talk=("send again what was given up: federation webhooks replay NAME",)
        if any(each.dead_letters for each in told)
        else (),
    )


def dead_letters(config_path: Path, name: str | None) -> Answer:
    """What receivers did not take.

    Raises:
        FederationError: the config is wrong, or no node answers.
    """
    path = "/v1/webhooks/dead" + (f"?{urlencode({'name': name})}" if name else "")
    told = asyncio.run(_get(config_path, path, DeadLettersAnswer)).dead_letters
    table = Table("webhook", "event", "given up", "why", box=SIMPLE_HEAD)
    for each in told:
        table.add_row(each.name, str(each.number), _time(each.at_ms), plain(each.reason))
    return Answer(
        {"dead_letters": [each.model_dump() for each in told]},
        (table,) if told else ("every receiver took everything",),
        ExitCode.NO if told else ExitCode.YES,
    )


def replay(config_path: Path, name: str, numbers: list[int]) -> Answer:
    """Send again what one webhook gave up.

    Raises:
        WebhookUnknown: no such webhook, or a number that it did not give up.
        FederationError: the config is wrong, or no node answers.
    """
    request = ReplayRequest(numbers=numbers, all=not numbers)
    told = asyncio.run(_replay(config_path, name, request))
    return Answer(told.model_dump(), (f"{told.sending} events will be sent again",))


async def _get(config_path: Path, path: str, model: type[AnswerModel]) -> AnswerModel:
    async with NodeClient.of(config_path) as node:
        return await node.get(path, model)


async def _replay(config_path: Path, name: str, request: ReplayRequest) -> ReplayAnswer:
    async with NodeClient.of(config_path) as node:
        return await node.post(f"/v1/webhooks/{name}/replay", request, ReplayAnswer)


def _time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M:%S} UTC"
