"""The local API about stories: ``POST /v1/trace``."""

from __future__ import annotations

import time

from aiohttp import web

from federation.daemon.node import Node
from federation.daemon.tracer import Tracer
from federation.errors import RequestMalformed
from federation.protocol.headers import parse_statement_id
from federation.provenance.trace import Answer, Event, answer_at, events_of
from federation.web import trace_schemas as schemas
from federation.web.routes import Call
from federation.web.verdicts import read_signal


class TraceApi:
    """Answers for one node.

    Args:
        node: the running node.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def calls(self) -> list[Call]:
        """Every call, as routed, validated and described."""
        return [
            Call("POST", "/v1/trace", "the story of a statement or signal, and what stood when",
                 schemas.TraceAnswer, self.trace, body=schemas.TraceRequest),
        ]  # fmt: skip

    async def trace(self, _request: web.Request, body: schemas.TraceRequest) -> schemas.TraceAnswer:
        """The story; nothing about the question is kept.

        Raises:
            RequestMalformed: about neither a statement nor a signal, or about both.
            StatementNotFound: this node holds no such statement.
        """
        tracer = Tracer(self._node.stores, self._node.membership)
        if body.statement is not None and body.signal is None:
            story = await tracer.of_statement(parse_statement_id(body.statement))
        elif body.signal is not None and body.statement is None:
            signal = read_signal(body.signal.type, body.signal.value)
            story = await tracer.of_signal(signal.type, signal.identity)
        else:
            raise RequestMalformed("a story is of one statement or of one signal")
        at_ms = time.time_ns() // 1_000_000 if body.at_ms is None else body.at_ms
        moment = answer_at(story.traced, story.rulings, at_ms)
        return schemas.TraceAnswer(
            events=[_event(each) for each in events_of(story.traced, story.rulings)],
            roster=[
                schemas.RosterChangeAnswer(version=each.version, changes=list(each.changes))
                for each in story.roster
            ],
            at=_moment(moment),
        )


def _event(event: Event) -> schemas.EventAnswer:
    return schemas.EventAnswer(
        id=str(event.id),
        at_ms=event.at_ms,
        member=event.member,
        kind=event.kind,
        about=[str(each) for each in event.about],
        words=event.words,
        standing=event.standing,
        erased=event.is_erased,
        held_by=[
            schemas.HolderAnswer(member=each.member, since_seconds=each.since_seconds)
            for each in event.holders
        ],
    )


def _moment(moment: Answer) -> schemas.MomentAnswer:
    return schemas.MomentAnswer(
        at_ms=moment.at_ms,
        was_active=moment.was_active,
        on_the_word_of=[
            schemas.VoiceAnswer(
                id=str(each.id),
                member=each.member,
                labels=list(each.labels),
                endorsed_by=list(each.endorsed_by),
                disputed_by=list(each.disputed_by),
            )
            for each in moment.voices
        ],
        since=[str(each.id) for each in moment.since],
        words=list(moment.words),
    )
