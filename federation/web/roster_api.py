"""The local API's answers about the roster: for the operator and for governance.

A governor's machine needs no network: what is written here is carried there as a proposal.
"""

from __future__ import annotations

import time

from aiohttp import web

from federation.daemon.node import Node
from federation.daemon.pin_choice import PinChoice, choose_pins
from federation.errors import TooLarge
from federation.local_errors.askers import NotFound
from federation.protocol.limits import ROSTER_BYTES_MAX
from federation.protocol.roster import parse_roster
from federation.web import schemas
from federation.web.roster_schemas import (
    PinAnswer,
    PinReceipt,
    PinsAnswer,
    PinsQuery,
    RosterForksAnswer,
    RosterPinRequest,
    RosterSide,
)
from federation.web.routes import Call


class RosterApi:
    """Answers for one node.

    Args:
        node: the running node.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def calls(self) -> list[Call]:
        """Every call, as routed, validated and described."""
        s = schemas
        return [
            Call("POST", "/v1/roster", "take the next roster version (its file as the body)",
                 s.RosterAnswer, self.adopt),
            Call("GET", "/v1/roster/{version}", "a roster version, verbatim", None, self.version,
                 while_starting=True),
            Call("GET", "/v1/roster-forks", "two rosters of one version, to be settled by the "
                 "operator", RosterForksAnswer, self.forks),
            Call("POST", "/v1/roster-pin", "say which of two rosters of one version stands",
                 s.RosterAnswer, self.pin, body=RosterPinRequest),
            Call("GET", "/v1/members/{member}/pins", "where its logs could end, and what would no "
                 "longer count", PinsAnswer, self.pins, query=PinsQuery),
        ]  # fmt: skip

    async def adopt(self, request: web.Request, _body: None) -> schemas.RosterAnswer:
        """Take the next roster version.

        Raises:
            TooLarge: over the limit of a roster, or of no announced length.
        """
        if request.content_length is None or request.content_length > ROSTER_BYTES_MAX:
            raise TooLarge(f"a roster has at most {ROSTER_BYTES_MAX} bytes, and says how many")
        now_ms = time.time_ns() // 1_000_000
        adopted = await self._node.membership.adopt(await request.read(), now_ms=now_ms)
        return schemas.RosterAnswer(version=adopted.version)

    async def version(self, request: web.Request, _body: None) -> web.Response:
        """A version of the chain that this node follows.

        Raises:
            NotFound: it has no such version.
        """
        versions = self._node.membership.chain.versions
        text = request.match_info["version"]
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 8 else 0  # noqa: PLR2004
        if not 1 <= number <= len(versions):
            raise NotFound(f"this node has versions 1 to {len(versions)} of the roster")
        return web.Response(body=versions[number - 1], content_type="application/json")

    async def forks(self, _request: web.Request, _body: None) -> RosterForksAnswer:
        """Every file of a version of which there are several, the one that is held first."""
        membership = self._node.membership
        forks = []
        for version in sorted({each.version for each in membership.rivals}):
            held = parse_roster(membership.chain.versions[version - 1])
            rivals = [each for each in membership.rivals if each.version == version]
            forks += [
                RosterSide(
                    version=version,
                    decision=each.decision_sha256.hex(),
                    is_held=each is held,
                    root=each.root_bytes.decode("ascii"),
                )
                for each in (held, *rivals)
            ]
        return RosterForksAnswer(sides=forks)

    async def pin(self, _request: web.Request, body: RosterPinRequest) -> schemas.RosterAnswer:
        """Settle a fork of the roster.

        Raises:
            NotFound: there is no such decision here.
        """
        stands = await self._node.membership.pin(body.version, bytes.fromhex(body.decision))
        return schemas.RosterAnswer(version=stands.version)

    async def pins(self, request: web.Request, query: PinsQuery) -> PinsAnswer:
        """A pin for each open log of a member."""
        member = request.match_info["member"]
        node = self._node
        choices = await choose_pins(node.stores, node.membership, member, query.before)
        return PinsAnswer(member=member, pins=[_pin(each) for each in choices])


def _pin(choice: PinChoice) -> PinAnswer:
    return PinAnswer(
        log=choice.log.origin,
        lane=choice.log.lane.value,
        epoch=choice.log.epoch,
        size=choice.pin.size,
        root=choice.pin.root_hash.hex(),
        held=choice.held,
        receipts=[
            PinReceipt(member=member, at_seconds=at_seconds)
            for member, at_seconds in sorted(choice.witnesses.items())
        ],
        falls=dict(choice.falls),
        undone=[str(each) for each in choice.undone],
        erased=[str(each) for each in choice.erased],
    )
