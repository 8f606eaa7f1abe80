"""The feed over HTTP: a snapshot, then every change once and in order, whatever interrupts it."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest

from federation.daemon.node import Node
from federation.local_errors.disk import StoreUnavailable
from federation.protocol.bodies import Dispute, Erase
from federation.protocol.origins import Lane
from federation.protocol.roster_amendments import propose_rulings
from federation.protocol.roster_proposals import finish, sign_proposal
from federation.web import feed_api
from federation.web.app import LocalServer
from tests.builders import make_confirm, make_signal
from tests.integration.conftest import Found, Founded, until
from tests.integration.feeds import Told, enable_feed, events_of, take
from tests.integration.test_publish_crash import open_node, until_held

A, B = "a.example", "b.example"


@asynccontextmanager
async def serving(founded: Founded, member: str = A) -> AsyncIterator[tuple[Node, str]]:
    """A running node that keeps a feed, and the address of its API."""
    async with AsyncExitStack() as stack:
        node = await open_node(founded, member, stack)
        server = LocalServer(node)
        await server.start()
        stack.push_async_callback(server.close)
        server.api.is_ready = True
        yield node, f"http://{node.config.api.listen}"


@asynccontextmanager
async def consuming(
    node: Node, address: str, cursor: str | None = None
) -> AsyncIterator[AsyncIterator[Told]]:
    """One consumer's stream."""
    token = node.config.path(node.config.api.token_file).read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    if cursor is not None:
        headers["Last-Event-ID"] = cursor
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{address}/v1/feed") as response,
    ):
        assert response.status == 200, await response.text()
        assert "text/event-stream" == response.content_type
        yield events_of(response)


async def refused(node: Node, address: str, cursor: str) -> tuple[int, str]:
    token = node.config.path(node.config.api.token_file).read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{address}/v1/feed", params={"cursor": cursor}) as response,
    ):
        return response.status, (await response.json())["code"]


@pytest.fixture
def founded(found: Found) -> Founded:
    made = found([A, B])
    enable_feed(made.config_path(A))
    return made


async def test_a_snapshot_comes_first_then_changes_in_the_order_of_commit(founded: Founded) -> None:
    async with serving(founded) as (node, address):
        (old,) = await node.publisher.confirm(Lane.LIVE, [make_confirm(1)])
        await node.platform.teller.until_idle()
        async with consuming(node, address) as events:
            signal, end = await take(events, 2)
            assert ("signal", "positive") == (signal.kind, signal.data["state"])
            assert [str(old.id)] == [each["id"] for each in signal.data["statements"]]
            assert "snapshot-end" == end.kind
            (new,) = await node.publisher.confirm(Lane.LIVE, [make_confirm(2)])
            await node.publisher.withdraw(old.id, "mistake")
            confirmed, withdrawn = await take(events, 2)
            assert ("unknown", "positive", [str(new.id)]) == (
                confirmed.data["before"],
                confirmed.data["state"],
                confirmed.data["causes"],
            )
            assert ("positive", "withdrawn") == (
                withdrawn.data["before"],
                withdrawn.data["state"],
            )


async def test_a_consumer_that_was_away_goes_on_at_its_cursor_across_a_restart(
    founded: Founded,
) -> None:
    async with serving(founded) as (node, address):
        async with consuming(node, address) as events:
            (end,) = await take(events, 1)
            first = await node.publisher.confirm(Lane.LIVE, [make_confirm(1)])
            (told,) = await take(events, 1)
        await node.publisher.confirm(Lane.LIVE, [make_confirm(2)])
        await node.platform.teller.until_idle()
    async with serving(founded) as (node, address):
        third = await node.publisher.confirm(Lane.LIVE, [make_confirm(3)])
        async with consuming(node, address, told.id) as events:
            missed = await take(events, 2)
        async with consuming(node, address, end.id) as events:
            everything = await take(events, 3)
        causes = [each.data["causes"] for each in everything]
        assert ([str(first[0].id)], [str(third[0].id)]) == (causes[0], causes[2])
        assert everything[1:] == missed
        assert len({each.id for each in everything}) == 3


async def test_a_step_that_is_told_twice_is_in_the_feed_once(founded: Founded) -> None:
    async with serving(founded) as (node, _address):
        (made,) = await node.publisher.confirm(Lane.LIVE, [make_confirm(1)])
        await node.platform.teller.until_idle()
        before = await node.outlets.feed.bounds()
        batch_log = made.log
    # As after a crash that came before it was written down how far was told.
    async with serving(founded) as (node, _address), node.stores.database.write() as unit:
        await unit.run("UPDATE told_sizes SET size = 0 WHERE origin = ?", (batch_log.origin,))
    async with serving(founded) as (node, _address):
        await node.platform.teller.until_idle()
        assert before == await node.outlets.feed.bounds()


async def test_another_members_dispute_is_told(founded: Founded) -> None:
    async with AsyncExitStack() as stack:
        node, address = await stack.enter_async_context(serving(founded))
        b = await open_node(founded, B, stack)
        (made,) = await node.publisher.confirm(Lane.LIVE, [make_confirm(1)])
        await until_held(b, made.log, 1)
        await node.platform.teller.until_idle()
        events = await stack.enter_async_context(consuming(node, address))
        await take(events, 2)
        await b.publisher.say_about(made.id, Dispute("benign"))
        (disputed,) = await take(events, 1)
        assert ("positive", "disputed") == (disputed.data["before"], disputed.data["state"])
        assert [B] == disputed.data["statements"][0]["disputed_by"]


async def test_the_history_forgets_what_was_erased(founded: Founded) -> None:
    async with serving(founded) as (node, address):
        signal = make_signal(7)
        async with consuming(node, address) as events:
            await take(events, 1)
            (made,) = await node.publisher.confirm(Lane.LIVE, [make_confirm(1, signals=[signal])])
            (told,) = await take(events, 1)
            assert signal.value.hex() == told.data["signal"]["value"]
        await node.publisher.say_about(made.id, Erase("unlawful"))
        await node.platform.teller.until_idle()
        entries = await node.outlets.feed.read(0)
        assert "erased" == entries[0].kind
        assert all(signal.value.hex() not in each.content for each in entries[:2])


async def test_the_history_forgets_what_governance_erased(founded: Founded) -> None:
    """No statement of any log says so; what the write-ahead log held of it goes, too."""
    async with serving(founded) as (node, _address):
        signal = make_signal(7)
        confirm = make_confirm(1, signals=[signal])
        (made,) = await node.publisher.confirm(Lane.LIVE, [confirm])
        await node.platform.teller.until_idle()
        await node.eraser.scrub()
        now_ms = time.time_ns() // 1_000_000
        proposal = propose_rulings(founded.chain, erased=[made.id], now_ms=now_ms)
        signed = sign_proposal(proposal.proposal_bytes, founded.governor)
        await node.membership.adopt(finish(signed, founded.chain).versions[-1])

        async def is_told() -> bool:
            entries = await node.outlets.feed.read(0)
            return any(each.kind == "statements-erased" for each in entries)

        await until(is_told)
        entries = await node.outlets.feed.read(0)
        assert "erased" == entries[0].kind
        (told,) = [each for each in entries if each.kind == "statements-erased"]
        assert str(made.id) in told.content
        before = [each for each in entries if each.number < told.number]
        assert all(signal.value.hex() not in each.content for each in before)
        assert node.eraser.scrub_due
        await node.eraser.scrub()
        assert not node.eraser.scrub_due


async def test_an_erasure_that_is_told_twice_is_in_the_feed_once(founded: Founded) -> None:
    async with serving(founded) as (node, _address):
        (made,) = await node.publisher.confirm(Lane.LIVE, [make_confirm(1)])
        await node.platform.teller.until_idle()

        async def crash(_number: int) -> None:
            """It came when the feed had it, and before that was written down."""
            raise StoreUnavailable("no")

        node.stores.erasures.told = crash  # type: ignore[method-assign, assignment]
        await node.publisher.say_about(made.id, Erase("unlawful"))

        async def is_told() -> bool:
            return len(await erasures_in(node)) > 0

        await until(is_told)
        assert await node.stores.erasures.untold() is not None
    async with serving(founded) as (node, _address):
        await node.platform.teller.until_idle()
        assert [{"statements": [str(made.id)]}] == [
            {"statements": each["statements"]} for each in await erasures_in(node)
        ]
        assert await node.stores.erasures.untold() is None
        (other,) = await node.publisher.confirm(Lane.LIVE, [make_confirm(2)])
        await node.publisher.say_about(other.id, Erase("unlawful"))
        await node.platform.teller.until_idle()
        assert [str(other.id)] == (await erasures_in(node))[-1]["statements"]


async def erasures_in(node: Node) -> list[dict[str, Any]]:
    """What a node's feed tells of erased statements."""
    entries = await node.outlets.feed.read(0)
    return [json.loads(each.content) for each in entries if each.kind == "statements-erased"]


@pytest.mark.parametrize(
    ("cursor", "status", "code"),
    [
        ("nonsense", 400, "request-malformed"),
        ("0123456789abcdef-01", 400, "request-malformed"),
        ("0123456789abcdef-1", 410, "cursor-unknown"),
        ("{own}-99", 410, "cursor-unknown"),
        ("x" * 65, 400, "request-malformed"),
    ],
)
async def test_a_cursor_that_nothing_can_be_told_from_says_take_the_snapshot(
    founded: Founded, cursor: str, status: int, code: str
) -> None:
    async with serving(founded) as (node, address):
        own = (await node.outlets.feed.bounds()).feed_id
        assert (status, code) == await refused(node, address, cursor.replace("{own}", own))


async def test_a_consumer_away_longer_than_the_history_is_told_to_take_the_snapshot(
    founded: Founded,
) -> None:
    async with serving(founded) as (node, address):
        async with consuming(node, address) as events:
            (end,) = await take(events, 1)
        await node.publisher.confirm(Lane.LIVE, [make_confirm(number) for number in (1, 2, 3)])
        await node.platform.teller.until_idle()
        assert 2 == await node.stores.feed.cut(0, 1)
        assert end.id is not None
        assert (410, "cursor-unknown") == await refused(node, address, end.id)
        bounds = await node.outlets.feed.bounds()
        assert (2, 3) == (bounds.cut, bounds.newest)


async def test_numbers_are_never_given_twice_even_when_all_history_went(founded: Founded) -> None:
    async with serving(founded) as (node, _address):
        await node.publisher.confirm(Lane.LIVE, [make_confirm(1)])
        await node.platform.teller.until_idle()
        assert 1 == await node.stores.feed.cut(2**62, 1_000)
        await node.publisher.confirm(Lane.LIVE, [make_confirm(2)])
        await node.platform.teller.until_idle()
        assert 2 == (await node.outlets.feed.bounds()).newest


async def test_more_consumers_than_the_limit_are_turned_away_and_the_others_go_on(
    founded: Founded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_api, "CONSUMERS_MAX", 1)
    async with serving(founded) as (node, address), consuming(node, address) as events:
        (end,) = await take(events, 1)
        assert end.id is not None
        assert (429, "too-busy") == await refused(node, address, end.id)
        await node.publisher.confirm(Lane.LIVE, [make_confirm(1)])
        assert 1 == len(await take(events, 1))


async def test_a_node_without_a_feed_says_how_to_have_one(found: Found) -> None:
    async with serving(found([A])) as (node, address):
        assert (409, "feed-off") == await refused(node, address, "0123456789abcdef-1")
        await node.publisher.confirm(Lane.LIVE, [make_confirm(1)])
        assert 0 == (await node.stores.feed.bounds()).newest
