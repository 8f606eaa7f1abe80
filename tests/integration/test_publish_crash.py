"""Kill -9 at each step of a publish: nothing acknowledged is lost, nothing is signed twice."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack

import pytest

from federation.daemon.node import Node
from federation.protocol.headers import parse_statement_id
from federation.protocol.origins import Lane, LogId
from tests.builders import make_confirm
from tests.integration.conftest import SECONDS_MAX, Found, Founded, until

ACME, NOVA = "acme.example", "nova.example"
NTH = 4


async def open_node(founded: Founded, member: str, stack: AsyncExitStack) -> Node:
    """A running node that is closed with the stack."""
    node = await Node.open(founded.config(member))
    stack.push_async_callback(node.close)
    await node.start()
    return node


async def until_held(node: Node, log: LogId, size: int) -> None:
    """Wait until a node durably holds that many statements of a log."""

    async def is_held() -> bool:
        return node.replicator.held_size(log) >= size

    await until(is_held)


async def roots_by_size(node: Node, log: LogId) -> dict[int, bytes]:
    """The note text of every checkpoint a node holds of a log."""
    kept = await node.stores.receipts.checkpoints(log)
    return {each.size: each.note.split(b"\n\n")[0] for each in kept}


async def crash(founded: Founded, step: str) -> list[str]:
    """Run acme's node until it kills itself; the ids it acknowledged."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.integration.crashing_node",
        str(founded.config_path(ACME)),
        step,
        str(NTH),
        "1000",
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(SECONDS_MAX):
        out, _ = await process.communicate()
    assert process.returncode == -signal.SIGKILL
    return [line.split()[1] for line in out.decode().splitlines()]


@pytest.mark.parametrize(
    ("step", "held_after"),
    [("made", NTH - 1), ("signed", NTH - 1), ("stored", NTH), ("appended", NTH), ("told", NTH)],
)
async def test_killed_at_a_step_of_a_publish_loses_nothing_acknowledged_and_forks_nothing(
    found: Found, step: str, held_after: int
) -> None:
    """A peer that listened all along, and the node itself restarted, agree on one history."""
    founded = found([ACME, NOVA])
    log = LogId(ACME, founded.chain.federation_id, Lane.LIVE)
    async with AsyncExitStack() as stack:
        nova = await open_node(founded, NOVA, stack)
        acknowledged = await crash(founded, step)
        assert len(acknowledged) == NTH - 1
        heard_before = await roots_by_size(nova, log) if nova.replicator.held_size(log) else {}

        acme = await open_node(founded, ACME, stack)
        assert acme.replicator.held_size(log) == held_after
        for statement_id in acknowledged:
            assert await acme.stores.logs.statement(parse_statement_id(statement_id)) is not None
        await acme.stores.check_log(log)

        await acme.publisher.confirm(Lane.LIVE, [make_confirm(10_000)])
        await until_held(nova, log, held_after + 1)
        own, heard = await roots_by_size(acme, log), await roots_by_size(nova, log)
        assert heard_before.items() <= own.items()
        assert heard.items() <= own.items()
        assert own.keys() == set(range(1, held_after + 2))
        assert [] == await nova.stores.evidence.first_of_each()
        assert [] == nova.replicator.alarms == acme.replicator.alarms
