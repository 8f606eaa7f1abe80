"""One request's way to a peer, and what proves that it was the peer who answered.

    TlsHop     mutual TLS with the peer's own node: the handshake has proven both sides
    SignedHop  TLS with a balancer in front of it: request and answer are signed

The asker's half of ``proving.py``.
"""

from __future__ import annotations

import ssl
import time
from typing import Protocol

import aiohttp
import yarl
from aiohttp import hdrs

from federation.local_errors.askers import NotAllowed
from federation.local_errors.peers import PeerIdentityWrong, PeerUnreachable
from federation.net.peering import PeerIdentities
from federation.net.routes import MSGPACK
from federation.net.signatures import AnswerMessage, RequestMessage, open_answer, sign_request


class Hop(Protocol):
    """One attempt at one request.

    Attributes:
        url: where it is sent.
        fields: of its head.
        context: for TLS.
        server_name: whom the certificate must name; None: the URL's host.
    """

    url: yarl.URL
    fields: dict[str, str]
    context: ssl.SSLContext
    server_name: str | None

    def check_answer(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        """Accept an answer that the peer itself gave to this request.

        Raises:
            PeerIdentityWrong: somebody else did, or to something else.
        """


class TlsHop:
    """Mutual TLS; see :class:`Hop`."""

    def __init__(
        self, identities: PeerIdentities, member: str, url: str, body: bytes | None
    ) -> None:
        """Prepare it.

        Args:
            identities: gives the context of the moment.
            member: the peer.
            url: with path and query.
            body: None for a GET.

        Raises:
            PeerIdentityWrong: the roster pins no usable identity for that member.
        """
        self.url = _parse_url(url, member)
        self.fields = _content_type(body)
        self.context = identities.client_context(member)
        self.server_name: str | None = member

    def check_answer(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        """The handshake has proven who answers."""


class SignedHop:
    """A balancer in front; see :class:`Hop`."""

    def __init__(
        self, identities: PeerIdentities, member: str, method: str, url: str, body: bytes | None
    ) -> None:
        """Sign the request, with a nonce of its own.

        Args:
            identities: signs, and says whose leaf an answer shows.
            member: the peer.
            method: of HTTP.
            url: with path and query, https.
            body: None for a GET.

        Raises:
            PeerIdentityWrong: the roster pins no usable identity for that member.
            ConfigInvalid: the file of further authorities is none.
        """
        if member not in identities.members:
            raise PeerIdentityWrong(f"this node's roster pins no TLS identity for {member}")
        self.url = _parse_url(url, member)
        self.fields = _content_type(body)
        self.context = identities.front_context()
        self.server_name: str | None = None
        self._identities, self._member = identities, member
        self._message = RequestMessage(method, url, self.fields)
        sign_request(self._message, body or b"", identities.signing_leaf(), time.time())

    def check_answer(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        """Accept an answer that the peer signed, over this very request.

        Raises:
            PeerIdentityWrong: it is not signed, by another, for another request, or is not whole.
        """
        answer = AnswerMessage(response.status, response.headers.copy(), self._message)
        try:
            proven = open_answer(answer, self._identities.member_of, time.time())
            proven.check_body(body)
        except NotAllowed as error:
            raise PeerIdentityWrong(
                f"{self.url.host}: the answer is not proven to be {self._member}'s: {error.message}"
            ) from None
        if proven.member != self._member:
            raise PeerIdentityWrong(
                f"{self.url.host}: {proven.member} answered where the roster says {self._member}"
            )


def _parse_url(url: str, member: str) -> yarl.URL:
    """Kept as it is written: what is sent is what was signed."""
    try:
        parsed = yarl.URL(url, encoded=True)
        if parsed.host and parsed.port:  # read only now
            return parsed
    except ValueError:
        pass
    raise PeerUnreachable(f"the roster's URL for {member} is not one")


def _content_type(body: bytes | None) -> dict[str, str]:
    return {hdrs.CONTENT_TYPE: MSGPACK} if body is not None else {}
