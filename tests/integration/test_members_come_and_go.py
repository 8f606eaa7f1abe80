"""A roster version takes effect on running nodes: who was removed is cut off, and not unsaid."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from federation.daemon.initialise import initialise
from federation.daemon.keyring import load_identity
from federation.daemon.node import Node
from federation.local_errors.askers import PeerNotAMember, RoleNotEnough
from federation.local_errors.peers import PeerRefused, PeerUnreachable
from federation.net.identities import identity_der, make_identity, mint_leaf
from federation.net.link import PeerLink
from federation.net.peering import PeerIdentities
from federation.protocol import roster_amendments, roster_proposals
from federation.protocol.messages import (
    Announcement,
    Comparison,
    encode_announcement,
    encode_comparison,
)
from federation.protocol.origins import Lane, LogId
from federation.protocol.roster_chain import RosterChain
from federation.protocol.roster_directory import tls_identities
from federation.protocol.roster_members import EMPTY_PIN, MemberRole, Pin
from federation.protocol.roster_roles import Call, may
from federation.protocol.texts import format_base64
from tests.builders import make_confirm, make_signal
from tests.integration.conftest import SECONDS_MAX, Found, Founded, until
from tests.integration.test_federation import until_matched
from tests.integration.test_publish_crash import open_node, until_held

A, B, C = "a.example", "b.example", "c.example"


def decided(founded: Founded, chain: RosterChain, proposal_bytes: bytes) -> RosterChain:
    """The chain after the governor signed that proposal."""
    signed = roster_proposals.sign_proposal(proposal_bytes, founded.governor)
    return roster_proposals.finish(signed, chain)


def without(
    founded: Founded, member: str, witness: Node, successor: str | None = None
) -> RosterChain:
    """The chain in which a member has departed, each log pinned where another node holds it."""
    pins = {}
    for lane in Lane:
        log = LogId(member, founded.chain.federation_id, lane)
        sync = witness.replicator.engine.logs.get(log)
        head = sync.view.head if sync else None
        pins[log] = Pin(head.size, head.root_hash) if head else EMPTY_PIN
    now_ms = time.time_ns() // 1_000_000
    proposal = roster_amendments.propose_remove(
        founded.chain, member, pins, now_ms=now_ms, successor=successor
    )
    return decided(founded, founded.chain, proposal.proposal_bytes)


async def raw_connection(
    founded: Founded, member: str, host: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A TLS connection to a node under a leaf of a member's own, HTTP by hand."""
    config = founded.config(member)
    certificate = config.path(config.keys.identity_certificate).read_bytes()
    key = config.path(config.keys.identity).read_bytes()
    leaf = mint_leaf(certificate, key, member, datetime.now(UTC), 24)
    file = founded.folder / f"{member}-raw.pem"
    file.write_bytes(leaf.private_key + leaf.certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(file)
    url = urlsplit(founded.chain.newest.member(host).urls[0])
    return await asyncio.open_connection(url.hostname, url.port, ssl=context)


async def test_a_removed_member_is_cut_off_at_once_and_what_it_said_stays(found: Found) -> None:
    """Its open connection ends, its later announcements are refused, its statements still count."""
    founded = found([A, B, C])
    async with AsyncExitStack() as stack:
        a, b, c = [await open_node(founded, member, stack) for member in (A, B, C)]
        (said,) = await b.publisher.confirm(Lane.LIVE, [make_confirm(1, signals=[make_signal(1)])])
        for node in (a, c):
            await until_matched(node, make_signal(1))
            await until_held(node, said.log, said.index + 1)  # so far it is pinned
        reader, writer = await raw_connection(founded, B, A)
        stack.callback(writer.transport.abort)
        writer.write(b"GET /roster/1.root.json HTTP/1.1\r\nHost: a.example\r\n\r\n")
        async with asyncio.timeout(SECONDS_MAX):
            assert b"HTTP/1.1 200 OK\r\n" == await reader.readline()
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        assert B in a.listener.connections()

        await a.membership.adopt(without(founded, B, a).versions[-1])

        assert B not in a.listener.connections()
        async with asyncio.timeout(SECONDS_MAX):
            assert b"" == await reader.read()
        await c.membership.adopt(a.membership.chain.versions[-1])
        await b.publisher.confirm(Lane.LIVE, [make_confirm(2, signals=[make_signal(2)])])

        async def is_refused() -> bool:
            (standing,) = [each for each in await b.peer_standings() if each.member == A]
            return bool(standing.failures)

        await until(is_refused)
        assert a.listener.counters.handshakes_refused or a.listener.counters.requests_refused
        for node in (a, c):
            await until_matched(node, make_signal(1))
            assert said.id == (await node.matcher.match([make_signal(1)], 0))[0][0].opinions[0].id
            assert ((),) == tuple(await node.matcher.match([make_signal(2)], 0))


async def test_an_identity_is_rotated_under_a_running_node(found: Found) -> None:
    """Both are pinned, the files are exchanged, the former is taken out: nobody is cut off."""
    founded = found([A, B])
    async with AsyncExitStack() as stack:
        a, b = [await open_node(founded, member, stack) for member in (A, B)]
        renewed = make_identity(B, not_before=datetime.now(UTC) - timedelta(hours=2))
        chain = founded.chain
        former = format_base64(chain.newest.member(B).tls_identities[-1])
        later = format_base64(identity_der(renewed.certificate))
        for pinned in ([former, later], [later]):
            facts = roster_proposals.roster_facts(chain)
            facts["members"][1]["tls_identities"] = pinned
            now_ms = time.time_ns() // 1_000_000
            proposal = roster_proposals.propose_facts(chain, facts, now_ms=now_ms, expires_days=30)
            chain = decided(founded, chain, proposal.proposal_bytes)
            for node in (a, b):
                await node.membership.adopt(chain.versions[-1])
            config = founded.config(B)
            config.path(config.keys.identity_certificate).write_bytes(renewed.certificate)
            config.path(config.keys.identity).write_bytes(renewed.private_key)
            b.peer_side.renew_leaf()  # as its upkeep does each minute
            number = len(pinned)
            (said,) = await b.publisher.confirm(
                Lane.LIVE, [make_confirm(number, signals=[make_signal(number)])]
            )
            await until_matched(a, make_signal(number))
            (heard,) = await a.publisher.confirm(
                Lane.LIVE, [make_confirm(10 + number, signals=[make_signal(10 + number)])]
            )
            await until_matched(b, make_signal(10 + number))
            assert said.log != heard.log
        assert not b.replicator.alarms
        assert ["up"] == [standing.link for standing in await a.peer_standings()]


async def asked(link: PeerLink, log: LogId) -> dict[Call, str]:
    """What comes of asking for everything there is."""
    calls: dict[Call, Callable[[], Awaitable[object]]] = {
        Call.ANNOUNCE: lambda: link.announce(encode_announcement(Announcement((), 1))),
        Call.DIGEST: lambda: link.digest(encode_comparison(Comparison(bytes(32), 1))),
        Call.STATEMENTS: lambda: link.statements(log.sha256, 0, 1, 1),
        Call.CHECKPOINT: lambda: link.checkpoint(log.sha256),
        Call.ROSTER: lambda: link.roster(1),
    }
    came: dict[Call, str] = {}
    for call, ask in calls.items():
        try:
            await ask()
        except PeerRefused as error:
            came[call] = error.message.rpartition("(")[2].rstrip(")")
        except PeerUnreachable:
            came[call] = "unreachable"
        else:
            came[call] = "answered"
    return came


@pytest.mark.parametrize(
    "roles",
    [
        {MemberRole.OBSERVER},
        {MemberRole.AUDITOR},
        {MemberRole.AUDITOR, MemberRole.OBSERVER},
        {MemberRole.AUDITOR, MemberRole.WITNESS},
    ],
    ids=lambda roles: " and ".join(sorted(roles)),
)
async def test_a_role_gets_what_it_may_have_and_the_next_version_changes_it(
    roles: set[MemberRole], found: Found
) -> None:
    """Each call of the peer API on one kept-alive connection, before and after a suspension."""
    founded = found([A])
    request = initialise(founded.folder / B, B, "https://127.0.0.1:1")
    now_ms = time.time_ns() // 1_000_000
    proposal = roster_proposals.propose_add(
        founded.chain, request, now_ms=now_ms, roles=frozenset(roles)
    )
    chain = decided(founded, founded.chain, proposal.proposal_bytes)
    async with AsyncExitStack() as stack:
        a = await open_node(founded, A, stack)
        await a.publisher.confirm(Lane.LIVE, [make_confirm(1)])
        await a.membership.adopt(chain.versions[-1])
        identity = load_identity(founded.config(B))
        identities = PeerIdentities(B, identity, founded.folder / B / "tls")
        identities.replace(tls_identities(chain.newest))
        link = PeerLink(A, chain.newest.member(A).urls, identities)
        stack.push_async_callback(link.close)
        log = LogId(A, chain.federation_id, Lane.LIVE)

        came = await asked(link, log)

        member = chain.newest.member(B)
        assert came == {
            call: "answered" if may(member, call) else RoleNotEnough.code for call in came
        }
        refused = sum(answer == RoleNotEnough.code for answer in came.values())
        assert refused == a.listener.counters.refused_of.get(B, Counter())[RoleNotEnough.code]

        facts = roster_proposals.roster_facts(chain)
        facts["members"][1]["status"] = "suspended"
        suspended = roster_proposals.propose_facts(chain, facts, now_ms=now_ms, expires_days=30)
        chain = decided(founded, chain, suspended.proposal_bytes)
        await a.membership.adopt(chain.versions[-1])
        assert set((await asked(link, log)).values()) == {"unreachable"}
        assert a.listener.counters.refused_of[B][PeerNotAMember.code]
