"""Who may talk to this node, and as whom it talks: TLS 1.3 contexts that follow the roster.

One :class:`PeerIdentities` per node holds the node's own leaf and the identities that the roster
pins. Three doors ask it, each on its own:

1. *the handshake*: only leaves under a pinned identity pass, and each leaf is bound to the identity
   of the member it names before a byte of HTTP is read (:class:`ssl.SSLObject` is subclassed, since
   a TLS library asks only whether *some* trusted certificate issued the leaf);
2. *every request*: :meth:`PeerIdentities.peer_of`, because a connection outlives a roster;
3. *every roster change*: whoever registered with :meth:`PeerIdentities.on_replaced` closes the
   connections of those who are members no longer.

The listening context never changes; while a handshake says hello, it swaps itself for the context
of this moment, so neither a roster version nor a new leaf needs a restart. An empty roster trusts
nobody. There are no session tickets: a resumed session would skip the certificate.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from aiohttp import web

from federation.errors import FederationError, KeyMalformed, ProtocolError
from federation.local_errors.askers import PeerNotAMember
from federation.local_errors.config import ConfigInvalid
from federation.local_errors.peers import PeerIdentityWrong
from federation.net.identities import (
    BoundLeaf,
    PemPair,
    bind_leaf,
    check_identity_certificate,
    leaf_member,
)
from federation.net.limits import (
    CERTIFICATES_REMEMBERED_MAX,
    LEAF_VALID_HOURS,
)
from federation.net.own_leaf import OwnLeaf
from federation.net.signatures import SigningLeaf


def utc_now() -> datetime:
    """The wall clock, UTC, aware."""
    return datetime.now(tz=UTC)


class PeerIdentities:
    """The node's own leaf, the members' pinned identities, and the TLS contexts made of both.

    All methods are called from the event loop's thread.

    Attributes:
        member: this node's own member name.
        server_context: for the listener; the same object for the node's whole life.
    """

    def __init__(
        self,
        member: str,
        identity: PemPair,
        leaf_directory: Path,
        *,
        clock: Callable[[], datetime] = utc_now,
        leaf_valid_hours: float = LEAF_VALID_HOURS,
        authorities_file: Path | None = None,
    ) -> None:
        """Mint a first leaf and trust nobody yet.

        Args:
            member: this node's own member name.
            identity: its TLS identity, certificate and key.
            leaf_directory: where the leaf and its key are kept, in a file of mode 0600; Python's
                TLS reads them from files only. Made with mode 0700 when missing.
            clock: the wall clock, UTC, aware.
            leaf_valid_hours: life of a leaf.
            authorities_file: PEM certificates of authorities that other members' balancers may
                be certified by, beside the system's.

        Raises:
            KeyFileInvalid: the identity's PEM texts are malformed or do not belong together, or the
                clock is outside its dates.
            KeyMalformed: the certificate is not an identity of that member.
            StoreError: the leaf could not be written.
        """
        self.member = member
        self._clock = clock
        self._identities: Mapping[str, tuple[bytes, ...]] = MappingProxyType({})
        self._former: Mapping[str, tuple[bytes, ...]] = MappingProxyType({})
        self._bound: dict[bytes, BoundLeaf] = {}
        self._client_contexts: dict[str, ssl.SSLContext] = {}
        self._on_replaced: list[Callable[[], None]] = []
        self._front_context: ssl.SSLContext | None = None
        self._authorities_file = authorities_file
        self._on_former: Callable[[str], None] | None = None
        self._own = OwnLeaf(member, identity, leaf_directory, clock(), leaf_valid_hours)
        self.server_context = self._make_server_context()

    # --- the roster's side ------------------------------------------------------------------------

    @property
    def members(self) -> frozenset[str]:
        """The members whose identity is pinned and usable."""
        return frozenset(self._identities)

    def replace(
        self,
        identities: Mapping[str, Sequence[bytes]],
        former: Mapping[str, Sequence[bytes]] = MappingProxyType({}),
    ) -> Mapping[str, str]:
        """Take a roster's identities in place of those before, at once and for everything.

        New handshakes, requests on open connections and new client connections follow the new
        mapping when this returns, and the registered callbacks have run.

        Args:
            identities: member's name -> DER of each of its pinned identities: several while they
                are being rotated, and a leaf under any of them is the member's.
            former: the same of those who are not active any more. They are let in as little as
                strangers are; but who knocks is told by name (:meth:`on_former`).

        Returns:
            The members of whom a pinned certificate was left out because it is no identity, with
            the reason; they get in by another of theirs, or not before the roster is mended. They
            must not keep others out.

        Raises:
            StoreError: the node's own leaf could not be loaded. The new mapping is in force even
                then: nobody removed gets in.
        """
        left_out: dict[str, str] = {}
        kept = self._usable(identities, left_out)
        for member in [m for m in self._client_contexts if kept.get(m) != self._identities.get(m)]:
            del self._client_contexts[member]
        self._identities = MappingProxyType(kept)
        self._former = MappingProxyType(self._usable(former, {}))
        self._bound.clear()
        try:
            self._inner_context = self._make_inner_context()
        finally:
            for call in list(self._on_replaced):
                call()
        return MappingProxyType(left_out)

    def _usable(
        self, identities: Mapping[str, Sequence[bytes]], left_out: dict[str, str]
    ) -> dict[str, tuple[bytes, ...]]:
        """Those that are identities of their members; the others' reasons go into ``left_out``."""
        kept: dict[str, tuple[bytes, ...]] = {}
        for member, pinned in identities.items():
            checked = (*self._identities.get(member, ()), *self._former.get(member, ()))
            usable = []
            for der in map(bytes, pinned):
                try:
                    if der not in checked:
                        check_identity_certificate(der, member)
                        _check_loadable(der)
                except ProtocolError as error:
                    left_out[member] = error.message
                else:
                    usable.append(der)
            if usable:
                kept[member] = tuple(usable)
        return kept

    def on_former(self, call: Callable[[str], None]) -> None:
        """Have ``call`` told the name of each former member whose handshake is refused."""
        self._on_former = call

    def on_replaced(self, call: Callable[[], None]) -> Callable[[], None]:
        """Have ``call`` run after every :meth:`replace`; returns what takes it off again."""
        self._on_replaced.append(call)
        return lambda: self._on_replaced.remove(call)

    # --- judging the other side -------------------------------------------------------------------

    def member_of(self, leaf_der: bytes | None) -> str:
        """The member who holds that leaf, as of this moment and this roster.

        Args:
            leaf_der: the certificate of the connection's other end; None when it has none.

        Raises:
            PeerNotAMember: see :func:`federation.net.identities.leaf_member`.
        """
        if leaf_der is None:
            raise PeerNotAMember("the peer showed no certificate")
        now = self._clock()
        fingerprint = sha256(leaf_der).digest()
        bound = self._bound.get(fingerprint)
        if bound is None or not bound.is_valid_at(now):
            bound = bind_leaf(leaf_der, self._identities, now)
            if len(self._bound) >= CERTIFICATES_REMEMBERED_MAX:
                self._bound.clear()  # binding again costs 0.3 ms; no need to choose whom to forget
            self._bound[fingerprint] = bound
        return bound.member

    def peer_of(self, request: web.BaseRequest) -> str:
        """The member who sent the request. Asked for every request, before its body is read.

        Raises:
            PeerNotAMember: the connection's certificate is no member's any more, or has expired.
        """
        if request.transport is None:
            raise PeerNotAMember("the connection is closed")
        return self.member_of(certificate_of(request.transport.get_extra_info("ssl_object")))

    # --- TLS contexts -----------------------------------------------------------------------------

    def client_context(self, member: str) -> ssl.SSLContext:
        """The context for connecting to that member, and to nobody else.

        The same object until the member's pinned identities or the node's own leaf change, so a
        connection pool keyed by context never reuses a connection across such a change. Use it
        with ``server_hostname=member``.

        Raises:
            PeerIdentityWrong: the roster pins no usable identity for that member.
            StoreError: the node's own leaf could not be loaded.
        """
        pinned = self._identities.get(member)
        if pinned is None:
            raise PeerIdentityWrong(
                f"this node's roster pins no TLS identity for {member}",
                hint="if it was admitted just now, fetch the newest roster",
            )
        context = self._client_contexts.get(member)
        if context is None:
            context = _strict_context(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = True  # the leaf's only name is the member's, not the URL's
            context.load_verify_locations(cadata=b"".join(pinned))
            self._own.load_into(context)
            only = {member: pinned}
            context.sslobject_class = _bound_object(
                lambda der: bind_leaf(der or b"", only, self._clock())
            )
            self._client_contexts[member] = context
        return context

    def front_context(self) -> ssl.SSLContext:
        """The context for connecting to a balancer that ends TLS before a member's node.

        It asks for what browsers ask for: a certificate of the URL's host by a known authority.
        That keeps what is sent from strangers on the way; who is asked, and who answers, is proven
        by signed messages.

        Raises:
            ConfigInvalid: the file of further authorities is none.
        """
        if self._front_context is None:
            context = ssl.create_default_context()
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if self._authorities_file is not None:
                try:
                    context.load_verify_locations(self._authorities_file)
                except OSError as error:
                    raise ConfigInvalid(
                        f"{self._authorities_file} holds no certificates of authorities "
                        f"({error.strerror or type(error).__name__})"
                    ) from None
            self._front_context = context
        return self._front_context

    def _make_server_context(self) -> ssl.SSLContext:
        outer = _strict_context(ssl.PROTOCOL_TLS_SERVER)
        outer.num_tickets = 0
        self._own.load_into(outer)
        outer.sslobject_class = _bound_object(self._admit)
        self._inner_context = self._make_inner_context()

        def swap(
            connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _: ssl.SSLContext
        ) -> None:
            # Runs for every client hello, also one without a server name.
            connection.context = self._inner_context

        outer.sni_callback = swap
        return outer

    def _admit(self, leaf_der: bytes | None) -> str:
        """The last word in a handshake with whoever wants in."""
        try:
            return self.member_of(leaf_der)
        except PeerNotAMember:
            if self._on_former is not None and leaf_der is not None:
                with suppress(PeerNotAMember):
                    self._on_former(leaf_member(leaf_der, self._former, self._clock()))
            raise

    def _make_inner_context(self) -> ssl.SSLContext:
        context = _strict_context(ssl.PROTOCOL_TLS_SERVER)
        context.num_tickets = 0
        self._own.load_into(context)
        known = (*self._identities.values(), *self._former.values())
        if known:
            # Former members pass this first look, so that the second, _admit, knows their names.
            every = b"".join(der for pinned in known for der in pinned)
            context.load_verify_locations(cadata=every)
        return context

    # --- the own leaf -----------------------------------------------------------------------------

    @property
    def leaf_valid_until(self) -> datetime:
        """When the present leaf ends (UTC)."""
        return self._own.valid_until

    def signing_leaf(self) -> SigningLeaf:
        """The present leaf and its key, for signing messages where no TLS of ours reaches."""
        return self._own.signing()

    def renew_if_due(self, now: datetime) -> bool:
        """Mint a new leaf when two thirds of the present one's life are over; True if it did.

        New connections in both directions use it at once; open ones keep theirs.

        Raises:
            KeyFileInvalid: ``now`` is outside the dates of the identity itself.
            StoreError: the leaf could not be written; the present one stays in use.
        """
        return self._show_leaf() if self._own.renew_if_due(now) else False

    def take_identity(self, identity: PemPair, now: datetime) -> bool:
        """Mint under another identity of one's own from now on; True if it is another.

        For an identity that governance has pinned beside the present one and whose files took the
        place of the former ones: peers know leaves under both, so nothing is interrupted.

        Args:
            identity: certificate and key.
            now: UTC, aware.

        Raises:
            KeyFileInvalid, KeyMalformed: it is none of this member's; the present one stays.
            StoreError: the leaf could not be written; the present one stays.
        """
        return self._show_leaf() if self._own.take_identity(identity, now) else False

    def _show_leaf(self) -> bool:
        self._client_contexts.clear()
        self._inner_context = self._make_inner_context()
        self._own.load_into(self.server_context)
        return True


def certificate_of(connection: ssl.SSLObject | None) -> bytes | None:
    """The DER certificate that the other end of a TLS connection proved to hold, or None."""
    return None if connection is None else connection.getpeercert(binary_form=True)


def _strict_context(side: int) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    # Partial chain: a pinned identity is trusted as it stands, whoever else might have signed it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    return context


def _check_loadable(der: bytes) -> None:
    """Two libraries read certificates here; what only one of them can read is left out alone."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=der)
    except ssl.SSLError:
        raise KeyMalformed("the TLS library cannot read this identity") from None


def _bound_object(check: Callable[[bytes | None], object]) -> type[ssl.SSLObject]:
    """A connection class whose handshake also asks ``check`` about the peer's certificate."""

    class BoundConnection(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            try:
                check(self.getpeercert(binary_form=True))
            except FederationError as error:
                # An event loop ends a handshake cleanly on TLS errors only.
                raise ssl.SSLCertVerificationError(1, error.message) from None

    return BoundConnection
