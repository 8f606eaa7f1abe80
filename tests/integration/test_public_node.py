"""Whole nodes and their outside: what they accept they witness; the public sees it late."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from federation.cli.operator import main
from federation.daemon.node import Node
from federation.local_errors.config import PortInUse
from federation.protocol.checkpoints_foreign import open_checkpoint
from federation.protocol.keys import check_ed25519
from federation.protocol.notes import parse_note
from federation.protocol.origins import Lane
from tests.builders import make_confirm
from tests.integration.conftest import Found, Founded, until
from tests.integration.test_publish_crash import open_node, until_held
from tests.ports import free_ports

A, B = "a.example", "b.example"


def with_public(founded: Founded, member: str, extra: str = "") -> int:
    """Give a member's config a public listener; returns its port."""
    (port,) = free_ports(1)
    path = founded.config_path(member)
    text = path.read_text().replace('listen = ""', f'listen = "127.0.0.1:{port}"')
    path.write_text(text.replace('quorum = "none"', extra or 'quorum = "none"'))
    return port


async def fetched(port: int, path: str) -> tuple[int, bytes]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as response,
    ):
        return response.status, await response.read()


async def grown_old(node: Node) -> None:
    """Let the public delay pass for all that the node has kept."""
    async with node.stores.database.write() as unit:
        await unit.run("UPDATE checkpoints SET kept_at_ms = 0")
        await unit.run("UPDATE witness_heads SET kept_at_ms = 0")


async def test_a_published_head_is_witnessed_by_all_and_public_after_the_delay(
    found: Found, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    founded = found([A, B])
    ports = [with_public(founded, member) for member in (A, B)]
    async with AsyncExitStack() as stack:
        nodes = [await open_node(founded, member, stack) for member in (A, B)]
        (statement,) = await nodes[0].publisher.confirm(Lane.LIVE, [make_confirm(1)])
        log = statement.log
        await until_held(nodes[1], log, 1)
        for node in nodes:

            async def is_witnessed(node: Node = node) -> bool:
                return (await node.stores.witness.newest(log)).size == 1

            await until(is_witnessed)

        async def is_receipted() -> bool:
            return bool(await nodes[0].stores.public.holdings(log, 0))

        await until(is_receipted)
        paths = [f"/{log.origin}/checkpoint", f"/{log.sha256.hex()}/checkpoint"]
        for port in ports:
            for path in paths:
                assert 404 == (await fetched(port, path))[0]
            assert 200 == (await fetched(port, "/roster/1.root.json"))[0]
        for node in nodes:
            await grown_old(node)
        for port in ports:
            for path in paths:
                status, note = await fetched(port, path)
                assert 200 == status, path
                vkey = founded.chain.newest.log_vkey(log)
                assert 1 == open_checkpoint(note, vkey, check_ed25519).size
        status, note = await fetched(ports[0], paths[0])
        assert f"{B}/{log.federation_id}/mirror" in {
            line.name for line in parse_note(note).signatures
        }
        # Beside the running node, and then without it.
        out = str(tmp_path / "out")
        arguments = ["log", "export", out, "--config", str(founded.config_path(B)), "--json"]
        assert 0 == await asyncio.to_thread(main, arguments)
    assert 0 == await asyncio.to_thread(main, arguments)
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    name = log.origin.replace("/", "_")
    assert [(name, 1, 2)] == [(e["name"], e["size"], e["files_written"]) for e in first["logs"]]
    assert [0] == [each["files_written"] for each in second["logs"]]


async def test_an_unmet_quorum_alarms_and_holds_back_the_public_only(found: Found) -> None:
    founded = found([A, B])
    port = with_public(founded, A, 'quorum = "1 of peers"')
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        (statement,) = await a.publisher.confirm(Lane.LIVE, [make_confirm(1)])
        path = f"/{statement.log.origin}/checkpoint"
        await grown_old(a)
        assert ["quorum-unmet"] == [code for code, _ in await a.outside.alarms()]
        assert 404 == (await fetched(port, path))[0]
        b = await open_node(founded, B, stack)
        await until_held(b, statement.log, 1)

        async def is_met() -> bool:
            return await a.outside.alarms() == [] and (await fetched(port, path))[0] == 200

        await until(is_met)


async def test_a_taken_public_port_is_said(found: Found) -> None:
    founded = found([A])
    port = with_public(founded, A)
    server = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", port)
    async with server:
        node = await Node.open(founded.config(A))
        try:
            with pytest.raises(PortInUse):
                await node.start()
        finally:
            await node.close()
