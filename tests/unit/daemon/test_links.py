"""Whom a node polls that cannot be called: everybody who can be, at every version of the roster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import cast

import pytest

from federation.daemon import links as room
from federation.daemon.links import Links
from federation.net.asking import PeerCalls
from federation.net.limits import Share
from federation.net.mailboxes import Mailboxes
from federation.net.peering import PeerIdentities
from federation.net.polling import Carried
from federation.protocol.messages_calls import WaitingCall
from federation.protocol.roster_amendments import propose_members, readdressed
from federation.protocol.roster_chain import RosterChain
from tests.builders import (
    ACME,
    NEW_YEAR_2026_MS,
    NOVA,
    UMBRA,
    Founded,
    make_member,
    make_roster,
    sign_and_finish,
)


class Polling:
    """Stands for a poll: notes who is polled where, until it is ended."""

    now: dict[str, tuple[str, ...]]

    def __init__(self, link: PeerCalls, _carry_out: object, _share_of: object) -> None:
        self._link = link

    async def run(self) -> None:
        self.now[self._link.member] = getattr(self._link, "urls", ())
        try:
            await asyncio.Event().wait()
        finally:
            del self.now[self._link.member]


class Following:
    """Nova's links, at a roster that can be changed."""

    def __init__(self, founded: Founded) -> None:
        self.founded, self.chain = founded, founded.chain
        self.links = Links(
            NOVA,
            lambda: self.chain.newest,
            cast("PeerIdentities", None),
            Mailboxes(lambda _member: None),
            self.carry_out,
            lambda _peer, _call: Share.CONTROL,
        )

    async def carry_out(self, _peer: str, _call: WaitingCall) -> Carried:
        raise AssertionError("nobody calls")

    async def move(self, name: str, *urls: str) -> None:
        self.chain = moved(self.chain, self.founded, name, urls)
        await self.links.follow_roster()
        await asyncio.sleep(0)


def moved(chain: RosterChain, founded: Founded, name: str, urls: tuple[str, ...]) -> RosterChain:
    change = readdressed(chain.newest.member(name), urls)
    return sign_and_finish(
        propose_members(chain, [change], now_ms=NEW_YEAR_2026_MS), chain, founded.governors
    )


@pytest.fixture
async def follow(
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Callable[[Founded], Following]]:
    monkeypatch.setattr(Polling, "now", {}, raising=False)
    monkeypatch.setattr(room, "Poller", Polling)
    made: list[Following] = []

    def follow(founded: Founded) -> Following:
        made.append(Following(founded))
        return made[-1]

    yield follow
    for each in made:
        await each.links.close()


async def test_the_only_hub_is_polled_at_its_new_address_when_it_moves(
    follow: Callable[[Founded], Following],
) -> None:
    members = make_member(ACME), make_member(NOVA, urls=()), make_member(UMBRA, urls=())
    node = follow(make_roster(*members))
    node.links.poll()
    await asyncio.sleep(0)
    assert {ACME: (f"https://{ACME}:7001",)} == Polling.now
    await node.move(ACME, "https://elsewhere.example:7001")
    assert {ACME: ("https://elsewhere.example:7001",)} == Polling.now


async def test_a_node_whose_own_address_is_taken_out_begins_to_poll(
    follow: Callable[[Founded], Following],
) -> None:
    node = follow(make_roster())
    node.links.poll()
    await asyncio.sleep(0)
    assert {} == Polling.now
    await node.move(NOVA)
    assert {ACME, UMBRA} == Polling.now.keys()


async def test_nobody_is_polled_before_the_node_has_begun_to(
    follow: Callable[[Founded], Following],
) -> None:
    node = follow(make_roster())
    await node.move(NOVA)
    assert {} == Polling.now
