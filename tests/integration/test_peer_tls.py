"""The peer API over real sockets and real TLS on loopback: who gets in, and who is cut off.

Every company here has its own identity, made as `init` makes it. Attackers have real certificates
too; what they lack is a place in the roster, or the name they claim.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from federation.errors import TooLarge
from federation.local_errors.askers import (
    AskedTooMuch,
    CallNotWaiting,
    LogNotFound,
    PeerNotAMember,
    RangeNotHeld,
)
from federation.local_errors.config import PortInUse
from federation.local_errors.disk import StoreFull
from federation.local_errors.peers import (
    PeerAnswerTooLarge,
    PeerError,
    PeerIdentityWrong,
    PeerRefused,
    PeerTimeout,
    PeerUnreachable,
)
from federation.net import names
from federation.net.exchange import ListenerCounters
from federation.net.identities import PemPair, identity_der, make_identity, mint_leaf
from federation.net.limits import (
    CHECKPOINT_ANSWER_BYTES_MAX,
    RETRY_AFTER_SECONDS_MAX,
    LinkLimits,
    ListenerLimits,
    Share,
)
from federation.net.link import PeerLink
from federation.net.listener import PeerListener
from federation.net.peer_api import PeerApi, Permit
from federation.net.peering import PeerIdentities
from federation.net.proving import TlsProving
from federation.net.rates import BODY_BYTES_PER_UNIT, MemberRates
from federation.net.routes import Answer
from federation.protocol.encoding import decode_map
from federation.protocol.limits_messages import ANNOUNCE_BYTES_MAX, RANGE_STATEMENTS_MAX
from federation.protocol.origins import Lane
from federation.protocol.roster_roles import Call

LOG = bytes(range(32))
LOG_PATH = f"/v1/logs/{LOG.hex()}"
WAIT_SECONDS = 20  # only a hang reaches it


@dataclass
class Desk:
    """Answers by echo, remembers who asked what, and misbehaves where a test says so."""

    heard: list[tuple[str, str]] = field(default_factory=list)
    answers: dict[str, Callable[[], Answer]] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    open_calls: frozenset[str] = frozenset()  # answered whether the gate is open or not
    lanes: dict[bytes, Lane] = field(default_factory=dict)

    async def _answer(self, member: str, call: str, echo: bytes) -> Answer:
        self.heard.append((member, call))
        if self.gate is not None and call not in self.open_calls:
            await self.gate.wait()
        return self.answers[call]() if call in self.answers else echo

    def lane(self, log_sha256: bytes) -> Lane | None:
        return self.lanes.get(log_sha256)

    def is_crisis(self, body: bytes) -> bool:
        return body.startswith(b"crisis")

    async def announce(self, member: str, body: bytes) -> Answer:
        return await self._answer(member, "announce", body)

    async def digest(self, member: str, body: bytes) -> Answer:
        return await self._answer(member, "digest", body)

    async def statements(
        self, member: str, log_sha256: bytes, start: int, end: int, at: int, root: bytes | None
    ) -> Answer:
        echo = log_sha256 + f" {start} {end} {at}".encode() + (root or b"")
        lane = self.lanes.get(log_sha256)
        return await self._answer(member, f"{lane} statements" if lane else "statements", echo)

    async def prefix(
        self, member: str, log_sha256: bytes, size: int, at: int, root: bytes
    ) -> Answer:
        return await self._answer(member, "prefix", log_sha256 + f" {size} {at}".encode() + root)

    async def hashes(self, member: str, log_sha256: bytes, start: int, end: int, at: int) -> Answer:
        return await self._answer(member, "hashes", log_sha256 + f" {start} {end} {at}".encode())

    async def checkpoint(self, member: str, log_sha256: bytes) -> bytes:
        note = await self._answer(member, "checkpoint", log_sha256)
        assert isinstance(note, bytes)
        return note

    async def roster(self, member: str, version: int) -> bytes | None:
        self.heard.append((member, "roster"))
        return b"{}" if version == 1 else None

    async def second_line(self, member: str, log_sha256: bytes, at: int) -> Answer:
        return await self._answer(member, "second", log_sha256)

    async def attest(self, member: str, body: bytes) -> Answer:
        return await self._answer(member, "attest", body)

    async def heads(self, member: str, since: int, wait_seconds: int) -> Answer:
        return await self._answer(member, "heads", f"{since} {wait_seconds}".encode())

    def answer_bytes_max(self, member: str, number: int) -> int:
        if number != 1:
            raise CallNotWaiting("nobody waits for that")
        return 100

    async def brought(self, member: str, number: int, status: int, body: bytes) -> Answer:
        return await self._answer(member, "brought", f"{number} {status} ".encode() + body)


@dataclass
class Clock:
    """A wall clock that a test can move."""

    moved: timedelta = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(tz=UTC) + self.moved


@dataclass
class Company:
    """A member's machine: identity on disk, clock, TLS contexts."""

    member: str
    identity: PemPair
    identities: PeerIdentities
    clock: Clock
    directory: Path

    @property
    def der(self) -> bytes:
        return identity_der(self.identity.certificate)


@pytest.fixture
def company(tmp_path: Path) -> Callable[..., Company]:
    def open_company(
        member: str, identity: PemPair | None = None, *, started_ago: timedelta = timedelta()
    ) -> Company:
        clock = Clock(-started_ago)
        pair = identity or make_identity(member, not_before=clock() - timedelta(days=400))
        directory = tmp_path / f"{member}-{len(list(tmp_path.iterdir()))}"
        identities = PeerIdentities(member, pair, directory, clock=clock)
        clock.moved = timedelta()
        return Company(member, pair, identities, clock, directory)

    return open_company


@pytest.fixture
def alice(company: Callable[..., Company]) -> Company:
    return company("alice.example")


@pytest.fixture
def bob(company: Callable[..., Company]) -> Company:
    return company("bob.example")


@pytest.fixture
def carol(company: Callable[..., Company]) -> Company:
    return company("carol.example")


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Refused strangers must not fill an operator's log: whatever a test provokes stays silent."""
    caplog.set_level(logging.INFO)
    yield
    said = [r.getMessage() for r in caplog.get_records("call") if r.levelno >= logging.WARNING]
    assert [line for line in said if "met a bug" not in line] == []


def everything(_member: str, _call: Call) -> None:
    """Lets everybody ask for everything; roles have tests of their own."""


def admit(*companies: Company) -> None:
    """Give everyone a roster that pins all of them."""
    roster = {c.member: (c.der,) for c in companies}
    for each in companies:
        assert each.identities.replace(roster) == {}


@asynccontextmanager
async def listening(
    host: Company,
    desk: Desk | None = None,
    limits: ListenerLimits | None = None,
    port: int = 0,
    permit: Permit = everything,
) -> AsyncIterator[PeerListener]:
    listener = PeerListener(desk or Desk(), host.identities, permit, limits)
    await listener.start("127.0.0.1", port)
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            yield listener
    finally:
        await listener.close()


@asynccontextmanager
async def linked(
    asker: Company, member: str, *ports: int, limits: LinkLimits | None = None
) -> AsyncIterator[PeerLink]:
    urls = [f"https://127.0.0.1:{port}" for port in ports]
    link = PeerLink(member, urls, asker.identities, limits)
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            yield link
    finally:
        await link.close()


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what another task brings about; a hang is ended by the test's own timeout."""
    while not holds():  # noqa: ASYNC110 - what is waited for is a counter, and sets no event
        await asyncio.sleep(0.005)


def client_context(certificate: PemPair | None, directory: Path) -> ssl.SSLContext:
    """A TLS client that trusts any server, with whatever certificate an attacker has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        file = directory / "attacker.pem"
        file.write_bytes(certificate.private_key + certificate.certificate)
        context.load_cert_chain(file)
    return context


def leaf_of(who: Company) -> PemPair:
    leaf = mint_leaf(
        who.identity.certificate, who.identity.private_key, who.member, who.clock(), 24
    )
    return PemPair(leaf.certificate, leaf.private_key)


async def raw_exchange(port: int, context: ssl.SSLContext | None, sent: bytes) -> bytes:
    """Everything the other side says until it closes; b"" when it says nothing."""
    writer = None
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        writer.write(sent)
        return await reader.read()
    except OSError:
        return b""
    finally:
        if writer is not None:
            writer.transport.abort()


def request_head(path: str = "/roster/1.root.json", method: str = "GET", *fields: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: peer", *fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


CLOSE = "Connection: close"


# --- members are served ---------------------------------------------------------------------------


async def test_every_call_reaches_the_desk_with_the_proven_name(
    alice: Company, bob: Company
) -> None:
    admit(alice, bob)
    desk = Desk()
    async with (
        listening(bob, desk) as listener,
        linked(alice, "bob.example", listener.port) as link,
    ):
        assert await link.announce(b"heads") == b"heads"
        assert await link.digest(b"") == b""
        assert await link.statements(LOG, 256, 512, 1_000) == LOG + b" 256 512 1000"
        echo = LOG + b" 256 512 1000" + bytes(32)
        assert await link.statements(LOG, 256, 512, 1_000, root=bytes(32)) == echo
        assert await link.prefix(LOG, 3, 7, b"r" * 32) == LOG + b" 3 7" + b"r" * 32
        assert await link.checkpoint(LOG) == LOG
        assert await link.attest("st_00") == b"st_00"
        assert await link.second_line(LOG, 7) == LOG
        assert await link.roster(1) == b"{}"
        assert await link.roster(2) is None
        calls = [
            "announce",
            "digest",
            "statements",
            "statements",
            "prefix",
            "checkpoint",
            "attest",
            "second",
            "roster",
            "roster",
        ]
        assert desk.heard == [("alice.example", call) for call in calls]
        assert listener.connections() == {"alice.example": 2}  # control and bulk
        assert listener.counters.requests_answered == 9
        assert listener.counters.requests_refused == Counter({"not-found": 1})


async def test_a_long_answer_in_pieces_arrives_whole(alice: Company, bob: Company) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(64):
            yield bytes([number]) * 40_000

    admit(alice, bob)
    desk = Desk(answers={"statements": pieces, "digest": lambda: b"\x01" * 3_000_000})
    async with (
        listening(bob, desk) as listener,
        linked(alice, "bob.example", listener.port) as link,
    ):
        answer = await link.statements(LOG, 0, 1, 1)
        assert answer == b"".join([bytes([number]) * 40_000 for number in range(64)])
        assert await link.digest(b"") == b"\x01" * 3_000_000


# --- strangers are not ----------------------------------------------------------------------------


async def test_unpinned_client_is_refused_and_told_why(
    alice: Company, bob: Company, carol: Company
) -> None:
    admit(alice, bob)
    carol.identities.replace({"bob.example": (bob.der,)})
    desk = Desk()
    async with (
        listening(bob, desk) as listener,
        linked(carol, "bob.example", listener.port) as link,
    ):
        with pytest.raises(PeerUnreachable) as refused:
            await link.announce(b"heads")
        assert "it may not have our identity in its roster yet" in refused.value.message
        with pytest.raises(PeerUnreachable):
            await link.checkpoint(LOG)
        assert desk.heard == []
        assert listener.counters.handshakes_refused >= 2
        assert listener.connections() == {}


@pytest.mark.parametrize("attack", ["no certificate", "TLS 1.2", "no TLS", "identity as leaf"])
async def test_client_without_a_leaf_and_tls_1_3_is_refused(
    attack: str, alice: Company, bob: Company, tmp_path: Path
) -> None:
    admit(alice, bob)
    desk = Desk()
    certificate = {"no certificate": None, "identity as leaf": alice.identity}.get(
        attack, leaf_of(alice)
    )
    context = client_context(certificate, tmp_path)
    if attack == "TLS 1.2":
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with listening(bob, desk) as listener:
        answer = await raw_exchange(
            listener.port, None if attack == "no TLS" else context, request_head()
        )
        assert b"HTTP" not in answer
        await until(lambda: listener.counters.handshakes_refused == 1)
        assert desk.heard == []
        assert listener.connections() == {}


async def test_an_empty_roster_lets_nobody_in(alice: Company, bob: Company) -> None:
    alice.identities.replace({"bob.example": (bob.der,)})
    async with (
        listening(bob) as listener,
        linked(alice, "bob.example", listener.port) as link,
    ):
        with pytest.raises(PeerUnreachable):
            await link.announce(b"")
        bob.identities.replace({"alice.example": (alice.der,)})
        assert await link.announce(b"heads") == b"heads"
        bob.identities.replace({})
        with pytest.raises(PeerUnreachable):
            await link.announce(b"")


async def test_another_member_at_a_peers_address_is_not_taken_for_it(
    alice: Company, bob: Company, carol: Company
) -> None:
    admit(alice, bob, carol)
    desk = Desk()
    async with (
        listening(carol, desk) as listener,
        linked(alice, "bob.example", listener.port) as link,
    ):
        with pytest.raises(PeerIdentityWrong) as wrong:
            await link.announce(b"heads for bob only")
        assert "bob.example" in wrong.value.message
        assert desk.heard == []


def unconstrained_identity(member: str) -> PemPair:
    """An identity as other software may make it: nothing in it stops it from naming others."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, member)])
    now = datetime.now(tz=UTC)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=9))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(member)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return PemPair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )


def leaf_in_anothers_name(issuer: PemPair, claimed: str) -> PemPair:
    """A leaf that names ``claimed`` and is signed by ``issuer``, well-formed in all else."""
    authority = x509.load_pem_x509_certificate(issuer.certificate)
    authority_key = serialization.load_pem_private_key(issuer.private_key, None)
    assert isinstance(authority_key, ec.EllipticCurvePrivateKey)
    model = make_identity(claimed, not_before=datetime.now(tz=UTC) - timedelta(days=2))
    leaf = mint_leaf(model.certificate, model.private_key, claimed, datetime.now(tz=UTC), 24)
    like = x509.load_pem_x509_certificate(leaf.certificate)
    builder = x509.CertificateBuilder(
        authority.subject,
        like.subject,
        like.public_key(),
        like.serial_number,
        like.not_valid_before_utc,
        like.not_valid_after_utc,
    )
    for extension in like.extensions:
        value = extension.value
        if isinstance(value, x509.AuthorityKeyIdentifier):
            identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
            value = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier.value)
        builder = builder.add_extension(value, extension.critical)
    signed = builder.sign(authority_key, hashes.SHA256())
    return PemPair(signed.public_bytes(serialization.Encoding.PEM), leaf.private_key)


@pytest.mark.parametrize("is_constrained", [True, False])
async def test_a_leaf_that_bob_issued_in_alices_name_is_refused(
    is_constrained: bool,  # noqa: FBT001 - a parameter of the test
    alice: Company,
    carol: Company,
    company: Callable[..., Company],
    tmp_path: Path,
) -> None:
    identity = None if is_constrained else unconstrained_identity("bob.example")
    bob = company("bob.example", identity)
    admit(alice, bob, carol)
    forged = leaf_in_anothers_name(bob.identity, "alice.example")
    desk = Desk()
    async with listening(carol, desk) as listener:
        context = client_context(forged, tmp_path)
        head = request_head("/roster/1.root.json", "GET", CLOSE)
        assert await raw_exchange(listener.port, context, head) == b""
        await until(lambda: listener.counters.handshakes_refused == 1)
        # The same attacker under its own name is a member like any other.
        own = client_context(leaf_of(bob), tmp_path)
        assert b"200 OK" in await raw_exchange(listener.port, own, head)
        assert desk.heard == [("bob.example", "roster")]


async def test_a_server_whose_own_identity_named_it_otherwise_is_refused(
    alice: Company, company: Callable[..., Company], tmp_path: Path
) -> None:
    bob = company("bob.example", unconstrained_identity("bob.example"))
    admit(alice, bob)
    # Issued by bob's identity, as the client asks, but in a name that is not bob's.
    forged = leaf_in_anothers_name(bob.identity, "shop.bob.example")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    file = tmp_path / "server.pem"
    file.write_bytes(forged.private_key + forged.certificate)
    context.load_cert_chain(file)
    async with (
        serving(web.Application(), context) as port,
        linked(alice, "bob.example", port) as link,
    ):
        with pytest.raises(PeerIdentityWrong):
            await link.announce(b"heads")


async def test_no_session_can_be_resumed(alice: Company, bob: Company, tmp_path: Path) -> None:
    admit(alice, bob)
    context = client_context(leaf_of(alice), tmp_path)
    async with listening(bob) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=context)
        writer.write(request_head("/roster/1.root.json", "GET", CLOSE))
        assert b"200 OK" in await reader.read()  # tickets would have come before it
        session = writer.get_extra_info("ssl_object").session
        assert session is None or not session.has_ticket
        writer.close()


# --- the roster changes ---------------------------------------------------------------------------


async def test_a_removed_members_open_connections_are_cut_at_once(
    alice: Company, bob: Company, carol: Company
) -> None:
    admit(alice, bob, carol)
    desk = Desk()
    async with (
        listening(bob, desk) as listener,
        linked(alice, "bob.example", listener.port) as removed,
        linked(carol, "bob.example", listener.port) as kept,
    ):
        await removed.announce(b"")
        await kept.announce(b"")
        assert listener.connections() == {"alice.example": 1, "carol.example": 1}

        bob.identities.replace({"bob.example": (bob.der,), "carol.example": (carol.der,)})

        assert listener.connections() == {"carol.example": 1}
        assert listener.counters.connections_closed == 1
        with pytest.raises(PeerUnreachable):
            await removed.announce(b"after")
        await kept.announce(b"after")
        calls = ["alice.example", "carol.example", "carol.example"]
        assert [member for member, _ in desk.heard] == calls
        assert listener.counters.connections_accepted >= 3
        assert listener.connections() == {"carol.example": 1}


async def test_a_removed_members_unfinished_request_is_never_answered(
    alice: Company, bob: Company
) -> None:
    admit(alice, bob)
    desk = Desk(gate=asyncio.Event())
    async with (
        listening(bob, desk) as listener,
        linked(alice, "bob.example", listener.port) as link,
    ):
        asked = asyncio.create_task(link.announce(b""))
        await until(lambda: bool(desk.heard))
        bob.identities.replace({})
        assert desk.gate is not None
        desk.gate.set()
        with pytest.raises(PeerUnreachable):
            await asked
        await until(lambda: listener.counters.answers_abandoned == 1)
        assert listener.counters.requests_answered == 0


@asynccontextmanager
async def serving(application: web.Application, context: ssl.SSLContext) -> AsyncIterator[int]:
    """Any application over any TLS context, on aiohttp's own listener."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield site.port
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("change", ["removed", "identity replaced"])
async def test_a_kept_alive_connection_is_refused_at_its_next_request(
    change: str, alice: Company, bob: Company, company: Callable[..., Company]
) -> None:
    # Served without PeerListener, so nothing cuts the connection: the request itself is judged.
    admit(alice, bob)
    desk = Desk()
    application = PeerApi(
        desk,
        TlsProving(bob.identities),
        everything,
        ListenerCounters(),
        ListenerLimits(),
        MemberRates(ListenerLimits(), time.monotonic),
    ).application()
    roster = {} if change == "removed" else {"alice.example": (company("alice.example").der,)}
    async with (
        serving(application, bob.identities.server_context) as port,
        linked(alice, "bob.example", port) as link,
    ):
        await link.announce(b"before")
        bob.identities.replace(roster)
        with pytest.raises(PeerRefused) as refused:
            await link.announce(b"after")
        assert refused.value.status == 403
        assert PeerNotAMember.code in refused.value.message
        assert desk.heard == [("alice.example", "announce")]
        with pytest.raises(PeerUnreachable):  # and the connection was closed
            await link.announce(b"again")


async def test_an_added_member_gets_in_without_a_restart(
    alice: Company, bob: Company, carol: Company
) -> None:
    admit(alice, bob)
    carol.identities.replace({"bob.example": (bob.der,)})
    async with (
        listening(bob) as listener,
        linked(alice, "bob.example", listener.port) as first,
        linked(carol, "bob.example", listener.port) as added,
    ):
        await first.announce(b"")
        with pytest.raises(PeerUnreachable):
            await added.announce(b"")
        admit(alice, bob, carol)
        assert await added.announce(b"hello") == b"hello"
        await first.announce(b"")
        assert listener.connections() == {"alice.example": 1, "carol.example": 1}


async def test_a_link_to_a_removed_member_asks_it_nothing_more(
    alice: Company, bob: Company
) -> None:
    admit(alice, bob)
    desk = Desk()
    async with (
        listening(bob, desk) as listener,
        linked(alice, "bob.example", listener.port) as link,
    ):
        await link.announce(b"")
        alice.identities.replace({})
        with pytest.raises(PeerIdentityWrong):
            await link.announce(b"")
        assert len(desk.heard) == 1


# --- leaves are renewed and expire ----------------------------------------------------------------


async def test_a_renewed_leaf_serves_new_connections_and_leaves_open_ones_alone(
    company: Callable[..., Company],
) -> None:
    alice = company("alice.example", started_ago=timedelta(hours=17))
    bob = company("bob.example", started_ago=timedelta(hours=17))
    admit(alice, bob)
    seen: list[tuple[int, int]] = []

    async def serials(request: web.Request) -> web.Response:
        der = request.get_extra_info("ssl_object").getpeercert(binary_form=True)
        seen.append((id(request.transport), x509.load_der_x509_certificate(der).serial_number))
        return web.Response()

    application = web.Application()
    application.router.add_post("/v1/announce", serials)
    async with (
        serving(application, bob.identities.server_context) as port,
        linked(alice, "bob.example", port) as link,
    ):
        await link.announce(b"")
        assert [who.identities.renew_if_due(who.clock()) for who in (alice, bob)] == [True, True]
        assert not alice.identities.renew_if_due(alice.clock())
        await link.announce(b"")
        await link.announce(b"")
    first, second, third = seen
    assert first[1] != second[1] == third[1]
    assert first[0] != second[0] == third[0]


async def test_a_server_shows_its_renewed_leaf_without_a_restart(
    alice: Company, company: Callable[..., Company], tmp_path: Path
) -> None:
    bob = company("bob.example", started_ago=timedelta(hours=17))
    admit(alice, bob)
    context = client_context(leaf_of(alice), tmp_path)

    async def shown() -> bytes:
        _, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=context)
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        assert isinstance(der, bytes)
        return der

    async with (
        listening(bob) as listener,
        linked(alice, "bob.example", listener.port) as link,
    ):
        before = await shown()
        assert await shown() == before
        assert bob.identities.renew_if_due(bob.clock())
        assert await shown() != before
        assert await link.announce(b"heads") == b"heads"


async def test_an_expired_leaf_is_refused_in_the_handshake(
    company: Callable[..., Company], bob: Company, tmp_path: Path
) -> None:
    alice = company("alice.example")
    alice.clock.moved = -timedelta(days=3)
    stale = client_context(leaf_of(alice), tmp_path)
    admit(alice, bob)
    async with listening(bob) as listener:
        assert await raw_exchange(listener.port, stale, request_head()) == b""
        await until(lambda: listener.counters.handshakes_refused == 1)


async def test_a_leaf_that_expires_on_an_open_connection_is_refused_at_the_next_request(
    alice: Company, bob: Company
) -> None:
    admit(alice, bob)
    desk = Desk()
    async with (
        listening(bob, desk) as listener,
        linked(alice, "bob.example", listener.port) as link,
    ):
        await link.announce(b"")
        bob.clock.moved = timedelta(hours=25)
        with pytest.raises(PeerRefused) as refused:
            await link.announce(b"")
        assert refused.value.status == 403
        assert len(desk.heard) == 1
    async with (
        listening(bob, desk) as listener,
        linked(alice, "bob.example", listener.port) as link,
    ):
        bob.clock.moved = timedelta()
        await link.announce(b"")
        bob.clock.moved = timedelta(hours=25)
        assert listener.close_strangers() == 1
        assert listener.connections() == {}


# --- bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("expectation", [(), ("Expect: 100-continue",)])
async def test_an_oversized_body_is_refused_before_it_is_read(
    expectation: tuple[str, ...], alice: Company, bob: Company, tmp_path: Path
) -> None:
    admit(alice, bob)
    desk = Desk()
    context = client_context(leaf_of(alice), tmp_path)
    head = request_head(
        "/v1/announce", "POST", f"Content-Length: {ANNOUNCE_BYTES_MAX + 1}", *expectation
    )
    async with listening(bob, desk, ListenerLimits(lingering_seconds=0)) as listener:
        answer = await raw_exchange(listener.port, context, head)  # not one byte of the body
        assert answer.startswith(b"HTTP/1.1 413 ")
        body = answer.partition(b"\r\n\r\n")[2]
        assert decode_map(body, bytes_max=4096)["code"] == TooLarge.code
        assert desk.heard == []


async def test_an_undeclared_length_is_refused_when_it_passes_the_limit(
    alice: Company, bob: Company, tmp_path: Path
) -> None:
    admit(alice, bob)
    desk = Desk()
    context = client_context(leaf_of(alice), tmp_path)
    chunk = b"4000\r\n" + b"\0" * 0x4000 + b"\r\n"
    sent = request_head("/v1/announce", "POST", "Transfer-Encoding: chunked") + chunk * 5
    async with listening(bob, desk, ListenerLimits(lingering_seconds=0.1)) as listener:
        answer = await raw_exchange(listener.port, context, sent)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert desk.heard == []


async def test_a_body_is_awaited_only_so_long(alice: Company, bob: Company, tmp_path: Path) -> None:
    admit(alice, bob)
    desk = Desk()
    context = client_context(leaf_of(alice), tmp_path)
    sent = request_head("/v1/announce", "POST", "Content-Length: 100") + b"\0"
    limits = ListenerLimits(body_seconds=0.05, lingering_seconds=0)
    async with listening(bob, desk, limits) as listener:
        answer = await raw_exchange(listener.port, context, sent)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert listener.counters.requests_refused == Counter({PeerTimeout.code: 1})
        assert desk.heard == []


async def test_a_request_head_is_awaited_only_so_long(
    alice: Company, bob: Company, tmp_path: Path
) -> None:
    admit(alice, bob)
    context = client_context(leaf_of(alice), tmp_path)
    async with listening(bob, limits=ListenerLimits(keepalive_seconds=0.05)) as listener:
        assert await raw_exchange(listener.port, context, b"GET /roster/1.r") == b""
        await until(lambda: listener.connections() == {})


async def test_expect_continue_is_answered_once_the_asker_is_known(
    alice: Company, bob: Company, tmp_path: Path
) -> None:
    admit(alice, bob)
    context = client_context(leaf_of(alice), tmp_path)
    head = request_head("/v1/announce", "POST", "Content-Length: 5", "Expect: 100-continue", CLOSE)
    async with listening(bob) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=context)
        writer.write(head)
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"heads")
        assert (await reader.read()).endswith(b"heads")
        writer.close()


async def test_compressed_bodies_are_refused(alice: Company, bob: Company, tmp_path: Path) -> None:
    admit(alice, bob)
    desk = Desk()
    context = client_context(leaf_of(alice), tmp_path)
    fields = ("Content-Length: 3", "Content-Encoding: gzip", CLOSE)
    sent = request_head("/v1/announce", "POST", *fields) + b"abc"
    async with listening(bob, desk) as listener:
        assert b"HTTP/1.1 400 " in await raw_exchange(listener.port, context, sent)
        assert desk.heard == []


async def test_our_own_oversized_body_is_not_sent(alice: Company, bob: Company) -> None:
    admit(alice, bob)
    desk = Desk()
    async with (
        listening(bob, desk) as listener,
        linked(alice, "bob.example", listener.port) as link,
    ):
        with pytest.raises(TooLarge):
            await link.announce(b"\0" * (ANNOUNCE_BYTES_MAX + 1))
        assert await link.announce(b"\0" * ANNOUNCE_BYTES_MAX) == b"\0" * ANNOUNCE_BYTES_MAX
        assert len(desk.heard) == 1


# --- requests -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (request_head("/nowhere", "GET", CLOSE), 404),
        (request_head("/v1/announce", "GET", CLOSE), 405),
        (request_head("/v1/logs/ABCD/checkpoint", "GET", CLOSE), 404),
        (request_head(f"{LOG_PATH.upper()}/checkpoint", "GET", CLOSE), 404),
        (request_head("/roster/0.root.json", "GET", CLOSE), 404),
        (request_head("/roster/1.root.json", "GET", CLOSE, "Content-Length: 3") + b"abc", 400),
        (request_head(f"{LOG_PATH}/statements", "GET", CLOSE), 400),
        (request_head(f"{LOG_PATH}/statements?from=1&to=1&at=1", "GET", CLOSE), 400),
        (request_head(f"{LOG_PATH}/statements?from=0&to=2&at=1", "GET", CLOSE), 400),
        (request_head(f"{LOG_PATH}/statements?from=-1&to=2&at=2", "GET", CLOSE), 400),
        (request_head(f"{LOG_PATH}/statements?from=0&to=01&at=2", "GET", CLOSE), 400),
        (request_head(f"{LOG_PATH}/statements?from=0&to=1&at=1&at=1", "GET", CLOSE), 400),
        (request_head(f"{LOG_PATH}/statements?from=0&to=1&at=1&root=00", "GET", CLOSE), 400),
        (request_head(f"{LOG_PATH}/prefix?size=0&at=1&root={'0' * 64}", "GET", CLOSE), 400),
        (request_head(f"{LOG_PATH}/prefix?size=2&at=1&root={'0' * 64}", "GET", CLOSE), 400),
        (request_head(f"{LOG_PATH}/prefix?size=1&at=1", "GET", CLOSE), 400),
        (request_head(f"{LOG_PATH}/prefix?size=1&at=1&root={'F' * 64}", "GET", CLOSE), 400),
        (request_head(f"{LOG_PATH}/statements?from=0&to=1&at=%D9%A1", "GET", CLOSE), 400),
        (request_head(f"{LOG_PATH}/statements?from=0&to=1&at={10**16 - 1}", "GET", CLOSE), 400),
        (
            request_head(
                f"{LOG_PATH}/statements?from=0&to={RANGE_STATEMENTS_MAX + 1}&at=5000", "GET", CLOSE
            ),
            400,
        ),
        (request_head("/" + "a" * 3_000, "GET", CLOSE), 400),
        (request_head("/roster/1.root.json", "GET", CLOSE, "X: " + "a" * 3_000), 400),
        (request_head("/roster/1.root.json", "GET", *(f"X{n}: 1" for n in range(40))), 400),
        (b"\x00\x01\x02 not HTTP at all\r\n\r\n", 400),
    ],
)
async def test_a_request_that_is_none_is_refused_and_not_logged(
    head: bytes, status: int, alice: Company, bob: Company, tmp_path: Path
) -> None:
    admit(alice, bob)
    desk = Desk()
    context = client_context(leaf_of(alice), tmp_path)
    async with listening(bob, desk) as listener:
        answer = await raw_exchange(listener.port, context, head)
        assert int(answer.split(b" ")[1]) == status
        assert desk.heard == []
        counters = listener.counters
        assert counters.requests_malformed + counters.requests_refused.total() == 1
        assert counters.faults == 0


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (RangeNotHeld("have 0 to 7"), 409, "range-not-held"),
        (LogNotFound("no such log"), 404, "log-not-found"),
        (StoreFull("/var/lib/secret is full"), 507, "store-full"),
        (ValueError("c0ffee is the signal value"), 500, "federation-error"),
    ],
)
async def test_the_desks_errors_become_statuses_and_keep_secrets(
    error: Exception,
    status: int,
    words: str,
    alice: Company,
    bob: Company,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> Answer:
        raise error

    admit(alice, bob)
    desk = Desk(answers={"announce": fail})
    context = client_context(leaf_of(alice), tmp_path)
    async with (
        listening(bob, desk) as listener,
        linked(alice, "bob.example", listener.port) as link,
    ):
        with pytest.raises(PeerRefused) as refused:
            await link.announce(b"")
        assert refused.value.status == status
        assert words in refused.value.message
        head = request_head("/v1/announce", "POST", "Content-Length: 0", CLOSE)
        answer = await raw_exchange(listener.port, context, head)
        assert b"/var/lib/secret" not in answer
        assert b"c0ffee" not in answer
    assert "c0ffee" not in caplog.text


# --- limits on one peer and on all ----------------------------------------------------------------


async def test_a_member_over_its_requests_under_way_is_asked_to_wait(
    alice: Company, bob: Company, carol: Company
) -> None:
    admit(alice, bob, carol)
    desk = Desk(gate=asyncio.Event())
    limits = ListenerLimits(control_in_flight_max=1, range_in_flight_max=1, retry_after_seconds=7)
    async with (
        listening(bob, desk, limits) as listener,
        linked(alice, "bob.example", listener.port) as link,
        linked(carol, "bob.example", listener.port) as other,
    ):
        under_way = [
            asyncio.create_task(link.announce(b"1")),
            asyncio.create_task(link.statements(LOG, 0, 1, 1)),
            asyncio.create_task(other.announce(b"3")),
        ]
        await until(lambda: len(desk.heard) == 3)  # bulk, control and another member: apart
        for refused_call in (link.announce(b"x"), link.statements(LOG, 0, 1, 1)):
            with pytest.raises(PeerRefused) as refused:
                await refused_call
            assert refused.value.status == 429
            assert refused.value.retry_after_seconds == 7.0
        assert desk.gate is not None
        desk.gate.set()
        answers = await asyncio.gather(*under_way)
        assert [len(answer) for answer in answers] == [1, 38, 1]
        assert await link.announce(b"again") == b"again"


async def test_all_members_together_have_a_limit_on_bulk(
    alice: Company, bob: Company, carol: Company
) -> None:
    admit(alice, bob, carol)
    desk = Desk(gate=asyncio.Event())
    async with (
        listening(bob, desk, ListenerLimits(bulk_in_flight_total_max=1)) as listener,
        linked(alice, "bob.example", listener.port) as link,
        linked(carol, "bob.example", listener.port) as other,
    ):
        under_way = asyncio.create_task(link.statements(LOG, 0, 1, 1))
        await until(lambda: len(desk.heard) == 1)
        with pytest.raises(PeerRefused) as refused:
            await other.statements(LOG, 0, 1, 1)
        assert refused.value.status == 429
        assert desk.gate is not None
        desk.gate.set()
        await under_way
        assert await other.announce(b"control goes on") == b"control goes on"


async def test_a_crisis_range_is_served_when_all_places_for_bulk_are_taken(
    alice: Company, bob: Company, carol: Company
) -> None:
    admit(alice, bob, carol)
    crisis, live = b"c" * 32, b"l" * 32
    desk = Desk(
        gate=asyncio.Event(),
        open_calls=frozenset({"crisis statements"}),
        lanes={crisis: Lane.CRISIS, live: Lane.LIVE},
    )
    limits = ListenerLimits(bulk_in_flight_total_max=1, urgent_in_flight_total_max=1)
    async with (
        listening(bob, desk, limits) as listener,
        linked(alice, "bob.example", listener.port) as link,
        linked(carol, "bob.example", listener.port) as other,
    ):
        under_way = [
            asyncio.create_task(link.statements(LOG, 0, 1, 1)),
            asyncio.create_task(link.statements(live, 0, 1, 1, lane=Lane.LIVE)),
        ]
        await until(lambda: len(desk.heard) == 2)
        for log, lane in ((LOG, Lane.BULK), (live, Lane.LIVE)):
            with pytest.raises(PeerRefused) as refused:
                await other.statements(log, 0, 1, 1, lane=lane)
            assert refused.value.status == 429
        # Neither the others' slow readers nor its own slow range of a live log holds it up.
        for each in (other, link):
            answer = await each.statements(crisis, 0, 1, 1, lane=Lane.CRISIS)
            assert answer == crisis + b" 0 1 1"
        assert desk.gate is not None
        desk.gate.set()
        await asyncio.gather(*under_way)


async def test_a_crisis_announcement_goes_out_while_all_control_connections_wait(
    alice: Company, bob: Company
) -> None:
    admit(alice, bob)
    gate = asyncio.Event()
    desk = Desk(gate=gate)
    limits = LinkLimits()
    async with (
        listening(bob, desk) as listener,
        linked(alice, "bob.example", listener.port, limits=limits) as link,
    ):
        busy = [
            asyncio.create_task(link.digest(b"%d" % number))
            for number in range(limits.control_connections + 1)
        ]
        await until(lambda: len(desk.heard) == limits.control_connections)
        desk.open_calls = frozenset({"announce"})
        assert await link.announce(b"news", Lane.CRISIS) == b"news"
        assert listener.connections() == {"alice.example": limits.control_connections + 1}
        gate.set()
        await asyncio.gather(*busy)


async def test_a_crisis_range_is_brought_while_other_ranges_are_being_brought(
    alice: Company, bob: Company
) -> None:
    admit(alice, bob)
    gate = asyncio.Event()
    held: list[int] = []

    async def take(request: web.Request) -> web.Response:
        held.append(len(await request.read()))
        if request.path.endswith("/1"):
            await gate.wait()
        return web.Response()

    application = web.Application(client_max_size=0)
    application.router.add_post("/v1/heads/{number}", take)
    long = bytes(100_000)
    async with (
        serving(application, bob.identities.server_context) as port,
        linked(alice, "bob.example", port) as link,
    ):
        busy = [
            asyncio.create_task(link.bring(1, 200, body, share))
            for body, share in [(long, Share.BULK)] * 3 + [(b"receipt", Share.CONTROL)] * 3
        ]
        await until(lambda: len(held) == 4)  # as many as there are connections of those kinds
        for body in (long, b"short"):
            await link.bring(2, 200, body, Share.CRISIS)
        assert not any(each.done() for each in busy)
        gate.set()
        await asyncio.gather(*busy)


async def test_a_crisis_announcement_takes_a_connection_that_is_open_already(
    alice: Company, bob: Company
) -> None:
    admit(alice, bob)
    async with (
        listening(bob) as listener,
        linked(alice, "bob.example", listener.port) as link,
    ):
        await link.digest(b"")
        await link.announce(b"news", Lane.CRISIS)
        assert listener.counters.connections_accepted == 1


async def test_a_members_flood_is_refused_and_holds_up_nobody_else(
    alice: Company, bob: Company, carol: Company
) -> None:
    admit(alice, bob, carol)
    desk = Desk()
    # Buckets that never fill again: what follows hangs on no clock.
    limits = ListenerLimits(
        work_per_second=1e-6, work_burst=10, crisis_work_per_second=1e-6, crisis_work_burst=5
    )
    async with (
        listening(bob, desk, limits) as listener,
        linked(alice, "bob.example", listener.port) as flooding,
        linked(carol, "bob.example", listener.port) as honest,
    ):
        for _ in range(10):
            await flooding.checkpoint(LOG)
        for refused_call in (flooding.checkpoint(LOG), flooding.announce(b"bulk")):
            with pytest.raises(PeerRefused, match=AskedTooMuch.code) as refused:
                await refused_call
            assert refused.value.status == 429
            assert refused.value.retry_after_seconds is not None
        # Its own crisis is heard all the same, as much as there is a budget for.
        crisis = b"crisis".ljust(2 * BODY_BYTES_PER_UNIT)
        for _ in range(2):
            assert await flooding.announce(crisis, Lane.CRISIS) == crisis
        with pytest.raises(PeerRefused, match=AskedTooMuch.code):
            await flooding.announce(crisis, Lane.CRISIS)
        assert await honest.announce(b"bulk") == b"bulk"
        assert await honest.announce(b"crisis", Lane.CRISIS) == b"crisis"
        assert listener.counters.refused_of == {"alice.example": Counter({AskedTooMuch.code: 3})}


async def test_a_member_cannot_hold_more_connections_than_its_share(
    alice: Company, bob: Company, carol: Company, tmp_path: Path
) -> None:
    admit(alice, bob, carol)
    context = client_context(leaf_of(alice), tmp_path)
    async with (
        listening(bob, limits=ListenerLimits(connections_per_member_max=2)) as listener,
        linked(carol, "bob.example", listener.port) as other,
    ):
        held = [
            await asyncio.open_connection("127.0.0.1", listener.port, ssl=context) for _ in range(4)
        ]
        await until(lambda: listener.counters.connections_refused_busy == 2)
        assert listener.connections() == {"alice.example": 2}
        assert await other.announce(b"mine") == b"mine"
        for _, writer in held:
            writer.transport.abort()


async def test_strangers_who_say_nothing_are_few_and_soon_gone(
    alice: Company, bob: Company
) -> None:
    admit(alice, bob)
    limits = ListenerLimits(handshake_seconds=1.0, handshakes_per_address_max=3)
    async with (
        listening(bob, limits=limits) as listener,
        linked(alice, "bob.example", listener.port) as link,
    ):
        held = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(5)]
        await until(lambda: listener.counters.connections_refused_busy == 2)
        await until(lambda: listener.counters.handshakes_timed_out == 3)
        for reader, writer in held:
            assert await ended(reader)
            writer.transport.abort()
        assert await link.announce(b"mine") == b"mine"


def silence(writer: asyncio.StreamWriter) -> None:
    """Take nothing more from the other side, as a stopped process would."""
    assert isinstance(writer.transport, asyncio.Transport)
    writer.transport.pause_reading()


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


async def test_a_peer_that_does_not_take_its_answer_is_cut_off(
    alice: Company, bob: Company, tmp_path: Path
) -> None:
    admit(alice, bob)
    desk = Desk(answers={"digest": lambda: b"\0" * 30_000_000})
    context = client_context(leaf_of(alice), tmp_path)
    limits = ListenerLimits(answer_seconds=0.2)
    async with listening(bob, desk, limits) as listener:
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, ssl=context)
        writer.write(request_head("/v1/digest", "POST", "Content-Length: 0"))
        silence(writer)
        await until(lambda: listener.counters.answers_abandoned == 1)
        assert listener.counters.abandoned_of == {"alice.example": 1}
        await until(lambda: listener.connections() == {})
        writer.transport.abort()
        del reader


# --- what the asking side makes of a bad peer -----------------------------------------------------


async def test_an_answer_over_its_limit_is_not_read_to_the_end(
    alice: Company, bob: Company
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"\0" * 65_536

    admit(alice, bob)
    size = CHECKPOINT_ANSWER_BYTES_MAX + 1
    desk = Desk(answers={"checkpoint": lambda: b"\0" * size, "announce": endless})
    async with (
        listening(bob, desk) as listener,
        linked(alice, "bob.example", listener.port) as link,
    ):
        with pytest.raises(PeerAnswerTooLarge):
            await link.checkpoint(LOG)
        with pytest.raises(PeerAnswerTooLarge):
            await link.announce(b"")
        assert await link.digest(b"still well") == b"still well"


@pytest.mark.parametrize("error", [ValueError("a bug"), RangeNotHeld("gone meanwhile")])
async def test_an_answer_that_breaks_off_is_no_answer(
    error: Exception, alice: Company, bob: Company
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"\0" * 100_000
        raise error

    admit(alice, bob)
    desk = Desk(answers={"statements": broken})
    async with (
        listening(bob, desk) as listener,
        linked(alice, "bob.example", listener.port) as link,
    ):
        with pytest.raises(PeerUnreachable) as cut:
            await link.statements(LOG, 0, 1, 1)
        assert "broke" in cut.value.message
        await until(lambda: listener.counters.answers_abandoned == 1)
        assert listener.counters.requests_answered == 0


async def test_a_peer_that_answers_late_times_out(alice: Company, bob: Company) -> None:
    admit(alice, bob)
    desk = Desk(gate=asyncio.Event())
    for limits in (LinkLimits(read_seconds=0.2), LinkLimits(control_seconds=0.5)):
        async with (
            listening(bob, desk) as listener,
            linked(alice, "bob.example", listener.port, limits=limits) as link,
        ):
            assert await link.roster(1) == b"{}"  # connected, and not behind the gate
            with pytest.raises(PeerTimeout):
                await link.announce(b"late")
            await until(lambda: listener.connections() == {})
            assert desk.gate is not None
            desk.gate.set()
            counters = listener.counters
            await until(lambda: counters.answers_abandoned == 1)  # noqa: B023 - awaited here
            desk.gate.clear()


async def test_a_stopped_peer_whose_kernel_still_accepts_is_given_up(
    alice: Company, bob: Company
) -> None:
    admit(alice, bob)
    with socket.create_server(("127.0.0.1", 0)) as stopped:
        port = stopped.getsockname()[1]
        async with linked(
            alice, "bob.example", port, limits=LinkLimits(connect_seconds=0.1)
        ) as link:
            with pytest.raises(PeerUnreachable) as silent:
                await link.announce(b"")
        assert "in time" in silent.value.message


async def test_nobody_listening_is_said_in_words(alice: Company, bob: Company) -> None:
    admit(alice, bob)
    async with listening(bob) as listener:
        port = listener.port
    async with linked(alice, "bob.example", port) as link:
        with pytest.raises(PeerUnreachable) as nobody:
            await link.announce(b"")
        assert "cannot connect" in nobody.value.message


async def test_what_is_no_tls_is_said_in_words(alice: Company, bob: Company) -> None:
    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2p1\r\n")
        await writer.drain()
        writer.close()

    admit(alice, bob)
    server = await asyncio.start_server(speak, "127.0.0.1")
    async with linked(alice, "bob.example", server.sockets[0].getsockname()[1]) as link:
        with pytest.raises(PeerUnreachable) as other:
            await link.announce(b"")
        assert "TLS" in other.value.message
    server.close()


async def test_a_connection_closed_while_idle_is_replaced_without_an_error(
    alice: Company, bob: Company
) -> None:
    admit(alice, bob)
    desk = Desk()
    async with listening(bob, desk) as listener:
        port = listener.port
        async with linked(alice, "bob.example", port) as link:
            await asyncio.gather(link.announce(b"1"), link.announce(b"2"))
            await listener.close()
            async with listening(bob, desk, port=port):
                assert await link.announce(b"3") == b"3"
                assert await link.statements(LOG, 0, 1, 1) == LOG + b" 0 1 1"


async def test_the_next_url_is_tried_and_then_kept(
    alice: Company, bob: Company, carol: Company
) -> None:
    admit(alice, bob, carol)
    wrong_desk = Desk()
    async with (
        listening(bob) as gone,
        listening(carol, wrong_desk) as wrong,
        listening(bob) as right,
    ):
        await gone.close()
        async with linked(alice, "bob.example", gone.port, wrong.port, right.port) as link:
            assert await link.announce(b"1") == b"1"
            refused = wrong.counters.connections_accepted
            assert await link.announce(b"2") == b"2"
            assert wrong.counters.connections_accepted == refused == 1
            assert wrong_desk.heard == []


async def test_a_known_peer_is_reached_while_its_name_server_is_down(
    alice: Company, bob: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_down = False

    def look_up(_host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        if is_down:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    admit(alice, bob)
    monkeypatch.setattr(names, "FRESH_SECONDS", 0.0)
    known = names.PeerNames(look_up)
    async with listening(bob) as listener:
        urls = [f"https://node.bob.example:{listener.port}"]
        link = PeerLink("bob.example", urls, alice.identities, names=known)
        assert await link.announce(b"1") == b"1"
        is_down = True
        assert await link.statements(LOG, 0, 1, 1) == LOG + b" 0 1 1"
        assert listener.connections() == {"alice.example": 2}
        elsewhere = PeerLink("bob.example", ["https://x.example"], alice.identities, names=known)
        with pytest.raises(PeerUnreachable, match="does not resolve"):
            await elsewhere.announce(b"2")
        for each in (link, elsewhere):
            await each.close()
    await known.close()


async def test_a_redirect_is_not_followed_and_a_hostile_refusal_is_not_repeated(
    alice: Company, bob: Company
) -> None:
    async def elsewhere(_: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "https://127.0.0.1:1/v1/announce"})

    async def hostile(_: web.Request) -> web.Response:
        headers = {"Retry-After": "999999999"}
        return web.Response(status=429, body=b"\x1b[2J c0ffee", headers=headers)

    async def encoded(_: web.Request) -> web.Response:
        return web.Response(headers={"Content-Encoding": "gzip"}, body=b"\x1f\x8b as it is")

    admit(alice, bob)
    application = web.Application()
    application.router.add_post("/v1/announce", elsewhere)
    application.router.add_post("/v1/digest", hostile)
    application.router.add_get(f"{LOG_PATH}/checkpoint", encoded)
    async with (
        serving(application, bob.identities.server_context) as port,
        linked(alice, "bob.example", port) as link,
    ):
        with pytest.raises(PeerRefused) as moved:
            await link.announce(b"")
        assert moved.value.status == 307
        with pytest.raises(PeerRefused) as refused:
            await link.digest(b"")
        assert "c0ffee" not in refused.value.message
        assert refused.value.retry_after_seconds == float(RETRY_AFTER_SECONDS_MAX)
        assert await link.checkpoint(LOG) == b"\x1f\x8b as it is"


async def test_waiting_for_our_own_connections_is_not_held_against_the_peer(
    alice: Company, bob: Company
) -> None:
    admit(alice, bob)
    desk = Desk(gate=asyncio.Event())
    limits = LinkLimits(connect_seconds=1.0, control_connections=1)
    async with (
        listening(bob, desk) as listener,
        linked(alice, "bob.example", listener.port, limits=limits) as link,
    ):
        asked = [asyncio.create_task(link.announce(b"%d" % n)) for n in range(3)]
        await until(lambda: bool(desk.heard))
        done, _ = await asyncio.wait(asked, timeout=1.2 * limits.connect_seconds)
        assert done == set()
        assert desk.gate is not None
        desk.gate.set()
        assert await asyncio.gather(*asked) == [b"0", b"1", b"2"]
        assert listener.connections() == {"alice.example": 1}


async def test_a_closed_link_and_one_without_a_url_say_so(alice: Company, bob: Company) -> None:
    admit(alice, bob)
    for urls in ([], ["http://127.0.0.1:1"], ["https://"], ["https://[::1"], ["https://a:b"]):
        link = PeerLink("bob.example", urls, alice.identities)
        with pytest.raises(PeerError):
            await link.announce(b"")
        await link.close()
    async with listening(bob) as listener:
        async with linked(alice, "bob.example", listener.port) as link:
            await link.announce(b"")
        with pytest.raises(PeerUnreachable):
            await link.announce(b"")


# --- the listener itself --------------------------------------------------------------------------


async def test_a_port_in_use_is_said_in_words(alice: Company) -> None:
    async with listening(alice) as listener:
        second = PeerListener(Desk(), alice.identities, everything)
        with pytest.raises(PortInUse) as taken:
            await second.start("127.0.0.1", listener.port)
        assert str(listener.port) in taken.value.message
        await second.close()


async def test_a_closed_listener_leaves_nothing_behind(alice: Company, bob: Company) -> None:
    admit(alice, bob)
    before = asyncio.all_tasks()
    limits = replace(ListenerLimits(), shutdown_seconds=0.1)
    desk = Desk(gate=asyncio.Event())
    listener = PeerListener(desk, bob.identities, everything, limits)
    await listener.start("127.0.0.1", 0)
    async with linked(alice, "bob.example", listener.port) as link:
        asked = asyncio.create_task(link.announce(b""))
        _, silent = await asyncio.open_connection("127.0.0.1", listener.port)
        await until(lambda: bool(desk.heard))
        await listener.close()
        with pytest.raises(PeerError):
            await asked
        silent.transport.abort()
    await until(lambda: asyncio.all_tasks() <= before | {asyncio.current_task()})
    bob.identities.replace({})  # nothing of the closed listener is called


async def test_aiohttp_is_given_every_limit_it_is_meant_to_have(
    alice: Company, caplog: pytest.LogCaptureFixture
) -> None:
    # aiohttp drops all of them with a warning when it does not know one.
    async with listening(alice, limits=ListenerLimits(keepalive_seconds=3)) as listener:
        server = listener._runner.server
        assert server is not None
        protocol = server()
        assert protocol.keepalive_timeout == 3
        assert protocol.max_headers == 32
        assert protocol.access_logger is None
    assert isinstance(protocol, aiohttp.web_protocol.RequestHandler)
    assert caplog.text == ""
