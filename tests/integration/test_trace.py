"""Stories told by real nodes: over three members, by id and by signal, as text, JSON and a page."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from federation.cli.exits import ExitCode
from federation.cli.trace_page import page_of
from federation.cli.tracing import parse_time, trace
from federation.daemon.node import Node
from federation.daemon.tracer import Tracer
from federation.errors import RequestMalformed
from federation.local_errors.askers import StatementNotFound
from federation.protocol.bodies import Dispute, Endorse, Erase
from federation.protocol.headers import StatementId
from federation.protocol.origins import Lane
from federation.protocol.signals_local import format_value
from federation.provenance.trace import answer_at, events_of
from federation.web.app import LocalServer
from federation.web.trace_schemas import TraceAnswer
from tests.builders import make_confirm, make_signal
from tests.integration.conftest import Found, until
from tests.integration.test_publish_crash import open_node

A, B, C = "a.example", "b.example", "c.example"


async def until_has(node: Node, *statement_ids: StatementId) -> None:
    """Wait until a node holds these statements."""

    async def has_all() -> bool:
        held = [await node.stores.logs.statement(each) for each in statement_ids]
        return all(each is not None for each in held)

    await until(has_all)


async def test_a_signals_story_over_three_members(found: Found) -> None:
    founded = found([A, B, C])
    async with AsyncExitStack() as stack:
        a, b, c = [await open_node(founded, member, stack) for member in (A, B, C)]
        signal = make_signal(1, quality=80)
        (first,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(1, signals=[signal])])
        await until_has(b, first.id)
        (second,) = await b.publisher.confirm(Lane.CRISIS, [make_confirm(2, signals=[signal])])
        agreed = await b.publisher.say_about(first.id, Endorse("same-content"))
        await until_has(c, first.id)
        disputed = await c.publisher.say_about(first.id, Dispute("benign"))
        taken = await a.publisher.withdraw(first.id, "mistake")
        await until_has(c, second.id, agreed, taken)
        story = await Tracer(c.stores, c.membership).of_signal(signal.type, signal.identity)
        events = events_of(story.traced, story.rulings)
        assert {first.id, second.id, agreed, disputed, taken} == {each.id for each in events}
        by_id = {each.id: each for each in events}
        assert "withdrawn" == by_id[first.id].standing
        assert "active" == by_id[second.id].standing
        # The same story from any of its statements.
        again = await Tracer(c.stores, c.membership).of_statement(taken)
        ids = {each.statement.id for each in again.traced}
        assert {first.id, agreed, disputed, taken} == ids
        moment = answer_at(story.traced, story.rulings, by_id[second.id].at_ms)
        assert moment.was_active
        erased = await b.publisher.say_about(second.id, Erase("data-protection"))
        await until_has(c, erased)
        story = await Tracer(c.stores, c.membership).of_statement(second.id)
        told = {each.id: each for each in events_of(story.traced, story.rulings)}
        assert told[second.id].is_erased
        assert erased in told
        with pytest.raises(StatementNotFound):
            await Tracer(c.stores, c.membership).of_statement(StatementId(bytes(32)))


async def test_the_command_tells_it_and_writes_a_page(found: Found, tmp_path: Path) -> None:
    founded = found([A])
    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        server = LocalServer(node)
        await server.start()
        stack.push_async_callback(server.close)
        server.api.is_ready = True
        signal = make_signal(1, quality=80)
        (said,) = await node.publisher.confirm(Lane.LIVE, [make_confirm(1, signals=[signal])])
        config, page = founded.config_path(A), tmp_path / "story.html"
        typed = f"{signal.type}:{format_value(signal)}"
        answer = await asyncio.to_thread(trace, config, typed, None, page)
        assert ExitCode.YES == answer.exit_code
        assert "ACTIVE on" in str(answer.parts)
        text = page.read_text("utf-8")
        assert str(said.id) in text
        # The page is passed on, and the JSON logged: neither holds the signal.
        for told in (text, json.dumps(answer.fields)):
            assert format_value(signal) not in told
        assert "<script" not in text
        answer = await asyncio.to_thread(trace, config, str(said.id), "2020-01-01", None)
        assert ExitCode.NO == answer.exit_code
        assert "NOT ACTIVE on 2020-01-01 00:00:00 UTC: nobody had confirmed it." in answer.parts
        await node.publisher.withdraw(said.id, "mistake")
        answer = await asyncio.to_thread(trace, config, str(said.id), None, None)
        assert ExitCode.NO == answer.exit_code


@pytest.mark.parametrize("text", ["", "tomorrow", "1969-01-01", "2026-13-01", "99999-01-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(RequestMalformed):
        parse_time(text)


def test_foreign_words_cannot_write_into_the_page() -> None:
    told = TraceAnswer.model_validate(
        {
            "events": [
                {
                    "id": "st_0",
                    "at_ms": 2**53 - 1,
                    "member": "<b>",
                    "kind": "<script>",
                    "about": ["<i>"],
                    "words": "<script>alert(1)</script>",
                    "standing": "<u>",
                    "erased": False,
                    "held_by": [{"member": "<s>", "since_seconds": 2**63}],
                }
            ],
            "roster": [{"version": 2, "changes": ["<script>"]}],
            "at": {
                "at_ms": 0,
                "was_active": False,
                "on_the_word_of": [],
                "since": [],
                "words": ["<script>"],
            },
        }
    )
    page = page_of("<script>", told, has_moment=True)
    for tag in ("<script", "about <i>", "<s>", "<u>"):
        assert tag not in page
