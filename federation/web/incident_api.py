"""The local API's calls about incidents."""

from __future__ import annotations

from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from federation.daemon.node import Node
from federation.protocol.headers import parse_statement_id
from federation.protocol.limits_content import ITEM_CHARACTERS_MAX, REASON_CHARACTERS_MAX
from federation.provenance.incidents import IncidentState
from federation.web.routes import Call
from federation.web.schemas import StatementIdText

_LEVEL = "incident, content-incident, content-incident-protocol, or a word of your own"
_Level = Annotated[
    str,
    Field(max_length=REASON_CHARACTERS_MAX, pattern=r"^[a-z][a-z0-9-]*$", description=_LEVEL),
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class OpenIncident(_Model):
    """A crisis to open."""

    title: Annotated[
        str,
        Field(
            min_length=1,
            max_length=ITEM_CHARACTERS_MAX,
            pattern=r"^[ -~]+$",
            description="what it is called, in ASCII; every member sees it",
        ),
    ]
    level: _Level = "incident"


class ChangeIncident(_Model):
    """What an incident is now."""

    level: _Level | None = None
    close: bool = False


class IncidentAnswer(_Model):
    """An incident as it stands."""

    id: StatementIdText
    member: str
    title: str
    level: str
    is_open: bool
    opened_at_ms: int
    changed_at_ms: int
    closed_at_ms: int | None


class IncidentsAnswer(_Model):
    """Every incident known here, those that are open first."""

    incidents: list[IncidentAnswer]


def answer_of(state: IncidentState) -> IncidentAnswer:
    """An incident, as it is told."""
    return IncidentAnswer(
        id=str(state.id),
        member=state.member,
        title=state.title,
        level=state.level,
        is_open=state.is_open,
        opened_at_ms=state.opened_at_ms,
        changed_at_ms=state.changed_at_ms,
        closed_at_ms=state.closed_at_ms,
    )


class IncidentApi:
    """Answers for one node.

    Args:
        node: the running node.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def calls(self) -> list[Call]:
        """Its calls."""
        return [
            Call("GET", "/v1/incidents", "every incident, those that are open first",
                 IncidentsAnswer, self.list),
            Call("POST", "/v1/incidents", "open an incident", IncidentAnswer, self.open,
                 body=OpenIncident),
            Call("POST", "/v1/incidents/{id}", "change the level of one of this company's own, or "
                 "close it", IncidentAnswer, self.change, body=ChangeIncident),
        ]  # fmt: skip

    async def list(self, _request: web.Request, _body: None) -> IncidentsAnswer:
        """Every incident."""
        return IncidentsAnswer(incidents=[answer_of(each) for each in self._node.incidents.all()])

    async def open(self, _request: web.Request, body: OpenIncident) -> IncidentAnswer:
        """Open one."""
        return answer_of(await self._node.incidents.open(body.title, body.level))

    async def change(self, request: web.Request, body: ChangeIncident) -> IncidentAnswer:
        """Change or close one."""
        incident = parse_statement_id(request.match_info["id"])
        state = await self._node.incidents.change(incident, body.level, closes=body.close)
        return answer_of(state)
