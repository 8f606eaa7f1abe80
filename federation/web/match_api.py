"""``POST /v1/match``: what an upload pipeline asks, thousands of times a second.

The answerer knows nothing of publishing, peers or disks but for reading: the node answers with it,
and so does each process that answers beside it over the same index.
"""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from federation.config import NodeConfig
from federation.daemon.decider import Decider
from federation.daemon.incidents import Incidents
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
        decider: what the federation says, and what this platform does about it.
        sightings: where what was seen is left.
        incidents: the crises that are known.
    """

    @property
    def config(self) -> NodeConfig:
        """The node's settings."""

    @property
    def decider(self) -> Decider:
        """What the federation says, and what this platform does about it."""

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
        is_one = body.one_content or body.reference is not None
        decided = await self._rooms.decider.decide(signals, wanted, is_one_content=is_one)
        found = [each.matches for each in decided]
        # Before anything is answered: an upload that nothing is near to yet is remembered too.
        self._rooms.sightings.keep(body.reference, signals, found)
        if all(each.decision is MISS for each in decided):
            return web.Response(body=self._misses.to(len(signals)), content_type="application/json")
        return match_schemas.MatchAnswer(
            results=[
                result_of(each.matches, each.decision, self._rooms.incidents.state)
                for each in decided
            ]
        )
