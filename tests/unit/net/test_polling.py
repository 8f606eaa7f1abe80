"""Polling a peer: each of its calls is carried out once, whenever and as whoever it comes back."""

from __future__ import annotations

import asyncio
import secrets

import pytest

from federation.net.asking import PeerCall
from federation.net.limits import ListenerLimits, Share
from federation.net.mailboxes import Mailboxes
from federation.net.polling import Carried, Poller
from federation.protocol.limits_messages import CALLS_MAX
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


def control(_peer: str, _call: WaitingCall) -> Share:
    """Every call is short."""
    return Share.CONTROL


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

    polling = asyncio.create_task(Poller(hub, carry_out, control).run())
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
    polling = asyncio.create_task(Poller(hub, carry_out, control).run())
    await turns(100)
    assert hub.polls > 2
    assert [7] == carried
    polling.cancel()


def share_by_path(_peer: str, call: WaitingCall) -> Share:
    return Share(call.target.removeprefix("/"))


async def test_slow_answers_about_bulk_hold_up_no_call_about_a_crisis(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub, never = Hub(monkeypatch), asyncio.Event()
    brought: list[str] = []

    async def carry_out(_peer: str, call: WaitingCall) -> Carried:
        if call.target == "/bulk":
            await never.wait()
        brought.append(call.target)
        return Carried(200, b"done")

    polling = asyncio.create_task(Poller(hub, carry_out, share_by_path).run())
    await turns()
    slow = [
        asyncio.create_task(hub.boxes.call("edge", PeerCall("GET", "/bulk", 1_000)))
        for _ in range(CALLS_MAX - 2)
    ]
    await turns(100)
    for path in ("/crisis", "/control"):
        assert (200, b"done") == await hub.boxes.call("edge", PeerCall("GET", path, 1_000))
    assert ["/crisis", "/control"] == brought
    never.set()
    assert len(slow) == len(await asyncio.gather(*slow))
    polling.cancel()


async def test_a_peer_has_no_more_calls_carried_out_than_one_that_connects_and_none_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub, never = Hub(monkeypatch), asyncio.Event()
    under_way: set[int] = set()
    calls = [WaitingCall(number, "/bulk", None) for number in range(1, 3 * CALLS_MAX + 1)]
    given = [calls[at : at + CALLS_MAX] for at in range(0, len(calls), CALLS_MAX)]

    async def heads(_since: int, _seconds: int) -> bytes:
        await asyncio.sleep(0)
        if not given:
            await asyncio.Event().wait()
        return encode_calls(tuple(given.pop(0)))

    async def carry_out(_peer: str, call: WaitingCall) -> Carried:
        under_way.add(call.number)
        await never.wait()
        return Carried(200, b"done")

    monkeypatch.setattr(hub, "heads", heads)
    poller = Poller(hub, carry_out, share_by_path)
    polling = asyncio.create_task(poller.run())
    await turns(100)
    assert not given
    assert ListenerLimits().in_flight(Share.BULK)[0] == len(under_way)
    assert CALLS_MAX == len(poller._carrying)
    polling.cancel()
