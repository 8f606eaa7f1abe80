"""A node behind Debian's nginx, which ends TLS: signed requests, signed answers, and who gets in.

Attackers here stand where the balancer stands, or hold a member's request: they see, change, keep
and repeat what passes, with TLS of their own out of their way.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from federation.daemon.node import Node
from federation.local_errors.askers import RoleNotEnough
from federation.local_errors.peers import PeerError, PeerIdentityWrong, PeerRefused, PeerUnreachable
from federation.net.link import PeerLink
from federation.net.peering import PeerIdentities
from federation.net.refusals import decode_refusal
from federation.net.signatures import RequestMessage, sign_request
from federation.protocol.messages import Comparison, encode_comparison
from federation.protocol.origins import Lane, LogId
from tests.builders import make_confirm, make_signal
from tests.integration.balancers import HOST, Authority, needs_nginx, nginx, trusting
from tests.integration.conftest import Found, Founded
from tests.integration.test_federation import until_matched
from tests.integration.test_outbound_only import until_receipted
from tests.integration.test_publish_crash import open_node, until_held
from tests.ports import free_ports

pytestmark = needs_nginx

A, B, OUT = "a.example", "b.example", "out.example"
DIGEST = encode_comparison(Comparison(bytes(32), 1))
WAIT_SECONDS = 30.0


@dataclass
class Site:
    """A federation of A, behind a balancer at a URL, and B; nothing runs yet."""

    founded: Founded
    authority: Authority
    front_port: int
    node_port: int
    prefix: str
    tls: tuple[Path, Path]

    @property
    def front_url(self) -> str:
        return f"https://localhost:{self.front_port}{self.prefix}"

    @asynccontextmanager
    async def balanced(self) -> AsyncIterator[None]:
        """nginx in front of A's node: TLS ends here, and the prefix is passed on as it came."""
        at = f"location / {{ proxy_pass http://{HOST}:{self.node_port}; }}"
        async with nginx(self.founded.folder / "nginx", self.front_port, self.tls, at):
            yield


@pytest.fixture
def site(found: Found, tmp_path: Path) -> Callable[..., Site]:
    def make(prefix: str = "", others: Sequence[str] = ()) -> Site:
        front_port, node_port = free_ports(2)
        url = f"https+signatures://localhost:{front_port}{prefix}"
        founded = found([A, B, *others], outbound=others, urls={A: url})
        authority = Authority(tmp_path)
        tls = authority.issue()
        for member in (A, B, *others):
            path = founded.config_path(member)
            text = path.read_text().replace(
                'authorities_file = ""', f'authorities_file = "{authority.certificate}"'
            )
            if member == A:
                config = founded.config(A)
                text = text.replace(
                    f'listen = "{config.peers.listen}"', f'listen = "{HOST}:{node_port}"'
                ).replace('listen_mode = "mutual-tls"', 'listen_mode = "http-signatures"')
            path.write_text(text)
        return Site(founded, authority, front_port, node_port, prefix, tls)

    return make


@dataclass
class Seen:
    """What passed an attacker in the balancer's place."""

    requests: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)


async def next_second() -> None:
    """Nothing counts that was signed in the second in which a node started."""
    await asyncio.sleep(1.01 - time.time() % 1)


def identities_of(node: Node) -> PeerIdentities:
    return node.peer_side._identities


async def sent(
    site: Site, message: RequestMessage, body: bytes | None = None
) -> tuple[int, str | None]:
    """Status and code of what comes back for a request made by hand, through nginx."""
    async with (
        asyncio.timeout(WAIT_SECONDS),
        aiohttp.ClientSession() as session,
        session.request(
            message.method,
            message.url,
            headers=message.headers,
            data=body,
            ssl=trusting(site.authority),
        ) as response,
    ):
        return response.status, decode_refusal(await response.read())


def signed(
    site: Site, node: Node, *, body: bytes = DIGEST, path: str = "/v1/digest", at: float = 0.0
) -> RequestMessage:
    """A request as a node would sign it, seconds away from now."""
    message = RequestMessage("POST", site.front_url + path, {"Content-Type": "application/msgpack"})
    sign_request(message, body, identities_of(node).signing_leaf(), time.time() + at)
    return message


@pytest.mark.parametrize("prefix", ["", "/peers/a"])
async def test_a_federation_through_a_balancer_works_as_any_other(
    prefix: str, site: Callable[..., Site]
) -> None:
    """Both directions, inline and pulled, receipts; A answers B's signed requests through nginx."""
    here = site(prefix)
    federation_id = here.founded.chain.federation_id
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(here.balanced())
        a, b = [await open_node(here.founded, member, stack) for member in (A, B)]
        await a.publisher.confirm(Lane.CRISIS, [make_confirm(1, signals=[make_signal(1)])])
        await until_matched(b, make_signal(1))
        await b.publisher.confirm(Lane.CRISIS, [make_confirm(2, signals=[make_signal(2)])])
        await until_matched(a, make_signal(2))
        await until_receipted(b, LogId(B, federation_id, Lane.CRISIS), 1, {A})
        log = LogId(A, federation_id, Lane.BULK)
        await a.publisher.confirm(Lane.BULK, [make_confirm(number) for number in range(600)])
        await until_held(b, log, 600)
        await until_receipted(a, log, 600, {B})
        assert a.listener.counters.requests_answered
        assert not a.listener.counters.requests_malformed
        assert [] == a.peer_side.alarms() == b.peer_side.alarms()


async def test_a_member_that_only_calls_reaches_one_behind_a_balancer(
    site: Callable[..., Site],
) -> None:
    """Long polls through nginx: neither has an address that the other could connect to as it is."""
    here = site(others=[OUT])
    federation_id = here.founded.chain.federation_id
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(here.balanced())
        a, out = [await open_node(here.founded, member, stack) for member in (A, OUT)]
        await a.publisher.confirm(Lane.CRISIS, [make_confirm(1, signals=[make_signal(1)])])
        await until_matched(out, make_signal(1))
        await until_receipted(a, LogId(A, federation_id, Lane.CRISIS), 1, {OUT})
        own = LogId(OUT, federation_id, Lane.BULK)
        await out.publisher.confirm(Lane.BULK, [make_confirm(number) for number in range(600)])
        await until_held(a, own, 600)
        await until_receipted(out, own, 600, {A})


async def exchanged(port: int, sent: bytes) -> bytes:
    """The head of what the node itself says to bytes from beside the balancer."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            writer.write(sent)
            return await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.transport.abort()


async def test_bad_input_costs_a_look_at_its_head(site: Callable[..., Site]) -> None:
    """Junk, endless heads, and bodies of strangers that would never end, past the balancer."""
    here = site()
    endless = b"POST /v1/announce HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    async with AsyncExitStack() as stack:
        a = await open_node(here.founded, A, stack)
        for sent, status in (
            (b"\x16\x03\x01 TLS where there is none\r\n\r\n", b"400"),
            (b"GET /v1/heads HTTP/1.1\r\nX: " + b"a" * 3_000 + b"\r\n\r\n", b"400"),
            (b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: 1\r\n" % n for n in range(99)), b"400"),
            (b"GET http://evil.example/v1/digest HTTP/1.1\r\nHost: x\r\n\r\n", b"403"),
            (endless + b"\r\nffffffff\r\n", b"403"),
            (endless + b"Federation-Leaf: :AAAA:\r\n\r\nffffffff\r\n", b"403"),
        ):
            answer = await exchanged(here.node_port, sent + b"\r\n")
            assert status == answer.split(b" ")[1], (sent[:40], answer[:200])
            assert b"Signature" not in answer
        counters = a.listener.counters
        assert 0 == counters.faults == counters.requests_answered
        assert 3 <= counters.requests_malformed
        assert 2 <= counters.requests_refused["request-unproven"]
        assert 1 <= counters.requests_refused["peer-not-a-member"]


async def test_what_is_not_signed_or_changed_on_the_way_is_refused(
    site: Callable[..., Site],
) -> None:
    """Unsigned; another body, path, method or leaf; a signature for another node; an old one."""
    here = site()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(here.balanced())
        a, b = [await open_node(here.founded, member, stack) for member in (A, B)]
        await next_second()
        unsigned = RequestMessage("POST", f"{here.front_url}/v1/digest", {})
        assert (403, "request-unproven") == await sent(here, unsigned, DIGEST)

        assert 200 == (await sent(here, signed(here, b), DIGEST))[0]
        changed = [
            (signed(here, b), DIGEST + b"\0"),
            (signed(here, b), b""),
            (signed(here, b, path="/v1/announce"), DIGEST),
            (signed(here, b), DIGEST),
        ]
        changed[2][0].url = f"{here.front_url}/v1/digest"
        changed[3][0].method = "PUT"
        for message, body in changed:
            assert (403, "request-unproven") == await sent(here, message, body)

        anothers = signed(here, b)
        anothers.headers["Federation-Leaf"] = signed(here, a).headers["Federation-Leaf"]
        assert (403, "request-unproven") == await sent(here, anothers, DIGEST)

        elsewhere = signed(here, b)
        elsewhere.url = f"https://c.example:{here.front_port}/v1/digest"
        sign_request(elsewhere, DIGEST, identities_of(b).signing_leaf(), time.time())
        elsewhere.url = f"{here.front_url}/v1/digest"
        assert (403, "request-unproven") == await sent(here, elsewhere, DIGEST)

        for seconds in (-61.5, 45.0):  # the second shrinks while it is under way
            assert (403, "clock-skew") == await sent(here, signed(here, b, at=seconds), DIGEST)
        refused = a.listener.counters.requests_refused
        assert 7 <= refused["request-unproven"]
        assert 2 <= refused["clock-skew"]


async def test_a_request_that_was_taken_is_not_taken_again(site: Callable[..., Site]) -> None:
    """Whoever kept one repeats it in vain; also when the node was restarted in between."""
    here = site()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(here.balanced())
        b = await open_node(here.founded, B, stack)
        async with AsyncExitStack() as first:
            await open_node(here.founded, A, first)
            await next_second()
            kept = signed(here, b)
            assert 200 == (await sent(here, kept, DIGEST))[0]
            assert (403, "request-replayed") == await sent(here, kept, DIGEST)
        await open_node(here.founded, A, stack)
        assert (403, "request-replayed") == await sent(here, kept, DIGEST)
        await next_second()
        assert 200 == (await sent(here, signed(here, b), DIGEST))[0]


async def test_a_removed_member_and_one_without_the_role_are_refused(
    site: Callable[..., Site],
) -> None:
    """The roster of the moment decides, whatever connections the balancer keeps open."""
    here = site()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(here.balanced())
        a, b = [await open_node(here.founded, member, stack) for member in (A, B)]
        await next_second()
        assert 200 == (await sent(here, signed(here, b), DIGEST))[0]
        identities = identities_of(a)
        pinned = {A: identities._identities[A]}
        identities.replace(pinned, {B: identities._identities[B]})
        assert (403, "peer-not-a-member") == await sent(here, signed(here, b), DIGEST)
        permit = a.peer_side.listener

        identities.replace({**pinned, B: identities._former[B]})
        assert 200 == (await sent(here, signed(here, b), DIGEST))[0]
        assert permit.counters.requests_refused["peer-not-a-member"]


@asynccontextmanager
async def imposter(
    site: Site, seen: Seen, change: Callable[[int, dict[str, str], bytes], tuple[int, bytes]]
) -> AsyncIterator[None]:
    """Somebody with the balancer's certificate who passes on, and changes the answers."""

    async def pass_on(request: web.Request) -> web.Response:
        body = await request.read()
        fields = {name: value for name, value in request.headers.items() if name != "Host"}
        url = f"http://{HOST}:{site.node_port}{request.path_qs}"
        async with (
            aiohttp.ClientSession() as session,
            session.request(request.method, url, headers=fields, data=body or None) as answer,
        ):
            told = await answer.read()
            kept = {
                name: value
                for name, value in answer.headers.items()
                if name not in {"Content-Length", "Transfer-Encoding", "Date"}
            }
            status, told = change(answer.status, kept, told)
        seen.requests.append((request.method, request.path_qs, fields, body))
        seen.answers.append((status, kept, told))
        return web.Response(status=status, headers=kept, body=told)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*site.tls)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", pass_on)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, HOST, site.front_port, ssl_context=context).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def test_an_answer_that_the_peer_did_not_give_to_this_request_is_none(
    site: Callable[..., Site],
) -> None:
    """The balancer's owner changes, swaps and repeats answers: each is told from the peer's own."""
    here = site()
    seen = Seen()
    kept: list[tuple[int, dict[str, str], bytes]] = []
    mood = ["pass"]

    def change(status: int, fields: dict[str, str], body: bytes) -> tuple[int, bytes]:
        if mood == ["body"]:
            return status, body + b"\0"
        if mood == ["status"]:
            return 404, body
        if mood == ["earlier"]:
            fields.clear()
            fields.update(kept[0][1])
            return kept[0][0], kept[0][2]
        if mood == ["unsigned"]:
            fields.pop("Signature", None)
        return status, body

    async with AsyncExitStack() as stack:
        a = await open_node(here.founded, A, stack)
        b = await open_node(here.founded, B, stack)
        await stack.enter_async_context(imposter(here, seen, change))
        link = PeerLink(A, here.founded.chain.newest.member(A).urls, identities_of(b))
        stack.push_async_callback(link.close)
        await next_second()
        assert await link.digest(DIGEST)
        kept.append(seen.answers[-1])
        for mood[0] in ("body", "earlier", "unsigned"):
            with pytest.raises(PeerIdentityWrong):
                await link.digest(DIGEST)
        mood[0] = "status"
        with pytest.raises(PeerUnreachable, match=r"not signed by a\.example"):
            await link.digest(DIGEST)
        mood[0] = "pass"
        assert await link.digest(DIGEST)
        with pytest.raises(PeerRefused, match="404"):
            await link.checkpoint(bytes(32))
        assert a.listener.counters.requests_answered


async def test_a_balancer_without_its_node_is_told_from_the_node(
    site: Callable[..., Site],
) -> None:
    here = site()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(here.balanced())
        b = await open_node(here.founded, B, stack)
        link = PeerLink(A, here.founded.chain.newest.member(A).urls, identities_of(b))
        stack.push_async_callback(link.close)
        with pytest.raises(PeerUnreachable, match="status 502"):
            await link.digest(DIGEST)


async def test_a_certificate_of_no_known_authority_is_not_taken(
    site: Callable[..., Site],
) -> None:
    """What is sent stays secret from whoever answers at that name without a browser's trust."""
    here = site()
    path = here.founded.config_path(B)
    path.write_text(
        path.read_text().replace(
            f'authorities_file = "{here.authority.certificate}"', 'authorities_file = ""'
        )
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(here.balanced())
        a, b = [await open_node(here.founded, member, stack) for member in (A, B)]
        link = PeerLink(A, here.founded.chain.newest.member(A).urls, identities_of(b))
        stack.push_async_callback(link.close)
        before = a.listener.counters.connections_accepted
        with pytest.raises(PeerError, match="certificate"):
            await link.digest(DIGEST)
        assert before == a.listener.counters.connections_accepted
        assert RoleNotEnough.code not in a.listener.counters.requests_refused
