"""Webhooks against a real receiver that verifies with the schemes' own libraries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiohttp import web

from federation.daemon import outlets, webhooks
from federation.daemon.node import Node
from federation.daemon.webhooks import Persistence
from federation.local_errors.askers import WebhookUnknown
from federation.local_errors.config import KeyFileInvalid
from federation.protocol.bodies import Erase
from federation.protocol.origins import Lane
from tests.builders import make_confirm
from tests.integration.conftest import Found, Founded, until
from tests.integration.feeds import Receiver, add_webhook, receiving
from tests.integration.test_publish_crash import open_node

A = "a.example"


@pytest.fixture
def founded(found: Found) -> Founded:
    return found([A])


@pytest.fixture(autouse=True)
def _tries_follow_each_other_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlets, "PERSISTENCE", Persistence(0.01, 0.05, 60.0, 3))


@asynccontextmanager
async def running(founded: Founded) -> AsyncIterator[Node]:
    async with AsyncExitStack() as stack:
        yield await open_node(founded, A, stack)


async def publish(node: Node, *numbers: int) -> list[str]:
    """One step each; their ids."""
    ids = []
    for number in numbers:
        (made,) = await node.publisher.confirm(Lane.LIVE, [make_confirm(number)])
        ids.append(str(made.id))
    return ids


async def until_taken(receiver: Receiver, count: int) -> None:
    async def is_so() -> bool:
        return len(receiver.taken) >= count

    await until(is_so)


def causes(receiver: Receiver) -> list[str]:
    return [each.get_data()["causes"][0] for each in receiver.taken.values()]


async def test_events_arrive_signed_and_in_order(founded: Founded) -> None:
    async with receiving() as receiver:
        add_webhook(founded.config_path(A), receiver.port)
        async with running(founded) as node:
            ids = await publish(node, 1, 2, 3)
            await until_taken(receiver, 3)
            assert ids == causes(receiver)
            assert ["verdict-changed"] * 3 == receiver.kinds()
            event = next(iter(receiver.taken.values()))
            assert event.get_source().startswith(f"/members/{A}/feeds/")


async def test_a_receiver_that_was_down_gets_everything_once_it_is_back(founded: Founded) -> None:
    async with receiving() as receiver:
        port = receiver.port
        add_webhook(founded.config_path(A), port)
    async with running(founded) as node:
        ids = await publish(node, 1, 2)

        async def is_failing() -> bool:
            return node.outlets.webhooks.standings["moderation"].attempts > 1

        await until(is_failing)
        standing = node.outlets.webhooks.standings["moderation"]
        assert "no connection" in str(standing.last_error)
    async with running(founded) as node, receiving(port) as receiver:
        ids += await publish(node, 3)
        await until_taken(receiver, 3)
        assert ids == causes(receiver)
        assert 3 == receiver.requests


async def test_what_a_receiver_refuses_is_given_up_and_can_be_sent_again(founded: Founded) -> None:
    async with receiving() as receiver:
        add_webhook(founded.config_path(A), receiver.port)
        receiver.answer = lambda _id: web.Response(status=400 if not receiver.taken else 204)
        async with running(founded) as node:
            first = await publish(node, 1)

            async def is_given_up() -> bool:
                return bool(await node.outlets.webhooks.dead_letters())

            await until(is_given_up)
            (dead,) = await node.outlets.webhooks.dead_letters("moderation")
            assert ("the receiver answered 400", 3) == (dead.reason, receiver.requests)
            receiver.answer = lambda _id: web.Response(status=200)
            second = await publish(node, 2)
            await until_taken(receiver, 1)
            assert second == causes(receiver)
            with pytest.raises(WebhookUnknown):
                await node.outlets.webhooks.replay("moderation", [dead.number + 1])
            with pytest.raises(WebhookUnknown):
                await node.outlets.webhooks.replay("another")
            assert 1 == await node.outlets.webhooks.replay("moderation")
            await until_taken(receiver, 2)
            assert second + first == causes(receiver)

            async def is_off_the_list() -> bool:
                return not await node.outlets.webhooks.dead_letters()

            await until(is_off_the_list)


@pytest.mark.parametrize(
    "answer",
    [
        web.HTTPFound("/elsewhere"),
        web.HTTPServiceUnavailable(headers={"Retry-After": "0"}),
        web.HTTPTooManyRequests(),
        web.HTTPUnauthorized(),
    ],
    ids=lambda answer: str(answer.status),
)
async def test_a_receiver_in_trouble_is_tried_again_and_redirects_are_not_followed(
    founded: Founded, answer: web.HTTPException
) -> None:
    async with receiving() as receiver:
        add_webhook(founded.config_path(A), receiver.port)
        headers = {
            name: answer.headers[name] for name in ("Retry-After",) if name in answer.headers
        }
        receiver.answer = lambda _id: web.Response(
            status=answer.status if receiver.requests < 6 else 204,
            headers={**headers, "Location": "/elsewhere"},
        )
        async with running(founded) as node:
            ids = await publish(node, 1)
            await until_taken(receiver, 1)
            assert ids == causes(receiver)
            assert [] == await node.outlets.webhooks.dead_letters()


async def test_only_the_kinds_asked_for_are_sent(founded: Founded) -> None:
    async with receiving() as receiver:
        add_webhook(founded.config_path(A), receiver.port, more='kinds = ["statements-erased"]\n')
        async with running(founded) as node:
            (made,) = await node.publisher.confirm(Lane.LIVE, [make_confirm(1)])
            await node.publisher.say_about(made.id, Erase("unlawful"))
            await until_taken(receiver, 1)
            assert ["statements-erased"] == receiver.kinds()


async def test_a_receiver_that_missed_what_is_no_longer_kept_is_told_so(founded: Founded) -> None:
    async with receiving() as receiver:
        port = receiver.port
        add_webhook(founded.config_path(A), port)
    async with running(founded) as node:
        await publish(node, 1, 2, 3)
        await node.platform.teller.until_idle()
        await node.stores.feed.cut(0, 1)
    async with running(founded), receiving(port) as receiver:
        await until_taken(receiver, 2)
        assert ["history-cut", "verdict-changed"] == receiver.kinds()


@pytest.mark.parametrize("skipped_max", [1, 1_024])
async def test_a_receiver_missed_nothing_where_only_what_it_did_not_ask_for_is_gone(
    founded: Founded, monkeypatch: pytest.MonkeyPatch, skipped_max: int
) -> None:
    """Its place is written down after so many entries, after a while, or when the node stops."""
    monkeypatch.setattr(webhooks, "SKIPPED_MAX", skipped_max)
    async with receiving() as receiver:
        add_webhook(founded.config_path(A), receiver.port, more='kinds = ["statements-erased"]\n')
        async with running(founded) as node:
            name = next(iter(node.outlets.webhooks.standings))
            (made,) = await node.publisher.confirm(Lane.LIVE, [make_confirm(1)])
            await publish(node, 2)

            async def is_through() -> bool:
                return node.outlets.webhooks.standings[name].number == 2

            await until(is_through)
            if skipped_max == 1:
                assert 2 == (await node.stores.webhooks.standings())[name].number
        async with running(founded) as node:
            assert 2 == await node.stores.feed.cut(2**62, 1_000)
            await node.publisher.say_about(made.id, Erase("unlawful"))
            await until_taken(receiver, 1)
            assert ["statements-erased"] == receiver.kinds()


async def test_a_webhook_at_a_private_address_is_refused_unless_allowed(founded: Founded) -> None:
    async with receiving() as receiver:
        add_webhook(founded.config_path(A), receiver.port)
        config = founded.config_path(A)
        text = config.read_text().replace("http://127.0.0.1", "https://localhost")
        config.write_text(text.replace("allow_private = true", "allow_private = false"))
        async with running(founded) as node:
            await publish(node, 1)

            async def is_refused() -> bool:
                return node.outlets.webhooks.standings["moderation"].last_error is not None

            await until(is_refused)
            error = str(node.outlets.webhooks.standings["moderation"].last_error)
            assert "private" in error
            assert 0 == receiver.requests


@pytest.mark.parametrize("secret", ["", "whsec_", "c2hvcnQ=", "no base64 at all!", "é" * 40])
async def test_a_weak_or_broken_secret_is_refused_at_the_start(
    founded: Founded, secret: str
) -> None:
    add_webhook(founded.config_path(A), 9)
    (founded.config_path(A).parent / "webhook.secret").write_text(secret)
    with pytest.raises(KeyFileInvalid):
        await Node.open(founded.config(A))
