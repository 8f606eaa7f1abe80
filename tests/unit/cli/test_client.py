"""The client of the local API, against servers that answer well, badly, and not at all."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from federation import errors
from federation.cli import client
from federation.cli.client import NodeClient
from federation.cli.exit_codes import exit_code_of
from federation.cli.exits import ExitCode
from federation.config import ApiSettings, NodeConfig
from federation.local_errors.askers import StatementNotFound, TokenWrong
from federation.local_errors.config import KeyFileInvalid
from federation.local_errors.content import SignalMalformed
from federation.local_errors.disk import StoreFull
from federation.local_errors.peers import NodeUnreachable, PeerAnswerTooLarge, PeerRefused
from federation.local_errors.proofs import Fork
from federation.web.problems import problem
from federation.web.schemas import RosterAnswer

TOKEN = "t" * 43
Answerer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def make_config(folder: Path, port: int, token: str = TOKEN) -> NodeConfig:
    token_file = folder / "api.token"
    token_file.write_text(token + "\n", encoding="utf-8")
    token_file.chmod(0o600)
    return NodeConfig(
        member="acme.example", folder=folder, api=ApiSettings(listen=f"127.0.0.1:{port}")
    )


@asynccontextmanager
async def served(folder: Path, answer: Answerer) -> AsyncIterator[NodeClient]:
    """A client of a server that answers everything in one way."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with NodeClient(make_config(folder, port)) as node:
            yield node
    finally:
        await runner.cleanup()


async def test_the_token_and_the_body_arrive_and_the_answer_is_validated(tmp_path: Path) -> None:
    seen: list[tuple[str, str, bytes]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.method, request.headers["Authorization"], await request.read()))
        return web.json_response({"version": 7})

    async with served(tmp_path, answer) as node:
        told = await node.post("/v1/roster", b"a root", RosterAnswer)
    assert 7 == told.version
    assert [("POST", f"Bearer {TOKEN}", b"a root")] == seen


@pytest.mark.parametrize(
    "raised",
    [
        SignalMalformed("wrong", hint="do better"),
        TokenWrong("wrong token"),
        StatementNotFound("no such statement"),
        StoreFull("disk full"),
        PeerRefused("it said no", status=503),
        Fork("two histories", first=b"1", second=b"2"),
    ],
    ids=lambda error: error.code,
)
async def test_a_problem_is_the_error_it_was_at_the_node(
    tmp_path: Path, raised: errors.FederationError
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return problem(raised)

    async with served(tmp_path, answer) as node:
        with pytest.raises(type(raised)) as told:
            await node.fetch("/v1/anything")
    assert (raised.code, raised.message, raised.hint) == (
        told.value.code,
        told.value.message,
        told.value.hint,
    )
    assert exit_code_of(raised) == exit_code_of(told.value)


@pytest.mark.parametrize(("status", "expected"), [(400, ExitCode.MISUSE), (503, ExitCode.UNKNOWN)])
async def test_a_code_of_a_later_release_is_kept(
    tmp_path: Path, status: int, expected: ExitCode
) -> None:
    fields = {"type": "urn:x", "title": "x", "status": status, "detail": "new", "code": "brand-new"}

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(fields, status=status)

    async with served(tmp_path, answer) as node:
        with pytest.raises(errors.FederationError) as told:
            await node.fetch("/v1/anything")
    assert ("brand-new", expected) == (told.value.code, exit_code_of(told.value))


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"version": "7"}', b"\xff\xfe"])
@pytest.mark.parametrize("status", [200, 404, 500])
async def test_something_else_that_answers_there_is_no_node(
    tmp_path: Path, body: bytes, status: int
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(body=body, status=status)

    async with served(tmp_path, answer) as node:
        with pytest.raises(NodeUnreachable):
            await node.get("/v1/status", RosterAnswer)


async def test_an_endless_answer_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_BYTES_MAX", 100_000)

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 10_000)

    async with served(tmp_path, answer) as node:
        with pytest.raises(PeerAnswerTooLarge):
            await node.fetch("/v1/anything")


async def test_the_token_follows_no_redirect(tmp_path: Path) -> None:
    paths: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async with served(tmp_path, answer) as node:
        with pytest.raises(NodeUnreachable):
            await node.fetch("/v1/anything")
    assert ["/v1/anything"] == paths


async def test_a_connection_that_breaks_leaves_open_what_was_done(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with served(tmp_path, answer) as node:
        with pytest.raises(NodeUnreachable, match="may have been done"):
            await node.post("/v1/roster", b"a root", RosterAnswer)


async def test_no_listener_is_an_unreachable_node(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, never listening
        async with NodeClient(make_config(tmp_path, taken.getsockname()[1])) as node:
            with pytest.raises(NodeUnreachable) as told:
                await node.fetch("/v1/anything")
    assert told.value.hint is not None
    assert "federation serve" in told.value.hint


async def test_a_node_that_is_starting_is_not_ready(tmp_path: Path) -> None:
    answers = [("starting", 503), ("ok", 200)]

    async def answer(_request: web.Request) -> web.Response:
        word, status = answers.pop(0)
        return web.json_response({"status": word}, status=status)

    async with served(tmp_path, answer) as node:
        assert [False, True] == [await node.is_ready(), await node.is_ready()]


def test_a_token_that_others_may_read_is_refused(tmp_path: Path) -> None:
    config = make_config(tmp_path, 1)
    (tmp_path / "api.token").chmod(0o644)
    with pytest.raises(KeyFileInvalid):
        NodeClient(config)


def test_a_token_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileInvalid):
        NodeClient(make_config(tmp_path, 1, "é" * 40))
