"""Evidence, and recovering this node's own history, over the local API."""

from __future__ import annotations

from aiohttp import web

from federation.daemon.node import Node
from federation.errors import FederationError, RequestMalformed
from federation.local_errors.askers import NotFound
from federation.protocol.origins import parse_origin
from federation.provenance.convicting import open_evidence
from federation.web.history_schemas import (
    BranchSeen,
    EvidenceAnswer,
    EvidenceSeen,
    OwnLogAnswer,
    PeerHeadAnswer,
    RecoverAnswer,
    RecoveredAnswer,
    RecoverRequest,
    ShownAnswer,
    StopAnswer,
)
from federation.web.routes import Call

ID_CHARACTERS_MIN = 8
"""Of an id, as people shorten it."""


class HistoryApi:
    """Answers about histories for one node.

    Args:
        node: the running node.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def calls(self) -> list[Call]:
        """Every call, as routed, validated and described."""
        return [
            Call("GET", "/v1/evidence", "who signed two histories, as far as this node knows",
                 EvidenceAnswer, self.evidence),
            Call("GET", "/v1/evidence/{id}", "the evidence file, to be judged offline",
                 None, self.file),
            Call("GET", "/v1/recover", "how far this node's own logs go: here, signed, at peers",
                 RecoverAnswer, self.recover),
            Call("POST", "/v1/recover", "take a suffix back in, or sign again",
                 RecoveredAnswer, self.decide, body=RecoverRequest),
        ]  # fmt: skip

    async def evidence(self, _request: web.Request, _body: None) -> EvidenceAnswer:
        """All of it."""
        verifier, seen = self._node.membership.verifier, []
        for kept in await self._node.stores.evidence.all():
            try:
                said = open_evidence(kept.encoded, verifier.roster, verifier.check_signature)
            except FederationError:
                continue  # of a log that this roster does not hold
            seen.append(
                EvidenceSeen(
                    id=kept.id.hex(),
                    log=kept.log.origin,
                    member=kept.log.member,
                    sentence=said.sentence,
                    seen_at_ms=kept.seen_at_ms,
                )
            )
        cases = self._node.replicator.engine.forks.cases
        branches = [
            BranchSeen(
                log=log.origin,
                branch=number,
                held=view.size,
                size=view.head.size if view.head else view.size,
                is_whole=view.is_complete,
            )
            for log in sorted(cases.convictions, key=str)
            for number, view in sorted(cases.views(log).items())
        ]
        return EvidenceAnswer(evidence=seen, branches=branches)

    async def file(self, request: web.Request, _body: None) -> web.Response:
        """One file, verbatim.

        Raises:
            NotFound: no piece of evidence begins with that id.
        """
        wanted = request.match_info["id"]
        for kept in await self._node.stores.evidence.all():
            if kept.id.hex().startswith(wanted) and len(wanted) >= ID_CHARACTERS_MIN:
                return web.Response(body=kept.encoded, content_type="application/json")
        raise NotFound(
            "this node holds no evidence of that id", hint="see federation evidence list"
        )

    async def recover(self, _request: web.Request, _body: None) -> RecoverAnswer:
        """Everything that a person needs to decide."""
        recovery = self._node.recovery
        logs = [
            OwnLogAnswer(
                log=each.log.origin,
                lane=each.log.lane.value,
                held=each.held,
                signed=each.signed[0] if each.signed else None,
                signed_at_seconds=each.signed[1] if each.signed else None,
                peers=[
                    PeerHeadAnswer(
                        member=peer.member,
                        relation=peer.relation.value,
                        size=peer.head.size if peer.head else None,
                        root=peer.head.root_hash.hex() if peer.head else None,
                        reason=peer.reason,
                    )
                    for peer in each.peers
                ],
                suffix=[
                    ShownAnswer(
                        index=shown.index,
                        id=shown.id,
                        kind=shown.kind,
                        claimed_at_ms=shown.claimed_at_ms,
                        references=list(shown.references),
                    )
                    for shown in each.suffix
                ],
            )
            for each in await recovery.report()
        ]
        stops = [
            StopAnswer(
                log=stop.log.origin,
                code=stop.code,
                text=stop.text,
                peer=stop.peer,
                at_seconds=stop.at_seconds,
            )
            for stop in recovery.guard.stops.values()
        ]
        return RecoverAnswer(may_sign=recovery.guard.may_sign, stops=stops, logs=logs)

    async def decide(self, _request: web.Request, body: RecoverRequest) -> RecoveredAnswer:
        """Do what a person decided.

        Raises:
            RequestMalformed: adopt, without a log.
        """
        recovery, adopted = self._node.recovery, 0
        if body.action == "adopt":
            if body.log is None:
                raise RequestMalformed("adopt what? name the log")
            adopted = await recovery.adopt(parse_origin(body.log))
        else:
            await recovery.go_on()
        return RecoveredAnswer(adopted=adopted, may_sign=recovery.guard.may_sign)
