"""``POST /v1/match``: what an upload pipeline asks, thousands of times a second.

The answerer knows nothing of publishing, peers or disks but for reading: the node answers with it,
and so does each process that answers beside it over the same index.
"""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from federation.config import NodeConfig
from federation.daemon.enforcer import Enforcer
from federation.daemon.incidents import Incidents
from federation.daemon.matcher import Matcher
from federation.daemon.sightings import Sightings
from federation.matching.decisions import MISS
from federation.web import match_schemas
from federation.web.misses import MissAnswer
from federation.web.routes import Call
from federation.web.verdicts import check_reference, read_signal, result_of, thresholds_of


class MatchRooms(Protocol):
    """What matching needs: of the node itself, or of a process beside it.

    Attributes:
        config: the node's settings.
        matcher: what the federation says.
        enforcer: what this platform does about it.
        sightings: where what was seen is left.
        incidents: the crises that are known.
    """

    @property
    def config(self) -> NodeConfig:
        """The node's settings."""

    @property
    def matcher(self) -> Matcher:
        """What the federation says."""

    @property
    def enforcer(self) -> Enforcer:
        """What this platform does about it."""

    @property
    def sightings(self) -> Sightings:
        """Where what was seen is left."""

    @property
    def incidents(self) -> Incidents:
        """The crises that are known."""


class MatchApi:
    """Answers matches.

    Args:
        rooms: what they are answered from.
    """

    def __init__(self, rooms: MatchRooms) -> None:
        self._rooms = rooms
        self._misses = MissAnswer(self.nothing().model_dump(mode="json"))

    def calls(self) -> list[Call]:
        """The call, as routed, validated and described."""
        return [
            Call(
                "POST",
                "/v1/match",
                "what is known about uploaded content",
                match_schemas.MatchAnswer,
                self.match,
                body=match_schemas.MatchRequest,
                once_filled=True,
            )
        ]

    def nothing(self) -> match_schemas.MatchAnswer:
        """The whole answer to one signal that nothing known is near to, whatever the signal."""
        return match_schemas.MatchAnswer(results=[result_of((), MISS)])

    async def match(
        self, _request: web.Request, body: match_schemas.MatchRequest
    ) -> match_schemas.MatchAnswer | web.Response:
        """Answer what is in force near each signal."""
        check_reference(body.reference)
        signals = [read_signal(signal.type, signal.value) for signal in body.signals]
        wanted = thresholds_of(
            body.distance_max,
            body.video,
            body.tlsh_distance_max,
            default=self._rooms.config.matching.distance_max,
        )
        found = await self._rooms.matcher.match(signals, wanted)
        # Before anything is answered: an upload that nothing is near to yet is remembered too.
        self._rooms.sightings.keep(body.reference, signals, found)
        if not any(found):
            return web.Response(body=self._misses.to(len(signals)), content_type="application/json")
        enforcer = self._rooms.enforcer
        return match_schemas.MatchAnswer(
            results=[
                result_of(matches, enforcer.decide(signal, matches), self._rooms.incidents.state)
                for signal, matches in zip(signals, found, strict=True)
            ]
        )
