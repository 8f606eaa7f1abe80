"""Processes that answer beside the node: the same answers, some milliseconds later at most."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from federation.daemon.node import Node
from federation.matching import value_set
from federation.protocol.signals import Signal, SignalType
from federation.web.app import LocalServer
from federation.web.passing_on import NodeBehind
from tests.builders import make_signal
from tests.integration.conftest import Found, until
from tests.integration.test_publish_crash import open_node

A = "a.example"


class Both:
    """A node with one worker, each to be asked alone."""

    def __init__(
        self,
        node: Node,
        server: LocalServer,
        of_node: aiohttp.ClientSession,
        of_worker: aiohttp.ClientSession,
    ) -> None:
        self.node, self.server = node, server
        self.of_node, self.of_worker = of_node, of_worker

    async def ask(
        self, session: aiohttp.ClientSession, method: str, path: str, body: Any = None
    ) -> tuple[int, str, Any]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        data = None if body is None else raw
        async with session.request(method, path, data=data) as answer:
            told = await answer.read()
            return answer.status, answer.content_type, json.loads(told)

    async def ask_both(self, method: str, path: str, body: Any = None) -> tuple[int, str, Any]:
        """The worker's answer, which is the node's."""
        by_node = await self.ask(self.of_node, method, path, body)
        by_worker = await self.ask(self.of_worker, method, path, body)
        assert by_node == by_worker
        return by_worker

    async def publish(self, *signals: Signal) -> str:
        """Through the worker, which passes it on; the statement's id."""
        body = {"confirm": [{"signals": [as_json(each) for each in signals]}]}
        status, _, told = await self.ask(self.of_worker, "POST", "/v1/statements", body)
        assert 200 == status
        return str(told["confirmed"][0]["id"])

    async def until_worker(self, signal: Signal, action: str) -> None:
        async def is_so() -> bool:
            _, _, told = await self.ask(self.of_worker, "POST", "/v1/match", query(signal))
            return bool(told["results"][0]["action"] == action)

        await until(is_so)

    def worker_ids(self) -> set[int]:
        """The worker processes that live now."""
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        lines = {each: Path(f"/proc/{each}/cmdline").read_bytes() for each in children}
        return {int(each) for each, line in lines.items() if b"federation.web.worker" in line}


def as_json(signal: Signal) -> dict[str, Any]:
    value = signal.value.decode() if signal.type is SignalType.URL else signal.value.hex()
    told: dict[str, Any] = {"type": signal.type.value, "value": value}
    return told | ({"quality": 80} if signal.type is SignalType.PDQ else {})


def query(*signals: Signal, **more: Any) -> dict[str, Any]:
    asked = [{key: as_json(each)[key] for key in ("type", "value")} for each in signals]
    return {"signals": asked, **more}


@pytest.fixture
async def both(found: Found, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Both]:
    monkeypatch.setattr(value_set, "DELTA_MIN", 1)
    founded = found([A])
    config = founded.config_path(A)
    config.write_text(config.read_text().replace("workers = 1", "workers = 2"))
    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        server = LocalServer(node)
        await server.start()
        stack.push_async_callback(server.close)
        await server.open()
        # Whoever connects to the port from here on connects to the worker.
        for site in tuple(server._runner.sites):
            if isinstance(site, web.TCPSite):
                await site.stop()
        token = node.config.path(node.config.api.token_file).read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        unix = aiohttp.UnixConnector(path=server.workers.node_path)
        sessions = [
            await stack.enter_async_context(
                aiohttp.ClientSession("http://node", headers=headers, connector=unix)
            ),
            await stack.enter_async_context(
                aiohttp.ClientSession(f"http://{node.config.api.listen}", headers=headers)
            ),
        ]
        yield Both(node, server, *sessions)


def flipped(signal: Signal, bits: int) -> Signal:
    value = int.from_bytes(signal.value, "big") ^ ((1 << bits) - 1)
    return Signal(signal.type, value.to_bytes(len(signal.value), "big"))


async def test_a_worker_answers_what_the_node_answers(both: Both) -> None:
    """Every type, hits and misses, thresholds, mistakes, and all other calls."""
    known = [make_signal(number, kind) for number, kind in enumerate(SignalType)]
    unknown = [make_signal(100 + number, kind) for number, kind in enumerate(SignalType)]
    ids = [await both.publish(each) for each in known]
    for each in known:
        await both.until_worker(each, "block")
    await both.node.platform.index_keeper.upkeep()  # other rows in other files
    for each in [*known, *unknown]:
        status, _, told = await both.ask_both("POST", "/v1/match", query(each))
        assert 200 == status
        assert ("block" if each in known else "allow") == told["results"][0]["action"]
    pdq = known[list(SignalType).index(SignalType.PDQ)]
    for bits, distance_max in [(31, 31), (32, 31), (10, 9), (9, 9)]:
        asked = query(flipped(pdq, bits), distance_max=distance_max)
        _, _, told = await both.ask_both("POST", "/v1/match", asked)
        assert ("block" if bits <= distance_max else "allow") == told["results"][0]["action"]
    mixed = [each for pair in zip(unknown, known, strict=True) for each in pair]
    _, _, told = await both.ask_both("POST", "/v1/match", query(*mixed))
    assert ["allow", "block"] * len(known) == [each["action"] for each in told["results"]]
    await both.ask_both("POST", "/v1/match", query(*unknown))
    # Of one content the node sees all signals.
    _, _, told = await both.ask_both("POST", "/v1/match", query(*mixed, one_content=True))
    assert "block" == told["results"][1]["action"]
    await both.ask_both("POST", "/v1/match", query(*unknown, one_content=True))
    for bad in [b"", b"\xff", {}, query(pdq, distance_max=32), query(*[pdq] * 1_001)]:
        status, kind, told = await both.ask_both("POST", "/v1/match", bad)
        assert (400, "application/problem+json") == (status, kind)
    await both.ask_both("GET", f"/v1/statements/{ids[0]}")
    await both.ask_both("GET", f"/v1/statements/{ids[0]}/bundle")
    await both.ask_both("GET", "/v1/nothing")
    await both.ask_both("GET", "/readyz")
    _, _, status_told = await both.ask_both("GET", "/v1/status")
    assert 2 == status_told["workers"]
    wrong = {"Authorization": "Bearer wrong"}
    async with both.of_worker.post("/v1/match", headers=wrong) as answer:
        assert 401 == answer.status


# Without a time in it: the processes that share the tests out must give each the same name.
@pytest.mark.parametrize("body", [gzip.compress(b'{"signals": []}', mtime=0), b"no gzip"])
async def test_a_compressed_body_is_refused_alike_by_node_and_worker(
    both: Both, body: bytes
) -> None:
    headers = {"Content-Encoding": "gzip"}
    for path in ["/v1/match", "/v1/match/file", "/v1/statements"]:
        for session in (both.of_node, both.of_worker):
            async with session.post(path, data=body, headers=headers) as answer:
                told = await answer.json(content_type=None)
                assert (400, "request-malformed") == (answer.status, told["code"])
    plain = {"Content-Encoding": "identity"}
    raw = json.dumps(query(make_signal(1))).encode()
    for session in (both.of_node, both.of_worker):
        async with session.post("/v1/match", data=raw, headers=plain) as answer:
            assert 200 == answer.status


async def test_a_worker_learns_what_comes_and_goes_and_is_replaced_when_it_dies(
    both: Both,
) -> None:
    first, second = make_signal(1), make_signal(2)
    said = await both.publish(first)
    await both.until_worker(first, "block")
    await both.ask(both.of_worker, "POST", "/v1/statements", {"withdraw": [{"statement": said}]})
    await both.until_worker(first, "allow")
    await both.publish(second)
    (before,) = both.worker_ids()
    os.kill(before, signal.SIGKILL)

    async def is_replaced() -> bool:
        return both.server.workers.ready == 1 and both.worker_ids() - {before} != set()

    await until(is_replaced)
    await both.until_worker(second, "block")
    await both.until_worker(first, "allow")
    (after,) = both.worker_ids()
    await both.server.workers.close()
    assert after not in both.worker_ids()


# --- passing on -----------------------------------------------------------------------------


@pytest.fixture
async def passing(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """What a worker does with calls that are not its own, before a server that says what it got."""

    async def echo(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade"):
            if request.query.get("refused"):
                return web.json_response({"why": "no"}, status=403)
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for message in socket:
                await socket.send_str(f"heard {message.data}")
                if message.data == "bye":
                    await socket.close(code=4_001)
            return socket
        if request.query.get("refused"):
            return web.json_response({"why": "no"}, status=403)
        if request.query.get("broken"):
            broken = web.StreamResponse()
            broken.content_length = 100
            await broken.prepare(request)
            await broken.write(b"half")
            cast("Any", request.transport).abort()
            return broken
        body = await request.read()
        return web.Response(
            status=207, body=f"{request.method} {request.raw_path} {len(body)}",
            headers={"X-Told": request.headers.get("X-Asked", "")},
        )  # fmt: skip

    async with AsyncExitStack() as stack:
        node = web.Application(client_max_size=1 << 30)
        node.router.add_route("*", "/{any:.*}", echo)
        node_runner = web.AppRunner(node)
        await node_runner.setup()
        stack.push_async_callback(node_runner.cleanup)
        await web.UnixSite(node_runner, str(tmp_path / "node")).start()
        behind = await stack.enter_async_context(NodeBehind(str(tmp_path / "node")))
        worker = web.Application(client_max_size=1 << 20)
        worker.router.add_route("*", "/{any:.*}", behind.pass_on)
        runner = web.AppRunner(worker)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = cast("Any", site._server).sockets[0].getsockname()[1]
        yield await stack.enter_async_context(aiohttp.ClientSession(f"http://127.0.0.1:{port}"))
        (tmp_path / "node").unlink(missing_ok=True)


async def test_a_call_passed_on_arrives_as_it_was_made(passing: aiohttp.ClientSession) -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield bytes(100_000)

    asked = URL("/a%20b?c=%2F", encoded=True)
    for body, length in [
        (None, 0),
        (b"abc", 3),
        (io.BytesIO(bytes(5_000_000)), 5_000_000),
        (stream(), 4_000_000),
    ]:
        async with passing.put(asked, data=body, headers={"X-Asked": "so"}) as answer:
            assert 207 == answer.status
            assert "so" == answer.headers["X-Told"]
            assert f"PUT /a%20b?c=%2F {length}" == await answer.text()


async def test_half_an_answer_is_not_taken_for_a_whole_one(passing: aiohttp.ClientSession) -> None:
    with pytest.raises(aiohttp.ClientError):
        async with passing.get("/?broken=1") as answer:
            await answer.read()


async def test_a_socket_is_passed_on_both_ways_with_its_end(passing: aiohttp.ClientSession) -> None:
    async with passing.ws_connect("/live") as socket:
        for said in ("one", "two"):
            await socket.send_str(said)
            assert f"heard {said}" == await socket.receive_str(timeout=30)
        await socket.send_str("bye")
        assert "heard bye" == await socket.receive_str(timeout=30)
        async with asyncio.timeout(30):
            assert aiohttp.WSMsgType.CLOSE == (await socket.receive()).type
        assert 4_001 == socket.close_code
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await passing.ws_connect("/live?refused=1")
    assert 403 == refused.value.status
