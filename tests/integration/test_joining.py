"""A node that lacks a long log: its tree first, pieces from whoever holds it, over real TLS."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import AsyncExitStack

from federation.daemon.importing import IMPORT_BATCH, name_listed
from federation.daemon.node import Node
from federation.gossip.joining import JOIN_STATEMENTS_MIN
from federation.protocol.bodies import Confirm
from federation.protocol.limits import TILE_WIDTH
from federation.protocol.origins import Lane, LogId
from federation.protocol.signals import Signal, SignalType
from tests.integration.conftest import Found, until
from tests.integration.test_publish_crash import open_node

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
    async def holds() -> bool:
        return node.replicator.held_size(log) == COUNT

    await until(holds)


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
        assert not engine._reconciliation.joining.is_joining(log)
        ours = await b.stores.trees.root_hash(log, COUNT)
        assert ours == await c.stores.trees.root_hash(log, COUNT)
