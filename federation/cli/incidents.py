"""What ``federation incident`` does."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from federation.cli.answers import Answer, plain
from federation.cli.client import NodeClient
from federation.errors import RequestMalformed
from federation.protocol.headers import parse_statement_id
from federation.web.incident_api import (
    ChangeIncident,
    IncidentAnswer,
    IncidentsAnswer,
    OpenIncident,
)


def open_incident(config_path: Path, title: str, level: str) -> Answer:
    """Open an incident.

    Raises:
        FederationError: an argument is wrong, or the node refused.
    """
    try:
        asked = OpenIncident(title=title, level=level)
    except ValueError:
        raise _misuse() from None
    return _told(asyncio.run(_post(config_path, "/v1/incidents", asked)), "opened")


def change_incident(config_path: Path, incident: str, level: str | None, *, closes: bool) -> Answer:
    """Say that an incident has another level, or is over.

    Raises:
        FederationError: an argument is wrong, or the node refused.
    """
    path = f"/v1/incidents/{parse_statement_id(incident)}"
    try:
        asked = ChangeIncident(level=level, close=closes)
    except ValueError:
        raise _misuse() from None
    told = asyncio.run(_post(config_path, path, asked))
    return _told(told, "closed" if closes else f"level {told.level}")


def list_incidents(config_path: Path, *, only_open: bool) -> Answer:
    """Show the incidents that the node knows.

    Raises:
        FederationError: the config is wrong, or no node answers.
    """
    told = asyncio.run(_get(config_path))
    shown = [each for each in told.incidents if each.is_open or not only_open]
    fields = {"incidents": [each.model_dump() for each in shown]}
    if not shown:
        return Answer(fields, ("no incident is known",))
    return Answer(fields, tuple(_line(each) for each in shown))


def _line(incident: IncidentAnswer) -> str:
    """One incident on a line of its own, so that its id can be copied whole."""
    closed_at_ms = incident.closed_at_ms
    state = "open" if closed_at_ms is None else f"closed {_time(closed_at_ms)}"
    return (
        f"{incident.id}  {plain(incident.title)}: {plain(incident.level)}, {state};"
        f" opened {_time(incident.opened_at_ms)} by {plain(incident.member)}"
    )


def _misuse() -> RequestMalformed:
    return RequestMalformed(
        "a title is 1 to 128 characters of ASCII, and a level a lower-case word",
        hint="for example: federation incident open 'Someplace attack' --level incident",
    )


async def _post(
    config_path: Path, path: str, asked: OpenIncident | ChangeIncident
) -> IncidentAnswer:
    async with NodeClient.of(config_path) as node:
        return await node.post(path, asked, IncidentAnswer)


async def _get(config_path: Path) -> IncidentsAnswer:
    async with NodeClient.of(config_path) as node:
        return await node.get("/v1/incidents", IncidentsAnswer)


def _told(incident: IncidentAnswer, done: str) -> Answer:
    return Answer(incident.model_dump(), (f"{incident.id}  {plain(incident.title)}: {done}",))


def _time(at_ms: int) -> str:
    try:
        return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return "at no time of this calendar"
