"""Importing a list: each line once, whatever interrupts it; refused lines are told by number."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from hashlib import sha256
from typing import Any

import aiohttp
import pytest

from federation.cli.importing import PART_LINES
from federation.daemon import importing
from federation.daemon.publisher import BATCH_STATEMENTS_MAX
from federation.local_errors.disk import StoreFull
from federation.protocol.origins import Lane
from federation.store.signal_store import CARRIERS_PER_LOG_MAX
from federation.web import import_api
from federation.web.app import LocalServer
from federation.web.import_schemas import LINE_BYTES_MAX
from tests.integration.conftest import Found
from tests.integration.test_publish_crash import open_node

A = "a.example"


def line(number: int, **more: Any) -> bytes:
    value = sha256(f"picture {number}".encode()).hexdigest()
    return json.dumps({"signals": [{"type": "pdq", "value": value}], **more}).encode() + b"\n"


class Lists:
    """A node's door for lists, over a real socket."""

    def __init__(self, session: aiohttp.ClientSession, server: LocalServer, address: str) -> None:
        self.session, self.server, self.address = session, server, address
        self.node = server.api._node

    async def send(self, lines: Sequence[bytes], path: str = "/v1/import") -> list[dict[str, Any]]:
        async with self.session.post(self.address + path, data=b"".join(lines)) as response:
            return [json.loads(each) for each in (await response.read()).splitlines()]

    async def held(self) -> int:
        logs = await self.node.stores.logs.load_logs()
        return sum(each.held.size for each in logs if each.log.lane is Lane.BULK)


async def opened(founded: Any, stack: AsyncExitStack) -> Lists:
    node = await open_node(founded, A, stack)
    server = LocalServer(node)
    await server.start()
    stack.push_async_callback(server.close)
    server.api.is_ready = True
    token = node.config.path(node.config.api.token_file).read_text().strip()
    session = await stack.enter_async_context(
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"})
    )
    return Lists(session, server, f"http://{node.config.api.listen}")


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_api, "IMPORT_BATCH", 10)
    monkeypatch.setattr(importing, "SLICE", 3)


async def test_list_is_published_in_few_checkpoints_and_found(found: Found) -> None:
    async with AsyncExitStack() as stack:
        lists = await opened(found([A]), stack)
        answers = await lists.send([line(number) for number in range(25)])
        assert [10, 10, 5] == [answer["published"] for answer in answers]
        assert 25 == await lists.held()
        (log,) = await lists.node.stores.logs.load_logs()
        checkpoints = await lists.node.stores.database.read("SELECT size FROM checkpoints")
        assert [(10,), (20,), (25,)] == sorted(checkpoints)
        assert Lane.BULK is log.log.lane


async def test_list_read_again_publishes_only_what_is_new(found: Found) -> None:
    founded = found([A])
    first = [line(number) for number in range(12)]
    async with AsyncExitStack() as stack:
        lists = await opened(founded, stack)
        await lists.send(first)
    async with AsyncExitStack() as stack:  # another process, after whatever happened to the first
        lists = await opened(founded, stack)
        again = [*first, line(3), line(12), line(12), line(5, item="another-name")]
        answers = await lists.send(again)
        assert 14 == sum(answer["known"] for answer in answers)
        assert 2 == sum(answer["published"] for answer in answers)
        assert 14 == await lists.held()


async def test_one_signal_under_many_names_is_published_once_under_each(found: Found) -> None:
    """More of them than a lookup for a match looks at."""
    cases = [line(1, item=f"case-{number}") for number in range(CARRIERS_PER_LOG_MAX + 45)]
    founded = found([A])
    async with AsyncExitStack() as stack:
        lists = await opened(founded, stack)
        await lists.send(cases)
        answers = await lists.send(cases)
        assert (0, len(cases)) == (
            sum(answer["published"] for answer in answers),
            sum(answer["known"] for answer in answers),
        )
        assert len(cases) == await lists.held()


async def test_known_lines_that_say_something_else_are_told_by_number(found: Found) -> None:
    async with AsyncExitStack() as stack:
        lists = await opened(found([A]), stack)
        first = [line(number, labels=["tvec1", "content:url"]) for number in range(4)]
        await lists.send(first)
        again = [
            line(0, labels=["content:url", "tvec1"]),  # the same, in another order
            line(1, labels=["tvec1"]),
            line(9),
            line(2, labels=["tvec1", "content:url"], expires_at_ms=4_000_000_000_000),
            line(9, labels=["tvec1"]),  # and beside another line of the same list
        ]
        (answer,) = await lists.send(again)
        assert (1, 4, [2, 4, 5]) == (answer["published"], answer["known"], answer["differing"])


async def test_refused_lines_are_told_by_number_and_the_others_published(found: Found) -> None:
    zeros = json.dumps({"signals": [{"type": "pdq", "value": "0" * 64}]}).encode() + b"\n"
    secret = sha256(b"secret").hexdigest()
    lines = [
        line(1),
        b"\n",
        b"not json " + secret.encode() + b"\n",
        line(2, labels=["no-such-label"]),
        zeros,
        b"x" * (LINE_BYTES_MAX + 5) + b"\n",
        line(3),
    ]
    async with AsyncExitStack() as stack:
        lists = await opened(found([A]), stack)
        (answer,) = await lists.send(lines)
        assert (7, 2) == (answer["lines"], answer["published"])
        assert [
            (3, "request-malformed"),
            (4, "label-unknown"),
            (5, "signal-degenerate"),
            (6, "too-large"),
        ] == [(each["line"], each["code"]) for each in answer["refused"]]
        assert secret not in json.dumps(answer)


async def test_full_disk_in_the_middle_is_told_and_loses_nothing_said(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with AsyncExitStack() as stack:
        lists = await opened(found([A]), stack)
        append = lists.node.stores.logs.append
        calls: list[int] = []

        async def fails_at_third(*arguments: Any, **named: Any) -> None:
            calls.append(len(calls))
            if len(calls) == 3:
                raise StoreFull("the disk is full")
            await append(*arguments, **named)

        monkeypatch.setattr(lists.node.stores.logs, "append", fails_at_third)
        lines = [line(number) for number in range(40)]
        answers = await lists.send(lines)
        assert [None, None, "store-full"] == [answer["error"] for answer in answers]
        assert 20 == await lists.held()
        answers = await lists.send(lines)
        assert (20, 20) == (
            sum(answer["known"] for answer in answers),
            sum(answer["published"] for answer in answers),
        )


def test_a_part_of_the_command_is_a_batch_of_the_publisher() -> None:
    assert PART_LINES == importing.IMPORT_BATCH == BATCH_STATEMENTS_MAX


async def test_wrong_lane_and_empty_list_are_answered(found: Found) -> None:
    async with AsyncExitStack() as stack:
        lists = await opened(found([A]), stack)
        (problem,) = await lists.send([line(1)], "/v1/import?lane=fast")
        assert "lane-unknown" == problem["code"]
        (answer,) = await lists.send([])
        assert (0, 0) == (answer["lines"], answer["published"])
        assert 0 == await lists.held()
