"""The local API's answers: from a validated request to the node and back.

For the company's moderation system and its operators; what its upload pipeline asks is answered in
``match_api`` and ``file_api``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from federation import __version__
from federation.daemon.node import Node
from federation.daemon.standing import catching_up, log_standings, standing_of
from federation.errors import RequestMalformed
from federation.local_errors.askers import StatementNotFound
from federation.protocol.bodies import About, Confirm, Dispute, Endorse, Erase, Inert, Withdraw
from federation.protocol.headers import parse_statement_id
from federation.protocol.origins import Cosigner, Lane
from federation.protocol.origins_local import parse_lane
from federation.provenance.reading import body_of
from federation.provenance.verifier import VerifiedStatement
from federation.provenance.view import Opinion
from federation.web import schemas
from federation.web.confirming import confirm_of
from federation.web.routes import Call


class LocalApi:
    """Answers for one node.

    Args:
        node: the running node.

    Attributes:
        is_ready: whether it serves.
        workers_answering: how many processes answer matches now, the node among them.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self.is_ready = False
        self.workers_answering: Callable[[], int] = lambda: 1

    def calls(self) -> list[Call]:
        """Every call, as routed, validated and described."""
        one = "/v1/statements/{id}"
        s = schemas
        return [
            Call("POST", "/v1/statements", "confirm; withdraw, endorse, dispute, erase",
                 s.PublishAnswer, self.publish, body=s.PublishRequest),
            Call("GET", one, "one statement as stored here", s.StatementAnswer, self.statement),
            Call("GET", "/v1/peers", "how every peer stands", s.PeersAnswer, self.peers,
                 while_starting=True),
            Call("GET", "/v1/status", "how this node stands", s.StatusAnswer, self.status,
                 while_starting=True),
            Call("GET", "/healthz", "whether the process lives", s.HealthAnswer, self.healthz,
                 is_open=True),
            Call("GET", "/readyz", "whether it serves (503 until it does)", s.HealthAnswer,
                 self.readyz, is_open=True),
        ]  # fmt: skip

    # --- statements -----------------------------------------------------------------------------

    async def publish(
        self, _request: web.Request, body: schemas.PublishRequest
    ) -> schemas.PublishAnswer:
        """Publish confirms, then what is said about statements.

        Raises:
            RequestMalformed: it holds nothing to say.
        """
        about: dict[type[About], list[schemas.AboutRequest]] = {
            Withdraw: body.withdraw,
            Endorse: body.endorse,
            Dispute: body.dispute,
            Erase: body.erase,
        }
        if not body.confirm and not any(about.values()):
            raise RequestMalformed("nothing to publish: give confirm, withdraw or another kind")
        lane = parse_lane(body.lane)
        confirms = [confirm_of(confirm) for confirm in body.confirm]
        confirmed = [
            schemas.Published(id=str(each.id), log=each.log.origin, index=each.index)
            for each in await self._say_confirms(lane, confirms)
        ]
        said = {made: await self._say_about(made, asked) for made, asked in about.items()}
        return schemas.PublishAnswer(
            confirmed=confirmed,
            withdrawn=said[Withdraw],
            endorsed=said[Endorse],
            disputed=said[Dispute],
            erased=said[Erase],
        )

    async def _say_confirms(
        self, lane: Lane, confirms: Sequence[Confirm]
    ) -> list[VerifiedStatement]:
        """Publish confirms, in their order; what belongs to an open incident in the crisis lane."""
        is_urgent = [self._node.incidents.is_open(each.incident) for each in confirms]
        said: dict[int, VerifiedStatement] = {}
        for chosen, urgent in ((Lane.CRISIS, True), (lane, False)):
            places = [at for at, each in enumerate(is_urgent) if each is urgent]
            if places:
                published = await self._node.publisher.confirm(
                    chosen, [confirms[at] for at in places]
                )
                said.update(zip(places, published, strict=True))
        return [said[at] for at in range(len(confirms))]

    async def _say_about(
        self, made: type[About], asked: Sequence[schemas.AboutRequest]
    ) -> list[schemas.SaidAbout]:
        said = []
        for each in asked:
            target = parse_statement_id(each.statement)
            statement_id = await self._node.publisher.say_about(target, made(each.reason))
            said.append(schemas.SaidAbout(id=str(statement_id), statement=str(target)))
        return said

    async def _standing(self, verified: VerifiedStatement, opinion: Opinion | None) -> str:
        if verified.statement.opening is None:
            erasures = self._node.stores.erasures
            is_missing = await erasures.is_missing(verified.log, verified.index)
            return "missing" if is_missing else "erased"
        if opinion is not None:
            return opinion.standing.value
        return "inert" if isinstance(body_of(verified), Inert) else "none"

    async def statement(self, request: web.Request, _body: None) -> schemas.StatementAnswer:
        """One statement, without its signals.

        Raises:
            StatementNotFound: it is not held here.
        """
        statement_id = parse_statement_id(request.match_info["id"])
        told = await self._node.matcher.statement(statement_id)
        if told is None:
            raise StatementNotFound(f"this node holds no statement {statement_id}")
        verified, opinion = told
        body = body_of(verified)
        confirm = body if isinstance(body, Confirm) else None
        word = await self._standing(verified, opinion)
        holders = [
            each
            for each in await self._node.stores.public.holdings(verified.log, verified.index)
            if each.cosigner is Cosigner.MIRROR
        ]
        return schemas.StatementAnswer.model_validate(
            {
                "id": str(verified.id),
                "member": verified.header.member,
                "kind": verified.header.kind,
                "log": verified.log.origin,
                "index": verified.index,
                "claimed_at_ms": verified.header.claimed_at_ms,
                "references": [str(reference) for reference in verified.header.references],
                "standing": word,
                "endorsed_by": list(opinion.endorsed_by) if opinion else [],
                "disputed_by": list(opinion.disputed_by) if opinion else [],
                "over_quota": await self._node.stores.quotas.marks_of(verified.log, verified.index),
                "labels": list(confirm.labels) if confirm else [],
                "signal_types": sorted({s.type.value for s in confirm.signals}) if confirm else [],
                "receipts": [
                    {
                        "member": kept.member,
                        "size": kept.size,
                        "at_seconds": kept.at_seconds,
                        "newest_size": kept.newest_size,
                    }
                    for kept in holders
                ],
            }
        )

    # --- how the node stands --------------------------------------------------------------------

    async def peers(self, _request: web.Request, _body: None) -> schemas.PeersAnswer:
        """Every peer."""
        marked = await self._node.stores.quotas.counts()
        peers = [
            {
                "member": peer.member,
                "urls": list(peer.urls),
                "link": peer.link,
                "last_contact_seconds": peer.last_contact_seconds,
                "failures": peer.failures,
                "faults": peer.faults,
                "unserved": peer.unserved,
                "waits": peer.waits,
                "unjudged": peer.unjudged,
                "repeats": peer.repeats,
                "last_error": peer.last_error,
                "quotas": self._quotas(peer.member, marked),
                "logs": [
                    {
                        "log": each.log.origin,
                        "member": each.log.member,
                        "lane": each.log.lane.value,
                        "here": each.here,
                        "there": each.there,
                        "behind_here": each.behind_here,
                        "behind_there": each.behind_there,
                        "receipt_size": each.receipt_size,
                        "unsigned": each.unsigned,
                    }
                    for each in peer.logs
                ],
            }
            for peer in await self._node.peer_standings()
        ]
        return schemas.PeersAnswer.model_validate({"peers": peers, "listener": self._listener()})

    def _quotas(self, member: str, marked: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
        use, usual = self._node.quotas.use_of(member), self._node.config.quotas
        return {
            "statements_day": use.statements_day,
            "statements_day_usual": usual.statements_day,
            "crisis_hour": use.crisis_hour,
            "crisis_hour_usual": usual.crisis_hour,
            "marked": dict(marked.get(member, {})),
        }

    def _listener(self) -> dict[str, Any]:
        """What came to the peer listener, and whom it turned away."""
        listener, roster = self._node.listener, self._node.membership.roster
        seen = listener.counters
        return {
            "connections": listener.connections().total(),
            "handshakes_refused": seen.handshakes_refused,
            "handshakes_timed_out": seen.handshakes_timed_out,
            "connections_refused_busy": seen.connections_refused_busy,
            "requests_malformed": seen.requests_malformed,
            "requests_refused": dict(sorted(seen.requests_refused.items())),
            "answers_abandoned": seen.answers_abandoned,
            "members": [
                {
                    "member": member,
                    "standing": standing_of(roster, member),
                    "refused": dict(sorted(seen.refused_of.get(member, {}).items())),
                    "abandoned": seen.abandoned_of[member],
                }
                for member in sorted({*seen.refused_of, *seen.abandoned_of})
            ],
        }

    async def status(self, _request: web.Request, _body: None) -> schemas.StatusAnswer:
        """This node."""
        roster, replicator = self._node.membership.roster, self._node.replicator
        return schemas.StatusAnswer(
            member=self._node.config.member,
            federation=roster.federation_id,
            version=__version__,
            roster_version=roster.version,
            roster_expires_at_ms=roster.expires_at_ms,
            governors=len(roster.governors),
            threshold=roster.threshold,
            signals=self._node.matcher.signals_held(),
            workers=self.workers_answering(),
            missing=replicator.engine.missing_count(),
            catching_up=self._catching_up(),
            logs=[
                schemas.LogAnswer(
                    log=each.log.origin,
                    member=each.log.member,
                    lane=each.log.lane.value,
                    held=each.held,
                    known=each.known,
                    last_served_seconds=each.last_served_seconds,
                    is_served=each.is_served,
                )
                for each in log_standings(replicator.engine, time.monotonic())
            ],
            alarms=[
                schemas.AlarmAnswer(code=code, text=text)
                for code, text in (
                    *await self._node.outside.alarms(),
                    *self._node.platform.alarms(),
                    *self._node.roster_changes.watch.alarms(),
                    *self._node.peer_side.alarms(),
                    *self._node.guard.alarms(),
                    *((alarm.code, alarm.text) for alarm in replicator.alarms),
                )
            ],
        )

    def _catching_up(self) -> schemas.CatchingUpAnswer:
        state = catching_up(self._node.replicator.engine, self._node.pace, time.monotonic())
        return schemas.CatchingUpAnswer(
            lacking=state.lacking,
            unserved=state.unserved,
            per_second=round(state.per_second, 1),
            seconds_left=state.seconds_left,
        )

    async def healthz(self, _request: web.Request, _body: None) -> schemas.HealthAnswer:
        """The process lives."""
        return schemas.HealthAnswer(status="ok")

    async def readyz(
        self, _request: web.Request, _body: None
    ) -> schemas.HealthAnswer | web.Response:
        """The node serves."""
        if self.is_ready:
            return schemas.HealthAnswer(status="ok")
        starting = schemas.HealthAnswer(status="starting")
        return web.Response(
            status=503, body=starting.model_dump_json(), content_type="application/json"
        )
