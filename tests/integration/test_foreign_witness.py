"""Own heads at a witness from outside, over HTTP: another node's witness, and bad ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from federation.config import WitnessSettings
from federation.daemon import cosigning
from federation.daemon.cosigning import FAILURES_BEFORE_ALARM, ForeignWitnesses
from federation.local_errors.peers import PeerUnreachable
from federation.net.public_listener import PublicListener
from federation.net.witness_client import WitnessClient, WitnessReply
from federation.protocol.keys import KeyType, VerifierKey
from federation.protocol.notes import parse_note
from federation.protocol.origins import Cosigner, Lane, LogId
from federation.provenance.verifier import Head
from tests.builders import (
    ACME,
    NEW_YEAR_2026_MS,
    NOVA,
    MadeLog,
    make_key,
    make_log,
    make_roster,
)
from tests.integration.conftest import until
from tests.integration.public_logs import PublicNode, open_public_node

FOUNDED = make_roster()
NOVAS = FOUNDED.roster.cosigner_vkey(NOVA, Cosigner.WITNESS)


@pytest.fixture
async def acme(tmp_path: Path) -> AsyncIterator[PublicNode]:
    (tmp_path / "acme").mkdir()
    opened = await open_public_node(
        tmp_path / "acme", FOUNDED, now_ms=NEW_YEAR_2026_MS, member=ACME
    )
    async with opened:
        yield opened


@pytest.fixture
async def witness(tmp_path: Path) -> AsyncIterator[PublicListener]:
    """Nova's witness, which knows nothing of acme's log."""
    node = await open_public_node(tmp_path, FOUNDED, now_ms=NEW_YEAR_2026_MS)
    serving = PublicListener(node.desk)
    await serving.start("127.0.0.1", 0)
    async with node:
        yield serving
        await serving.close()


def asker(node: PublicNode, port: int, vkey: VerifierKey = NOVAS) -> ForeignWitnesses:
    settings = WitnessSettings(name="outside", vkey=vkey.format(), url=f"http://127.0.0.1:{port}")
    return ForeignWitnesses([settings], node.stores, WitnessClient())


async def published(node: PublicNode, *sizes: int, lane: Lane = Lane.LIVE) -> MadeLog:
    """A log of acme's in steps, held by its own node."""
    made = make_log(founded=FOUNDED, lane=lane)
    for size in sizes:
        made.say_numbers(range(len(made.said), size))
        made.advance()
    await node.hold(made)
    return made


async def cosigners(node: PublicNode, made: MadeLog) -> set[str]:
    """Names of the lines under acme's newest checkpoint."""
    head = await node.stores.public.public_head(made.log, 2**62)
    assert head is not None
    return {line.split(" ")[1] for line in head.lines}


async def test_its_line_stands_under_the_checkpoint(
    acme: PublicNode, witness: PublicListener
) -> None:
    made = await published(acme, 5, 300)
    foreign = asker(acme, witness.port)
    try:
        assert await ask(foreign, made.head(5))
        assert await ask(foreign, made.head(300))
    finally:
        await foreign.close()
    assert {NOVAS.name} == await cosigners(acme, made)
    note = await acme.quorum.public_head(made.log, 2**62)
    assert note is not None


async def ask(foreign: ForeignWitnesses, head: Head) -> bool:
    """Whether its one witness cosigns."""
    (witness,) = foreign._witnesses
    return await foreign._ask(witness, head)


class Unreachable(WitnessClient):
    """Cannot reach anybody so often, before it can."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def add_checkpoint(self, url: str, body: bytes) -> WitnessReply:
        if self.times:
            self.times -= 1
            raise PeerUnreachable("no connection")
        return await super().add_checkpoint(url, body)


async def test_a_witness_that_was_down_is_asked_again_without_another_publish(
    acme: PublicNode, witness: PublicListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosigning, "RETRY_SECONDS_FIRST", 0.0)
    made = await published(acme, 5)
    url = f"http://127.0.0.1:{witness.port}"
    settings = WitnessSettings(name="outside", vkey=NOVAS.format(), url=url)
    foreign = ForeignWitnesses([settings], acme.stores, Unreachable(FAILURES_BEFORE_ALARM))
    asking = asyncio.create_task(foreign.run())
    foreign.published(made.head())

    async def is_signed() -> bool:
        return {NOVAS.name} == await cosigners(acme, made)

    try:
        await until(is_signed)
        assert [] == foreign.alarms()
    finally:
        asking.cancel()
        await foreign.close()


class Refusing(WitnessClient):
    """Refuses one log so often, and no other."""

    def __init__(self, log: LogId, times: int) -> None:
        super().__init__()
        self.log, self.times = log, times
        self.refused = asyncio.Event()

    async def add_checkpoint(self, url: str, body: bytes) -> WitnessReply:
        if self.times and self.log.origin.encode() + b"\n" in body:
            self.times -= 1
            self.refused.set()
            raise PeerUnreachable("no connection")
        return await super().add_checkpoint(url, body)


def refusing(node: PublicNode, port: int, client: Refusing) -> ForeignWitnesses:
    settings = WitnessSettings(name="outside", vkey=NOVAS.format(), url=f"http://127.0.0.1:{port}")
    return ForeignWitnesses([settings], node.stores, client)


async def test_a_log_that_was_refused_is_asked_again_though_another_one_was_cosigned_since(
    acme: PublicNode, witness: PublicListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cosigning, "RETRY_SECONDS_FIRST", 0.0)
    live, bulk = await published(acme, 5), await published(acme, 5, lane=Lane.BULK)
    foreign = refusing(acme, witness.port, Refusing(live.log, 1))
    foreign.published(live.head())
    foreign.published(bulk.head())
    asking = asyncio.create_task(foreign.run())

    async def are_signed() -> bool:
        return await cosigners(acme, live) == {NOVAS.name} == await cosigners(acme, bulk)

    try:
        await until(are_signed)
    finally:
        asking.cancel()
        await foreign.close()


async def test_a_log_that_is_refused_holds_up_no_other_one_and_alarms_all_the_same(
    acme: PublicNode, witness: PublicListener, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RETRY_SECONDS_FIRST", "RETRY_SECONDS_MAX"):
        monkeypatch.setattr(cosigning, name, 86_400.0)
    live, bulk = await published(acme, 5), await published(acme, 5, lane=Lane.BULK)
    client = Refusing(live.log, FAILURES_BEFORE_ALARM)
    foreign = refusing(acme, witness.port, client)
    asking = asyncio.create_task(foreign.run())

    async def is_signed() -> bool:
        return {NOVAS.name} == await cosigners(acme, bulk)

    try:
        foreign.published(live.head())
        await client.refused.wait()
        foreign.published(bulk.head())
        await until(is_signed)
        asking.cancel()
        for _ in range(FAILURES_BEFORE_ALARM - 1):
            assert [] == foreign.alarms()
            assert not await ask(foreign, live.head())
            assert await ask(foreign, bulk.head())
        assert ["witness-silent"] == [code for code, _ in foreign.alarms()]
        assert await ask(foreign, live.head())
        assert [] == foreign.alarms()
    finally:
        asking.cancel()
        await foreign.close()


async def test_what_it_saw_before_is_learnt_from_its_409(
    acme: PublicNode, witness: PublicListener
) -> None:
    """A restarted node does not know what the witness has seen: one more request tells."""
    made = await published(acme, 5, 300)
    for head in (made.head(5), made.head(300), made.head(300)):
        foreign = asker(acme, witness.port)
        try:
            assert await ask(foreign, head)
        finally:
            await foreign.close()
    assert {NOVAS.name} == await cosigners(acme, made)


async def test_another_keys_line_is_not_kept_and_the_third_failure_alarms(
    acme: PublicNode, witness: PublicListener
) -> None:
    made = await published(acme, 5)
    other = VerifierKey(NOVAS.name, KeyType.COSIGNATURE_ED25519, make_key("other").public)
    foreign = asker(acme, witness.port, other)
    try:
        for _ in range(FAILURES_BEFORE_ALARM):
            assert [] == foreign.alarms()
            assert not await ask(foreign, made.head())
        assert ["witness-silent"] == [code for code, _ in foreign.alarms()]
    finally:
        await foreign.close()
    assert set() == await cosigners(acme, made)


@pytest.mark.parametrize(
    ("status", "media_type", "body"),
    [
        (200, "text/plain", b"\xff"),
        (200, "text/plain", b""),
        (200, "text/plain", b"\xe2\x80\x94 x AAAA\n"),
        (200, "text/plain", b"A" * 300_000),
        (409, "text/x.tlog.size", b"999\n"),
        (409, "text/x.tlog.size", b"x"),
        (409, "text/plain", b"0\n"),
        (409, "text/x.tlog.size", b"2\n"),
        (302, "text/plain", b""),
        (500, "text/plain", b"no"),
    ],
)
async def test_a_strange_answer_is_a_failure_and_nothing_else(
    acme: PublicNode, status: int, media_type: str, body: bytes
) -> None:
    """A witness that is broken, hostile, or always says 409."""
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(await request.read())
        return web.Response(status=status, body=body, headers={"Content-Type": media_type})

    application = web.Application()
    application.router.add_post("/add-checkpoint", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made = await published(acme, 5)
    foreign = asker(acme, runner.addresses[0][1])
    try:
        assert not await ask(foreign, made.head())
    finally:
        await foreign.close()
        await runner.cleanup()
    assert 1 <= len(asked) <= 2
    assert parse_note(asked[0].partition(b"\n\n")[2]).text == made.head().checkpoint.text


async def test_a_witness_that_is_down_or_mute_costs_a_second_and_no_more(acme: PublicNode) -> None:
    made = await published(acme, 5)
    foreign = asker(acme, 1)
    try:
        assert not await ask(foreign, made.head())
    finally:
        await foreign.close()
