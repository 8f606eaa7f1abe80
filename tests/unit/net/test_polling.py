"""Polling a peer: each of its calls is carried out once, whenever and as whoever it comes back."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from federation.net.asking import PeerCall
from federation.net.limits import Share
from federation.net.mailboxes import Mailboxes
from federation.net.polling import Carried, Poller
from federation.protocol.messages_calls import WaitingCall, encode_calls

POST = PeerCall("POST", "/v1/announce", 1_000, body=b"news")


class Hub:
    """A peer with a mailbox for this node; it can be started again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.member, self._patch = "hub", monkeypatch
        self.polls = 0
        self.start(2**39)

    def start(self, numbers_from: int) -> None:
        self._patch.setattr(secrets, "randbelow", lambda _below: numbers_from)
        self.boxes = Mailboxes(lambda _member: None)

    async def heads(self, since: int, seconds: int) -> bytes:
        self.polls += 1
        await asyncio.sleep(0)
        return encode_calls(await self.boxes.poll("edge", since, seconds))

    async def bring(self, number: int, status: int, body: bytes, _share: Share) -> None:
        self.boxes.bring("edge", number, status, body)


async def turns(count: int = 20) -> None:
    """Let everybody go on for a while."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_hub_that_was_started_again_has_its_calls_carried_out_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub, carried, go_on = Hub(monkeypatch), list[int](), asyncio.Event()

    async def carry_out(_peer: str, call: WaitingCall) -> Carried:
        carried.append(call.number)
        await go_on.wait()
        return Carried(200, b"done")

    polling = asyncio.create_task(Poller(hub, carry_out).run())
    await turns()
    go_on.set()
    assert (200, b"done") == await hub.boxes.call("edge", POST)

    go_on.clear()
    carried.clear()
    before = hub.boxes
    hub.start(2**38)  # its numbers begin anywhere, here below the former ones
    before.keep(())
    await turns()
    waiting = asyncio.create_task(hub.boxes.call("edge", POST))
    await turns(200)
    assert [2**38 + 2] == carried
    go_on.set()
    assert (200, b"done") == await waiting
    polling.cancel()


async def test_a_call_that_is_given_out_again_while_it_is_carried_out_is_not_begun_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub, carried, go_on = Hub(monkeypatch), list[int](), asyncio.Event()
    again = encode_calls((WaitingCall(7, "/v1/announce", b"news"),))

    async def heads(_since: int, _seconds: int) -> bytes:
        hub.polls += 1
        await asyncio.sleep(0)
        return again

    async def carry_out(_peer: str, call: WaitingCall) -> Carried:
        carried.append(call.number)
        await go_on.wait()
        return Carried(200, b"done")

    monkeypatch.setattr(hub, "heads", heads)
    polling = asyncio.create_task(Poller(hub, carry_out).run())
    await turns(100)
    assert hub.polls > 2
    assert [7] == carried
    polling.cancel()
