"""How askers prove who they are on a peer listener, and how answers prove who gave them.

    mutual-tls       the connection's certificate, asked for each request; answers need nothing more
    http-signatures  the request's signature, behind a balancer that ends TLS; answers are signed

Both end in one name out of the roster of this moment. Which of the two a listener speaks is in its
config, and which one a peer is asked by in the scheme of its URL: never what a stranger chooses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol
from urllib.parse import urlsplit

from aiohttp import web

from federation.errors import FederationError
from federation.local_errors.askers import ClockSkew, RequestUnproven
from federation.net.nonces import NonceTable
from federation.net.peering import PeerIdentities
from federation.net.signatures import (
    AnswerMessage,
    Proven,
    RequestMessage,
    open_request,
    sign_answer,
)
from federation.protocol.http_signatures import SIGNED_SCHEME

_PROVEN: Final = web.RequestKey("proven", Proven)
_MESSAGE: Final = web.RequestKey("message", RequestMessage)


@dataclass(frozen=True, slots=True)
class Asker:
    """Who sent a request, and for what path of the peer API.

    Attributes:
        member: proven.
        path: without the query, and without what a balancer's URL puts before it.
    """

    member: str
    path: str


class Proving(Protocol):
    """What a listener asks about each request."""

    @property
    def is_sealing(self) -> bool:
        """Whether answers are sealed, and must therefore be whole before they go out."""

    def asker_of(self, request: web.BaseRequest) -> Asker:
        """Who sent it; asked before its body is read.

        Raises:
            NotAllowed: a leaf of it.
        """

    def check_body(self, request: web.BaseRequest, body: bytes) -> None:
        """Accept the body that came with it.

        Raises:
            RequestUnproven: it is not the one that was signed.
        """

    def seal(self, request: web.BaseRequest, status: int, body: bytes) -> Mapping[str, str]:
        """The fields that prove the answer; none where the channel does."""


class TlsProving:
    """By the connection's certificate.

    Args:
        identities: whose leaf is whose.
    """

    is_sealing = False

    def __init__(self, identities: PeerIdentities) -> None:
        self._identities = identities

    def asker_of(self, request: web.BaseRequest) -> Asker:
        """Who holds the certificate of the connection.

        Raises:
            PeerNotAMember: nobody in the roster, or the leaf has expired.
        """
        return Asker(self._identities.peer_of(request), request.path)

    def check_body(self, request: web.BaseRequest, body: bytes) -> None:
        """TLS has checked it."""

    def seal(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - nothing of it is needed
        status: int,  # noqa: ARG002
        body: bytes,  # noqa: ARG002
    ) -> Mapping[str, str]:
        """TLS proves it."""
        return {}


class SignatureProving:
    """By the request's signature, behind a balancer.

    Args:
        identities: whose leaf is whose; and the leaf that signs answers.
        urls: this node's URLs in the roster of the moment. A request is for one of them or is
            refused: so what was signed for another node, or for another path, is of no use here,
            and nothing that a balancer says of itself (X-Forwarded-…) has to be believed.
        clock: POSIX seconds.
    """

    is_sealing = True

    def __init__(
        self,
        identities: PeerIdentities,
        urls: Callable[[], tuple[str, ...]],
        clock: Callable[[], float],
    ) -> None:
        self._identities, self._urls, self._clock = identities, urls, clock
        self._nonces = NonceTable(clock())

    def asker_of(self, request: web.BaseRequest) -> Asker:
        """Who signed the request; takes its nonce.

        Raises:
            PeerNotAMember: the leaf is nobody's in the roster.
            RequestUnproven, ClockSkew, RequestReplayed: the signature is not of this request, or
                of another time, or was taken before.
            TooBusy: more requests than can be remembered.
        """
        now = self._clock()
        failed: FederationError | None = None
        for url, path in self._meant(request):
            message = RequestMessage(request.method, url, request.headers)  # type: ignore[arg-type]
            try:
                proven = open_request(message, self._identities.member_of, now)
            except RequestUnproven as error:
                failed = error
                continue
            except ClockSkew:
                # By a member's leaf, so that it is worth a signed refusal; strangers are not.
                request[_MESSAGE] = message
                raise
            request[_MESSAGE] = message
            self._nonces.take(proven.member, proven.nonce, proven.created, now)
            request[_PROVEN] = proven
            return Asker(proven.member, path)
        raise failed or RequestUnproven(
            "this node expects signed requests, and its roster entry has no URL for them",
            hint=f"its URL in the roster begins with {SIGNED_SCHEME}://",
        )

    def check_body(self, request: web.BaseRequest, body: bytes) -> None:
        """Accept the body that came with a request that was proven.

        Raises:
            RequestUnproven: it is not the one that was signed.
        """
        request[_PROVEN].check_body(body)

    def seal(self, request: web.BaseRequest, status: int, body: bytes) -> Mapping[str, str]:
        """The fields that prove an answer to this request; none where a stranger asked."""
        fields: dict[str, str] = {}
        if _MESSAGE in request:
            answer = AnswerMessage(status, fields, request[_MESSAGE])
            with suppress(RequestUnproven):
                sign_answer(answer, body, self._identities.signing_leaf(), self._clock())
                return fields
        return {}

    def _meant(self, request: web.BaseRequest) -> list[tuple[str, str]]:
        """What the asker may have written, as (absolute URL, path of the peer API)."""
        target = request.raw_path
        if not target.startswith("/"):
            raise RequestUnproven("a request names its target by path")
        meant: list[tuple[str, str]] = []
        for url in self._urls():
            if not url.startswith(f"{SIGNED_SCHEME}://"):
                continue
            base = "https" + url.removeprefix(SIGNED_SCHEME)
            prefix = urlsplit(base).path
            if prefix and target.startswith(prefix + "/"):  # passed on as it came
                meant.append((base.removesuffix(prefix) + target, request.path[len(prefix) :]))
            else:  # without a prefix, or it was taken away
                meant.append((base + target, request.path))
        return meant
