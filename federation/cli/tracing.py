"""What ``trace`` shows: the whole story of a signal or statement, and what stood at a time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from rich.text import Text

from federation.cli.answers import Answer, plain, progress
from federation.cli.client import NodeClient
from federation.cli.contents import parse_signal_argument
from federation.cli.exits import ExitCode
from federation.cli.files import write_file
from federation.cli.trace_page import page_of
from federation.errors import RequestMalformed
from federation.protocol.headers import parse_statement_id
from federation.protocol.signals_local import format_value
from federation.provenance.trace import format_ms
from federation.web.match_schemas import SignalQuery
from federation.web.trace_schemas import EventAnswer, TraceAnswer, TraceRequest

COLOURS = {
    "confirm": "green",
    "endorse": "cyan",
    "dispute": "yellow",
    "withdraw": "red",
    "erase": "magenta",
}


def trace(config_path: Path, subject: str, at: str | None, html: Path | None) -> Answer:
    """Tell the story; a no where it was not active at the time asked about.

    Raises:
        FederationError: an argument is wrong, the node holds no such statement, or does not answer.
    """
    at_ms = None if at is None else parse_time(at)
    told = asyncio.run(_ask(config_path, _request(subject, at_ms)))
    talk: tuple[str, ...] = ()
    if html is not None:
        write_file(html, page_of(_title(subject), told, at is not None).encode("utf-8"))
        talk = (f"the page is in {plain(str(html))}",)
    parts: list[str | Text] = []
    for change in told.roster:
        parts.append(Text(f"roster version {change.version}", style="bold"))
        parts += [f"    {plain(line)}" for line in change.changes]
    for event in told.events:
        parts += _lines(event)
    parts += ["", *map(plain, told.at.words)] if told.events or at else []
    code = ExitCode.YES if told.at.was_active else ExitCode.NO
    empty = "nobody whom this node has heard said anything of it"
    return Answer(told.model_dump(), tuple(parts) or (empty,), code, talk=talk)


def parse_time(text: str) -> int:
    """A date or time of ISO 8601, in UTC unless it says, as Unix milliseconds.

    Raises:
        RequestMalformed: none, or one that no statement could bear.
    """
    try:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        at_ms = int(at.timestamp() * 1_000)
    except (ValueError, OverflowError):
        at_ms = -1
    if at_ms < 0:
        raise RequestMalformed(
            "--at is a date or time after 1970", hint="for example 2026-03-03 or 2026-03-03T14:30"
        )
    return at_ms


def _request(subject: str, at_ms: int | None) -> TraceRequest:
    if subject.startswith("st_"):
        return TraceRequest(statement=str(parse_statement_id(subject)), at_ms=at_ms)
    signal = parse_signal_argument(subject)
    query = SignalQuery(type=signal.type.value, value=format_value(signal))
    return TraceRequest(signal=query, at_ms=at_ms)


def _title(subject: str) -> str:
    """A signal's value does not go onto a page that is passed on."""
    return subject if subject.startswith("st_") else f"a {subject.partition(':')[0]} signal"


async def _ask(config_path: Path, request: TraceRequest) -> TraceAnswer:
    with progress("asking the node"):
        async with NodeClient.of(config_path) as node:
            return await node.post("/v1/trace", request, TraceAnswer)


def _lines(event: EventAnswer) -> list[str | Text]:
    line = Text(f"{format_ms(event.at_ms)}  ", style="dim")
    line.append(f"{plain(event.kind):<9}", style=COLOURS.get(event.kind, ""))
    line.append(f" {plain(event.member)}", style="bold")
    line.append(f"  {plain(event.standing)}" if event.standing else "", style="italic")
    lines: list[str | Text] = [line, f"    {event.id}", f"    {plain(event.words)}"]
    lines += [f"    about {each}" for each in event.about]
    if event.held_by:
        held = event.held_by[0]
        since = format_ms(held.since_seconds * 1_000)
        others = f" and {len(event.held_by) - 1} more since" if event.held_by[1:] else ""
        lines.append(f"    held by {plain(held.member)} since {since}{others}")
    return lines
