"""The local API as callers meet it: what is refused, with which code, and that it lives on."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from federation.config import split_listen
from federation.web.app import LocalServer
from federation.web.routes import BODY_BYTES_MAX
from tests.integration.conftest import Found
from tests.integration.test_publish_crash import open_node

A = "a.example"
PDQ = "f81b" * 16


class Api:
    """A node's local API, over a real socket."""

    def __init__(self, session: aiohttp.ClientSession, address: str, server: LocalServer) -> None:
        self._session, self._address = session, address
        self.server = server

    async def ask(
        self, method: str, path: str, body: Any = None, **options: Any
    ) -> tuple[int, dict[str, Any]]:
        """One request; its status and JSON answer."""
        if body is not None:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            options["data"] = io.BytesIO(raw)
        async with self._session.request(method, self._address + path, **options) as response:
            return response.status, json.loads(await response.read())


@pytest.fixture
async def api(found: Found) -> AsyncIterator[Api]:
    founded = found([A])
    async with AsyncExitStack() as stack:
        node = await open_node(founded, A, stack)
        server = LocalServer(node)
        await server.start()
        stack.push_async_callback(server.close)
        server.api.is_ready = True
        token = node.config.path(node.config.api.token_file).read_text().strip()
        session = await stack.enter_async_context(
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"})
        )
        yield Api(session, f"http://{node.config.api.listen}", server)


def query(value: str, signal_type: str = "pdq") -> dict[str, Any]:
    """A match request for one signal."""
    return {"signals": [{"type": signal_type, "value": value}]}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "request-malformed"),
        (b"\xff\x00junk", 400, "request-malformed"),
        ([], 400, "request-malformed"),
        ({"signals": []}, 400, "request-malformed"),
        ({"signals": [{"type": "pdq", "value": PDQ}], "more": 1}, 400, "request-malformed"),
        ({**query(PDQ), "distance_max": 32}, 400, "request-malformed"),
        (query(PDQ.upper()), 400, "signal-malformed"),
        (query(PDQ[:-2]), 400, "signal-malformed"),
        (query(PDQ, "photodna"), 400, "signal-malformed"),
        ({"signals": [{"type": "pdq", "value": PDQ}] * 1_001}, 400, "request-malformed"),
        (b" " * (BODY_BYTES_MAX + 1), 413, "too-large"),
    ],
)
async def test_bad_match_request_is_a_coded_problem_and_the_next_one_is_answered(
    api: Api, body: Any, status: int, code: str
) -> None:
    assert (status, code) == await _refused(api, "/v1/match", body)
    assert 200 == (await api.ask("POST", "/v1/match", query(PDQ)))[0]


async def _refused(api: Api, path: str, body: Any) -> tuple[int, str]:
    status, answer = await api.ask("POST", path, body)
    assert {"type", "title", "status", "detail", "code"} <= answer.keys()
    assert PDQ not in json.dumps(answer).lower()
    return status, answer["code"]


@pytest.mark.parametrize(
    ("confirm", "code"),
    [
        ({"signals": [{"type": "pdq", "value": "0" * 64}]}, "signal-degenerate"),
        ({"signals": [{"type": "pdq", "value": PDQ, "quality": 49}]}, "signal-low-quality"),
        ({"signals": [{"type": "md5", "value": "d41d8cd98f00b204e9800998ecf8427e"}]},
         "signal-degenerate"),
        ({"signals": [{"type": "pdq", "value": PDQ}], "labels": ["no-such-label"]},
         "label-unknown"),
        ({"signals": []}, "request-malformed"),
    ],
)  # fmt: skip
async def test_what_nobody_should_sign_for_is_refused_and_nothing_is_stored(
    api: Api, confirm: dict[str, Any], code: str
) -> None:
    assert (400, code) == await _refused(api, "/v1/statements", {"confirm": [confirm]})
    good = {"signals": [{"type": "pdq", "value": PDQ}]}
    lane = {"lane": "express", "confirm": [good]}
    assert (400, "lane-unknown") == await _refused(api, "/v1/statements", lane)
    _, status = await api.ask("GET", "/v1/status")
    assert 0 == sum(log["held"] for log in status["logs"])


async def test_a_caller_without_the_token_learns_nothing(api: Api) -> None:
    for given in ("", "Bearer", "Bearer wrong", "Basic wrong"):
        headers = {"Authorization": given}
        status, answer = await api.ask("POST", "/v1/match", query(PDQ), headers=headers)
        assert (401, "token-wrong") == (status, answer["code"])
    for path in ("/healthz", "/readyz", "/openapi.json"):
        assert 200 == (await api.ask("GET", path, headers={"Authorization": ""}))[0]


async def test_a_node_that_has_not_read_its_store_does_not_say_nothing_is_known(api: Api) -> None:
    api.server.api.is_ready = api.server._node.is_filled = False
    assert (503, "node-starting") == await _refused(api, "/v1/match", query(PDQ))
    assert 503 == (await api.ask("GET", "/readyz"))[0]
    assert 200 == (await api.ask("GET", "/healthz"))[0]
    assert 200 == (await api.ask("GET", "/v1/status"))[0]


async def test_unknown_paths_and_statements_are_problems_too(api: Api) -> None:
    assert 404 == (await api.ask("GET", "/v1/nothing"))[0]
    assert 405 == (await api.ask("GET", "/v1/match"))[0]
    status, answer = await api.ask("GET", "/v1/statements/st_" + "0" * 64)
    assert (404, "statement-not-found") == (status, answer["code"])
    status, answer = await api.ask("GET", "/v1/statements/junk")
    assert (400, "request-malformed") == (status, answer["code"])


async def test_a_million_signals_are_refused_with_the_limit_before_they_are_sent(api: Api) -> None:
    """The head says 100 MB; not one byte of them is waited for."""
    node = api.server._node
    host, port = split_listen(node.config.api.listen)
    token = node.config.path(node.config.api.token_file).read_text().strip()
    reader, writer = await asyncio.open_connection(host, port)
    head = (
        "POST /v1/match HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: 100000000\r\n\r\n"
    )
    writer.write(head.encode())
    async with asyncio.timeout(60):
        status = await reader.readline()
        told = await reader.readuntil(b"}")
    assert b"HTTP/1.1 413" in status
    assert str(BODY_BYTES_MAX).encode() in told
    writer.close()
    many = {"signals": [{"type": "pdq", "value": PDQ}] * 1_001}
    _, problem = await api.ask("POST", "/v1/match", many)
    assert "1000" in problem["detail"]
