"""Bodies that are missing are asked for of whoever has the same history, over a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from federation.daemon.attester import Attester
from federation.daemon.desk import Desk
from federation.daemon.membership import Membership
from federation.gossip import events
from federation.local_errors.askers import RangeNotHeld
from federation.net.asking import PeerCall, PeerCalls
from federation.net.mailboxes import Mailboxes
from federation.provenance.taking_back import without_opening
from federation.store.stores import Stores
from tests.builders import ACME, NOVA, UMBRA, MadeLog, make_log
from tests.integration.test_after_commit import (
    FOUNDED,
    Holding,
    carried_out,
    holding,
    with_missing_bodies,
)


class CallsDesk(PeerCalls):
    """A way to a desk in the same process; only ranges are asked for."""

    def __init__(self, desk: Desk, made: MadeLog) -> None:
        super().__init__(UMBRA)
        self.desk, self.made = desk, made

    async def ask(self, call: PeerCall) -> bytes:
        params = call.params or {}
        start, end, at = (int(params[name]) for name in ("from", "to", "at"))
        root = bytes.fromhex(params["root"]) if "root" in params else None
        return await self.desk.statements(ACME, self.made.log.sha256, start, end, at, root)

    async def close(self) -> None:
        pass


def desk_of(node: Holding, stores: Stores) -> Desk:
    membership = Membership(FOUNDED.chain, stores.rosters)
    boxes = Mailboxes(lambda _member: None)
    return Desk(node.replicator, stores, membership, boxes, cast("Attester", None))


@asynccontextmanager
async def asked_for(folder: Path, theirs: MadeLog) -> AsyncIterator[list[events.Event | None]]:
    """What a node that lacks two bodies is told when it asks a peer that holds a log whole."""
    for each in ("here", "there"):
        (folder / each).mkdir()
    async with (
        holding(folder / "here") as (node, stores, _),
        holding(folder / "there") as (peer, peers, _),
    ):
        ours = await with_missing_bodies(stores)
        assert len(theirs.said) == await peer.hear(theirs)
        link = CallsDesk(desk_of(peer, peers), theirs)
        command = events.FetchOpenings(UMBRA, ours.log, 0, len(ours.said))
        yield await carried_out(node, stores, command, lambda _peer: link)


async def test_a_peer_that_holds_more_of_the_same_log_gives_the_bodies(tmp_path: Path) -> None:
    theirs = make_log(4, founded=FOUNDED)
    async with asked_for(tmp_path, theirs) as told:
        (received,) = told
        assert isinstance(received, events.OpeningsReceived)
        assert tuple(theirs.said[:2]) == received.message.statements


async def test_a_peer_with_another_history_refuses_and_gives_no_other_statement(
    tmp_path: Path,
) -> None:
    """What it would send is not what is missing, and it would be blamed for its issuer's fork."""
    theirs = make_log(founded=FOUNDED)
    theirs.say_numbers(range(10, 14))
    async with asked_for(tmp_path, theirs) as told:
        assert [events.OpeningsFailed] == [type(each) for each in told]


async def test_a_body_that_stands_whole_in_another_branch_is_found_here(tmp_path: Path) -> None:
    """One who forks his log says most things in both histories, at other places."""
    async with holding(tmp_path) as (node, stores, _):
        made = make_log(3, founded=FOUNDED)
        await stores.logs.append(made.moves[0])
        other = make_log(founded=FOUNDED)
        other.say(*made.said[:1], *made.said[2:])
        step = other.advance()
        bare = replace(step, statements=tuple(map(without_opening, step.statements)))
        empty = step.before.held
        assert step.view.head is not None
        await stores.branches.open(made.log, 1, base=0, held=empty, head=step.view.head)
        await stores.logs.append(bare, branch=1)
        assert {made.log: 2} == await stores.erasures.missing_counts()
        wanted = events.FetchOpenings(NOVA, made.log, 0, 2, branch=1)
        (found,) = await carried_out(node, stores, wanted)
        assert isinstance(found, events.OpeningsReceived)
        assert (NOVA, 1, tuple(other.said)) == (found.peer, found.branch, found.message.statements)
        opened = dict(enumerate(found.message.statements))
        await carried_out(node, stores, events.Reopen(made.log, opened, branch=1))
        assert {} == await stores.erasures.missing_counts()


async def test_what_is_not_in_use_yet_is_not_served_by_its_root_either(tmp_path: Path) -> None:
    """An erase may have come with it that is not applied yet."""
    async with holding(tmp_path) as (node, stores, _):
        made = make_log(3, founded=FOUNDED)
        await stores.logs.append(made.moves[0])
        root = await stores.trees.root_hash(made.log, 3)
        with pytest.raises(RangeNotHeld):
            await desk_of(node, stores).statements(ACME, made.log.sha256, 0, 3, 3, root=root)
