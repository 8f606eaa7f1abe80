"""Members that nobody can connect to: they publish, receive and give receipts like any other.

Real nodes over real TLS. Those without a URL have no listener at all: there is no socket that a
peer could reach them by.
"""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from federation.daemon.node import Node
from federation.gossip import events
from federation.protocol.bodies import Confirm
from federation.protocol.origins import Lane, LogId
from federation.protocol.signals import Signal, SignalType
from tests.builders import make_confirm, make_signal, make_video
from tests.integration.conftest import Found, until
from tests.integration.test_federation import until_matched
from tests.integration.test_publish_crash import open_node, until_held

A, B, OUT, OTHER = "a.example", "b.example", "o.example", "p.example"


async def until_receipted(issuer: Node, log: LogId, size: int, by: set[str]) -> None:
    """Wait until an issuer keeps those members' receipts on that head or a later one."""

    async def is_so() -> bool:
        kept = await issuer.stores.receipts.receipts_by_member()
        return by <= {each.member for each in kept if each.log == log and each.size >= size}

    await until(is_so)


async def test_a_member_that_cannot_be_connected_to_publishes_and_receives_fully(
    found: Found,
) -> None:
    """Small statements inline, large ones pulled through the poll, receipts both ways."""
    founded = found([A, B, OUT], outbound=[OUT])
    async with AsyncExitStack() as stack:
        a, b, o = [await open_node(founded, member, stack) for member in (A, B, OUT)]
        assert not o.listener.port
        own = LogId(OUT, founded.chain.federation_id, Lane.CRISIS)
        await o.publisher.confirm(Lane.CRISIS, [make_confirm(1, signals=[make_signal(1)])])
        for node in (a, b):
            await until_matched(node, make_signal(1))
        await until_receipted(o, own, 1, {A, B})

        theirs = LogId(A, founded.chain.federation_id, Lane.CRISIS)
        (said,) = await a.publisher.confirm(
            Lane.CRISIS, [make_confirm(2, signals=[make_signal(2)])]
        )
        await until_matched(o, make_signal(2))
        await until_receipted(a, theirs, 1, {B, OUT})
        await a.publisher.withdraw(said.id, "mistake")
        await until_matched(o, make_signal(2), matched=False)

        # 40 kB: over what may ride inline, so A and B have to pull it from OUT, who has no address.
        film = Confirm("film", (Signal(SignalType.VPDQ, make_video(3, frames=1_000)),))
        bulk = LogId(OUT, founded.chain.federation_id, Lane.BULK)
        await o.publisher.confirm(Lane.BULK, [film])
        for node in (a, b):
            await until_held(node, bulk, 1)
        await until_receipted(o, bulk, 1, {A, B})
        assert not a.replicator.alarms
        (standing,) = [each for each in await a.peer_standings() if each.member == OUT]
        assert ("up", 0, ()) == (standing.link, standing.faults, standing.urls)


@pytest.mark.parametrize("issuer", [A, OUT])
async def test_an_upload_limit_is_waited_out_and_everything_arrives(
    issuer: str, found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused over HTTP or in an answer that is brought: either way it is said how long to wait."""
    founded = found([A, OUT], outbound=[OUT])
    path = founded.config_path(issuer)
    limit = "bulk_upload_bytes_per_second = "
    path.write_text(path.read_text().replace(f"{limit}0", f"{limit}50_000"))
    hearer = OUT if issuer == A else A
    waits: list[float | None] = []
    async with AsyncExitStack() as stack:
        said = await open_node(founded, issuer, stack)
        log = LogId(issuer, founded.chain.federation_id, Lane.BULK)
        for start in range(0, 1_500, 500):
            confirms = [make_confirm(number) for number in range(start, start + 500)]
            await said.publisher.confirm(Lane.BULK, confirms)
        heard = await Node.open(founded.config(hearer))
        stack.push_async_callback(heard.close)
        feed = heard.replicator.feed

        def note(event: events.Event) -> None:
            if isinstance(event, events.RangeFailed):
                waits.append(event.retry_after_seconds)
            feed(event)

        monkeypatch.setattr(heard.replicator, "feed", note)
        await heard.start()
        await until_held(heard, log, 1_500)
        await until_receipted(said, log, 1_500, {hearer})
    assert any(waits)  # others had other reasons, such as a poll that had not begun


async def test_two_such_members_hear_of_each_other_through_everybody_else(found: Found) -> None:
    founded = found([A, OUT, OTHER], outbound=[OUT, OTHER])
    async with AsyncExitStack() as stack:
        _a, o, p = [await open_node(founded, member, stack) for member in (A, OUT, OTHER)]
        assert {A} == set(o.replicator.engine.peers.reachable)
        for number, (issuer, hearer) in enumerate([(o, p), (p, o)]):
            signal = make_signal(number)
            await issuer.publisher.confirm(Lane.LIVE, [make_confirm(number, signals=[signal])])
            await until_matched(hearer, signal)


async def test_what_was_published_on_either_side_while_it_was_away_is_repaired(
    found: Found,
) -> None:
    """Down while others publish 1,500 statements; and its own 1,500 are pulled by a peer."""
    founded = found([A, OUT], outbound=[OUT])
    federation_id = founded.chain.federation_id
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        async with AsyncExitStack() as while_open:
            o = await open_node(founded, OUT, while_open)
            await o.publisher.confirm(Lane.LIVE, [make_confirm(1)])
            await until_held(a, LogId(OUT, federation_id, Lane.LIVE), 1)
        theirs, own = (LogId(member, federation_id, Lane.BULK) for member in (A, OUT))
        for start in (0, 500, 1_000):
            confirms = [make_confirm(number) for number in range(start, start + 500)]
            await a.publisher.confirm(Lane.BULK, confirms)
        o = await open_node(founded, OUT, stack)
        await until_held(o, theirs, 1_500)
        await until_receipted(a, theirs, 1_500, {OUT})
        for start in (2_000, 2_500, 3_000):
            confirms = [make_confirm(number) for number in range(start, start + 500)]
            await o.publisher.confirm(Lane.BULK, confirms)
        await until_held(a, own, 1_500)
        await until_receipted(o, own, 1_500, {A})
        await a.stores.check_log(own)
