"""The local API about proofs: bundles, and this member's word on what is in force."""

from __future__ import annotations

from aiohttp import web

from federation.daemon.convictor import Convictor
from federation.daemon.node import Node
from federation.errors import RequestMalformed
from federation.protocol.headers import parse_statement_id
from federation.web import proof_schemas
from federation.web.routes import Call
from federation.web.verdicts import read_signal


class ProofApi:
    """Answers for one node.

    Args:
        node: the running node.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def calls(self) -> list[Call]:
        """Every call, as routed, validated and described."""
        s = proof_schemas
        return [
            Call("GET", "/v1/statements/{id}/bundle", "its provenance bundle, for an auditor",
                 None, self.bundle, query=s.BundleQuery),
            Call("POST", "/v1/convict", "the file that convicts the signer of an attestation that "
                 "left out a withdraw", None, self.convict, body=s.ConvictRequest),
            Call("POST", "/v1/attest", "this member's signed word on what is in force",
                 None, self.attest, body=s.AttestRequest, media_type="text/plain"),
        ]  # fmt: skip

    async def bundle(self, request: web.Request, query: proof_schemas.BundleQuery) -> web.Response:
        """A provenance bundle, verbatim.

        Raises:
            FederationError: see :meth:`federation.daemon.prover.Prover.bundle`.
        """
        made = await self._node.prover.bundle(
            parse_statement_id(request.match_info["id"]),
            with_chain=query.roster == "chain",
            in_force=query.in_force,
            second_lines=query.second_lines,
        )
        return web.Response(body=made, content_type="application/json")

    async def convict(
        self, _request: web.Request, body: proof_schemas.ConvictRequest
    ) -> web.Response:
        """A conviction, verbatim.

        Raises:
            FederationError: see :meth:`federation.daemon.convictor.Convictor.convict`.
        """
        convictor = Convictor(self._node.stores, self._node.membership)
        made = await convictor.convict(body.attestation)
        return web.Response(body=made, content_type="application/json")

    async def attest(
        self, _request: web.Request, body: proof_schemas.AttestRequest
    ) -> web.Response:
        """This member's status attestation, verbatim.

        Raises:
            RequestMalformed: about neither a statement nor a signal, or about both.
            AttestationNotGiven: this node's word would be worth nothing now.
        """
        if (body.statement is None) == (body.signal is None):
            raise RequestMalformed("ask about one statement or one signal")
        about = body.statement or ""
        if body.signal is not None:
            signal = read_signal(body.signal.type, body.signal.value)
            about = f"{signal.type} {signal.identity.hex()}"
        note = await self._node.attester.attest(about)
        return web.Response(body=note, content_type="text/plain", charset="utf-8")
