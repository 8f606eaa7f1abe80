"""A node that lacks a long log: its tree first, pieces from whoever holds it, over real TLS."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from federation.config import split_listen
from federation.daemon.importing import IMPORT_BATCH, name_listed
from federation.daemon.node import Node
from federation.gossip.joining import JOIN_STATEMENTS_MIN
from federation.protocol.bodies import Confirm
from federation.protocol.limits import TILE_WIDTH
from federation.protocol.origins import Lane, LogId
from federation.protocol.signals import Signal, SignalType
from federation.web.app import LocalServer
from tests.integration.conftest import Found
from tests.integration.test_publish_crash import open_node
from tests.integration.test_publish_crash import until_held as until_held_size

A, B, C = "a.example", "b.example", "c.example"
COUNT = JOIN_STATEMENTS_MIN + TILE_WIDTH + 7


def signal(number: int) -> Signal:
    return Signal(SignalType.PDQ, hashlib.sha256(f"listed {number}".encode()).digest())


async def publish_list(node: Node) -> None:
    for start in range(0, COUNT, IMPORT_BATCH):
        signals = [(signal(number),) for number in range(start, min(start + IMPORT_BATCH, COUNT))]
        confirms = [Confirm(name_listed(each), each) for each in signals]
        await node.importer.take(Lane.BULK, confirms)


async def until_held(node: Node, log: LogId) -> None:
    await until_held_size(node, log, COUNT)


async def check_matches(node: Node, numbers: Sequence[int]) -> None:
    found = await node.matcher.match([signal(number) for number in numbers], 0)
    assert [1] * len(numbers) == [len(matches) for matches in found]


async def test_late_node_and_a_wiped_one_get_a_long_log_from_any_one_peer(found: Found) -> None:
    founded = found([A, B, C])
    async with AsyncExitStack() as running:
        async with AsyncExitStack() as issuing:
            a = await open_node(founded, A, issuing)
            await publish_list(a)
            log = LogId(A, a.membership.roster.federation_id, Lane.BULK)
            b = await open_node(founded, B, running)
            await until_held(b, log)
        # The issuer is gone: the other one has it all, and passes it on.
        c = await open_node(founded, C, running)
        await until_held(c, log)
        await check_matches(c, [0, TILE_WIDTH, COUNT - 1])
        assert COUNT == await c.stores.check_log(log)
        engine = c.replicator.engine
        assert log not in engine._reconciliation.joining._joins
        ours = await b.stores.trees.root_hash(log, COUNT)
        assert ours == await c.stores.trees.root_hash(log, COUNT)


async def test_matches_are_answered_while_a_peer_drips_what_was_missed(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is stored matches at once; to sign and to serve peers, the node waits for the peer."""
    founded = found([A, B])
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        log = LogId(A, a.membership.roster.federation_id, Lane.LIVE)
        async with AsyncExitStack() as before:
            await a.publisher.confirm(Lane.LIVE, [Confirm("old", (signal(1),))])
            await until_held_size(await open_node(founded, B, before), log, 1)
        await a.publisher.confirm(Lane.LIVE, [Confirm("new", (signal(2),))])
        asked, drips = asyncio.Event(), asyncio.Event()
        serve = a.stores.logs.statement_parts

        async def drip(*arguments: Any, **named: Any) -> list[tuple[bytes, ...]]:
            asked.set()
            await drips.wait()
            return await serve(*arguments, **named)

        monkeypatch.setattr(a.stores.logs, "statement_parts", drip)
        b = await Node.open(founded.config(B))
        stack.push_async_callback(b.close)
        server = LocalServer(b)
        await server.start()
        stack.push_async_callback(server.close)
        starting = asyncio.create_task(b.start())
        await asked.wait()
        ask = await asker(b, stack)
        assert (200, "block") == await ask("/v1/match", {"signals": [query(1)]})
        assert (200, "allow") == await ask("/v1/match", {"signals": [query(2)]})
        publish = {"confirm": [{"item": "own", "signals": [query(3)]}]}
        assert (503, "node-starting") == await ask("/v1/statements", publish)
        with pytest.raises(OSError):
            await asyncio.open_connection(*split_listen(b.config.peers.listen))
        assert not starting.done()
        drips.set()
        await starting
        await until_held_size(b, log, 2)
        assert (200, "block") == await ask("/v1/match", {"signals": [query(2)]})


def query(number: int) -> dict[str, str]:
    return {"type": "pdq", "value": signal(number).value.hex()}


async def asker(
    node: Node, stack: AsyncExitStack
) -> Callable[[str, Any], Awaitable[tuple[int, str]]]:
    """Asks a node's local API; gives the status, and the action or the error's code."""
    token = node.config.path(node.config.api.token_file).read_text().strip()
    session = await stack.enter_async_context(
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"})
    )

    async def ask(path: str, asked: Any) -> tuple[int, str]:
        url = f"http://{node.config.api.listen}{path}"
        async with session.post(url, json=asked) as response:
            answer = await response.json()
            return response.status, answer["code"] if response.status >= 400 else action(answer)

    return ask


def action(answer: Any) -> str:
    (result,) = answer["results"]
    return str(result["action"])
