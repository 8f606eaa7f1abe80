"""The local API's answers about the roster: for the operator and for governance.

A governor's machine needs no network: what is written here is carried there as a proposal.
"""

from __future__ import annotations

from aiohttp import web

from federation.daemon.node import Node
from federation.daemon.pin_choice import PinChoice, choose_pins
from federation.errors import TooLarge
from federation.local_errors import NotFound
from federation.protocol.limits import ROSTER_BYTES_MAX
from federation.web import schemas
from federation.web.roster_schemas import PinAnswer, PinReceipt, PinsAnswer, PinsQuery
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
        adopted = await self._node.membership.adopt(await request.read())
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
