"""The calls about remembered uploads: how many there are, and letting go of them."""

from __future__ import annotations

from aiohttp import web

from federation.daemon.node import Node
from federation.daemon.retroactive import Retroactive
from federation.errors import RequestMalformed
from federation.local_errors.askers import RememberingOff
from federation.web.routes import Call
from federation.web.uploads_schemas import ForgetAnswer, ForgetRequest, UploadsAnswer
from federation.web.verdicts import check_reference


class UploadsApi:
    """Answers for one node.

    Args:
        node: the running node.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def calls(self) -> list[Call]:
        """Every call, as routed, validated and described."""
        return [
            Call("GET", "/v1/uploads", "how much is remembered of recent uploads", UploadsAnswer,
                 self.uploads),
            Call("POST", "/v1/uploads/forget", "erase remembered uploads, by reference or by age",
                 ForgetAnswer, self.forget, body=ForgetRequest),
        ]  # fmt: skip

    async def uploads(self, _request: web.Request, _body: None) -> UploadsAnswer:
        """What is remembered."""
        ring = self._retroactive().ring
        oldest = ring.oldest_seconds()
        return UploadsAnswer(
            signals=len(ring),
            signals_max=ring.capacity,
            oldest_at_ms=None if oldest is None else oldest * 1000,
        )

    async def forget(self, _request: web.Request, body: ForgetRequest) -> ForgetAnswer:
        """Erase.

        Raises:
            RequestMalformed: neither references nor a time, or one that is no reference.
        """
        retroactive = self._retroactive()
        if not body.references and body.before_ms is None:
            raise RequestMalformed("name references, or a time before which all are erased")
        for reference in body.references:
            check_reference(reference)
        erased = retroactive.forget(body.references)
        if body.before_ms is not None:
            erased += retroactive.ring.erase_before(body.before_ms // 1000)
        return ForgetAnswer(signals=erased)

    def _retroactive(self) -> Retroactive:
        found = self._node.platform.retroactive
        if found is None:
            raise RememberingOff("this node remembers no uploads")
        return found
