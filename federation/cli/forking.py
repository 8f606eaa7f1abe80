"""What ``roster forks`` and ``roster pin`` do: two rosters of one version, and a person's word."""

from __future__ import annotations

import asyncio
from pathlib import Path

from federation.cli.answers import Answer
from federation.cli.client import NodeClient
from federation.cli.exits import ExitCode
from federation.errors import RequestMalformed
from federation.protocol.roster import parse_roster
from federation.protocol.roster_changes import describe_changes
from federation.web.roster_schemas import RosterForksAnswer, RosterPinRequest
from federation.web.schemas import RosterAnswer


def forks(config_path: Path) -> Answer:
    """Every version of which a node holds several, and how they differ.

    Raises:
        FederationError: the node does not answer.
    """
    answer = asyncio.run(_ask(config_path))
    fields = {"sides": [each.model_dump() for each in answer.sides]}
    if not answer.sides:
        return Answer(fields, ("there is one roster of each version",))
    lines: list[str] = []
    for held in (each for each in answer.sides if each.is_held):
        before = parse_roster(held.root.encode("ascii"))
        lines.append(f"version {held.version} {held.decision} is in force here")
        for rival in answer.sides:
            if rival.version == held.version and not rival.is_held:
                lines.append(f"version {rival.version} {rival.decision} was signed as well:")
                after = parse_roster(rival.root.encode("ascii"))
                lines += [f"  {line}" for line in describe_changes(before, after)]
    talk = ("next: talk to the governors, then federation roster pin VERSION DECISION",)
    return Answer(fields, tuple(lines), exit_code=ExitCode.NO, talk=talk)


def pin(config_path: Path, version: int, decision: str) -> Answer:
    """Say which of two rosters stands.

    Raises:
        FederationError: the node holds no such decision, or does not answer.
    """
    try:
        request = RosterPinRequest(version=version, decision=decision)
    except ValueError:
        raise RequestMalformed("a decision is 64 lower-case hex digits") from None
    stands = asyncio.run(_settle(config_path, request))
    fields = {"version": version, "decision": decision, "in_force": stands.version}
    return Answer(fields, (f"version {version} {decision} stands at this node",))


async def _ask(config_path: Path) -> RosterForksAnswer:
    async with NodeClient.of(config_path) as node:
        return await node.get("/v1/roster-forks", RosterForksAnswer)


async def _settle(config_path: Path, request: RosterPinRequest) -> RosterAnswer:
    async with NodeClient.of(config_path) as node:
        return await node.post("/v1/roster-pin", request, RosterAnswer)
