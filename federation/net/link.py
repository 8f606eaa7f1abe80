"""One peer, as this node reaches it: bounded waits, bounded answers, errors in an operator's words.

A link has connection pools apart, so that a control request never queues behind a range of
statements or a long poll. Whatever goes wrong is a PeerError leaf: nothing here judges what an
answer means.

Every call of the peer API may be repeated, so a request is sent again when a kept-alive connection
turns out to have been closed meanwhile, and the peer's next URL is tried when one cannot be
connected to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Final
from urllib.parse import urlencode

import aiohttp
from aiohttp import hdrs

from federation.errors import TooLarge
from federation.local_errors.peers import (
    PeerAnswerTooLarge,
    PeerError,
    PeerIdentityWrong,
    PeerRefused,
    PeerTimeout,
    PeerUnreachable,
)
from federation.net.asking import PeerCall, PeerCalls
from federation.net.hops import Hop, SignedHop, TlsHop
from federation.net.limits import (
    HTTP_FIELD_BYTES_MAX,
    HTTP_FIELDS_MAX,
    HTTP_LINE_BYTES_MAX,
    READ_BUFFER_BYTES,
    REFUSAL_BYTES_MAX,
    RETRY_AFTER_SECONDS_MAX,
    LinkLimits,
    Share,
)
from federation.net.names import PeerNames
from federation.net.peering import PeerIdentities
from federation.net.refusals import decode_refusal
from federation.protocol.http_signatures import SIGNED_SCHEME
from federation.protocol.limits_messages import CALL_ANSWER_BYTES_MAX, CALLS_BYTES_MAX

_SCHEMES: Final = ("https://", f"{SIGNED_SCHEME}://")
_OK: Final = 200

_CLOSED_IN_HANDSHAKE: Final = (
    "the peer closed the connection during the TLS handshake; "
    "it may not have our identity in its roster yet"
)

_RETRY_ELSEWHERE: Final = (PeerUnreachable, PeerIdentityWrong)


class _AnswerNeverBegan(Exception):
    """The connection ended before the first byte of an answer. Never leaves this file."""

    def __init__(self, *, is_reused: bool) -> None:
        super().__init__()
        self.is_reused = is_reused


class PeerLink(PeerCalls):
    """A client for one peer that connects to it. Safe to use from many tasks at once.

    Attributes:
        member: the peer's name.
        urls: where its node is reached, as in the roster.
    """

    def __init__(
        self,
        member: str,
        urls: Sequence[str],
        identities: PeerIdentities,
        limits: LinkLimits | None = None,
        names: PeerNames | None = None,
    ) -> None:
        """Nothing is connected before the first call.

        Args:
            member: the peer's name; whoever answers must prove it by the roster's identity.
            urls: its node URLs as in the roster; their scheme says how both sides are proven, and
                others than these two are passed over.
            identities: gives the TLS context of the moment, for every request anew.
            limits: waits and pool sizes.
            names: where the URLs' names lead, for all links of a node; None to ask for itself.
        """
        super().__init__(member, urls)
        self._urls = tuple(url.rstrip("/") for url in urls if url.startswith(_SCHEMES))
        self._preferred = 0
        self._identities = identities
        self._limits = limits or LinkLimits()
        self._names = names
        self._sessions: dict[Share, aiohttp.ClientSession] = {}
        self._places = {
            share: asyncio.Semaphore(self._limits.connections(share)) for share in Share
        }
        self._is_closed = False

    async def heads(self, since: int, wait_seconds: int) -> bytes:
        """Wait for what the peer would call this node for, if it could.

        Args:
            since: the highest number of a call that arrived here.
            wait_seconds: how long the peer may hold the request while it has nothing to say.

        Raises:
            PeerError: a leaf of it; see the module.
        """
        params = {"since": str(since), "wait": str(wait_seconds)}
        return await self.ask(
            PeerCall(
                "GET",
                "/v1/heads",
                CALLS_BYTES_MAX,
                params=params,
                share=Share.POLL,
                seconds=wait_seconds,
            )
        )

    async def bring(
        self, number: int, status: int, body: bytes, share: Share = Share.CONTROL
    ) -> None:
        """Bring the answer to a call that came with :meth:`heads`.

        Args:
            number: the call's.
            status: as it would have been over HTTP.
            body: the answer, or the refusal.
            share: the kind of place that the call took here.

        Raises:
            TooLarge: it is over ``CALL_ANSWER_BYTES_MAX``; nothing was sent.
            PeerError: a leaf of it; PeerRefused with status 404 when nobody waits for it any more.
        """
        if len(body) > CALL_ANSWER_BYTES_MAX:
            raise TooLarge(f"an answer of {len(body)} bytes is over any call's limit")
        # Receipts must not queue behind ranges of statements, nor a crisis behind other lanes.
        is_long = len(body) > READ_BUFFER_BYTES
        if is_long and share is Share.CONTROL:
            share = Share.BULK
        elif not is_long and share is not Share.CRISIS:
            share = Share.CONTROL
        await self.ask(
            PeerCall(
                "POST",
                f"/v1/heads/{number}",
                REFUSAL_BYTES_MAX,
                body=body,
                params={"status": str(status)},
                share=share,
                is_long=is_long,
            )
        )

    async def close(self) -> None:
        """Close all connections; later calls fail."""
        self._is_closed = True
        sessions = list(self._sessions.values())
        self._sessions.clear()
        for session in sessions:
            await session.close()

    # --- one request ------------------------------------------------------------------------------

    async def ask(self, call: PeerCall) -> bytes:
        """Make one call: at the URL that worked last, then at the others.

        Raises:
            PeerError: a leaf of it; see the module.
        """
        first_error: PeerError | None = None
        for step in range(len(self._urls)):
            index = (self._preferred + step) % len(self._urls)
            try:
                answer = await self._ask_at(self._urls[index], call)
            except _RETRY_ELSEWHERE as error:
                first_error = first_error or error
                continue
            self._preferred = index
            return answer
        raise first_error or PeerUnreachable(f"the roster has no https URL for {self.member}")

    async def _ask_at(self, url: str, call: PeerCall) -> bytes:
        # One closed connection may hide another: each pool holds no more than this many.
        attempts_left = 1 + max(self._limits.connections(share) for share in Share)
        while True:
            attempts_left -= 1
            try:
                async with self._place(call) as share:
                    return await self._exchange(url, call, share)
            except _AnswerNeverBegan as ended:
                if ended.is_reused and attempts_left:
                    continue
                raise PeerUnreachable(f"{url}: {_CLOSED_IN_HANDSHAKE}") from None
            # ValueError: a name that has no form in the DNS.
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                raise _peer_error(url, self.member, error) from None

    @asynccontextmanager
    async def _place(self, call: PeerCall) -> AsyncIterator[Share]:
        """Wait for one of our own connections to be free: that wait is not held against the peer.

        Raises:
            PeerTimeout: none became free for as long as a whole request may take.
        """
        share = call.share
        is_news = share is Share.CRISIS and not call.is_long
        if is_news and not self._places[Share.CONTROL].locked():
            share = Share.CONTROL  # most likely open already: no handshake before the news
        places = self._places[share]
        try:
            async with asyncio.timeout(self._limits.seconds(is_long=call.is_long)):
                await places.acquire()
        except TimeoutError:
            raise PeerTimeout(f"all connections to {self.member} have been busy too long") from None
        try:
            yield share
        finally:
            places.release()

    async def _exchange(self, url: str, call: PeerCall, share: Share) -> bytes:
        connection = SimpleNamespace(is_reused=False)
        hop = self._hop(url, call)
        request = self._session(share).request(
            call.method,
            hop.url,
            data=call.body,
            headers=hop.fields,
            ssl=hop.context,
            server_hostname=hop.server_name,
            timeout=self._timeout(call),
            allow_redirects=False,  # a roster names the peer's URLs; the peer itself does not
            trace_request_ctx=connection,
        )
        try:
            response = await request
        except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError):
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            raise _AnswerNeverBegan(is_reused=connection.is_reused) from None
        try:
            if response.status != _OK:
                raise await self._refusal(url, response, hop)
            body = await _read(response, call.answer_bytes_max)
            if body is None:
                raise PeerAnswerTooLarge(
                    f"{url}: the answer is longer than {call.answer_bytes_max} bytes"
                )
            hop.check_answer(response, body)
            return body
        finally:
            response.release()  # back to the pool when read to its end, closed otherwise

    def _hop(self, url: str, call: PeerCall) -> Hop:
        """How both sides are proven there; the URL's scheme says so, and governance wrote it."""
        query = f"?{urlencode(call.params)}" if call.params else ""
        if url.startswith(f"{SIGNED_SCHEME}://"):
            target = "https" + url.removeprefix(SIGNED_SCHEME) + call.path + query
            return SignedHop(self._identities, self.member, call.method, target, call.body)
        return TlsHop(self._identities, self.member, url + call.path + query, call.body)

    async def _refusal(self, url: str, response: aiohttp.ClientResponse, hop: Hop) -> PeerError:
        body = await _read(response, REFUSAL_BYTES_MAX)
        code = decode_refusal(body) if body is not None else None
        try:
            hop.check_answer(response, body or b"")
        except PeerError:
            # A balancer's own word, or a node's that could not tell who asks. Neither proves that
            # it is the peer that refuses.
            return PeerUnreachable(
                f"{url}: status {response.status} ({code or 'no code'}), not signed by "
                f"{self.member}: its balancer, or a node that cannot tell who asks"
            )
        return PeerRefused(
            f"{url}: {self.member} refused with status {response.status} ({code or 'no code'})",
            status=response.status,
            retry_after_seconds=_retry_after(response.headers.get(hdrs.RETRY_AFTER)),
        )

    def _timeout(self, call: PeerCall) -> aiohttp.ClientTimeout:
        # Each of them: connect alone, or total alone, leaves a stage that waits for ever.
        limits = self._limits
        return aiohttp.ClientTimeout(
            total=limits.seconds(is_long=call.is_long) + call.seconds,
            connect=limits.connect_seconds,
            sock_connect=limits.connect_seconds,
            sock_read=limits.read_seconds + call.seconds,
        )

    def _session(self, share: Share) -> aiohttp.ClientSession:
        if self._is_closed:
            raise PeerUnreachable(f"the link to {self.member} is closed")
        session = self._sessions.get(share)
        if session is None:
            session = self._sessions[share] = self._make_session(share)
        return session

    def _make_session(self, share: Share) -> aiohttp.ClientSession:
        limits = self._limits
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_start.append(_note_new)
        trace.on_connection_reuseconn.append(_note_reuse)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=limits.connections(share),
                keepalive_timeout=limits.keepalive_seconds,
                resolver=self._names,
                use_dns_cache=self._names is None,  # those remember by themselves
            ),
            headers={hdrs.ACCEPT_ENCODING: "identity", hdrs.USER_AGENT: "federation"},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # a small answer stays small
            trust_env=False,
            read_bufsize=READ_BUFFER_BYTES,
            max_line_size=HTTP_LINE_BYTES_MAX,
            max_field_size=HTTP_FIELD_BYTES_MAX,
            max_headers=HTTP_FIELDS_MAX,
            trace_configs=[trace],
        )


async def _note_new(
    _: aiohttp.ClientSession,
    request: SimpleNamespace,
    __: aiohttp.TraceConnectionCreateStartParams,
) -> None:
    request.trace_request_ctx.is_reused = False


async def _note_reuse(
    _: aiohttp.ClientSession,
    request: SimpleNamespace,
    __: aiohttp.TraceConnectionReuseconnParams,
) -> None:
    request.trace_request_ctx.is_reused = True


async def _read(response: aiohttp.ClientResponse, bytes_max: int) -> bytes | None:
    """The whole body, or None when it is longer; then the connection is closed."""
    if response.content_length is not None and response.content_length > bytes_max:
        response.close()
        return None
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > bytes_max:
            response.close()
            return None
    return bytes(body)


def _retry_after(field: str | None) -> float | None:
    """Seconds, or None when absent or not a plain number (a date is never sent by a node)."""
    if field is None or not (field.isascii() and field.isdigit()) or len(field) > 9:  # noqa: PLR2004
        return None
    return float(min(int(field), RETRY_AFTER_SECONDS_MAX))


def _peer_error(url: str, member: str, error: Exception) -> PeerError:
    """What an operator is told; the order matters, for aiohttp's errors are each other's kin."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return PeerIdentityWrong(
                f"{url}: the certificate there is not one that {member}'s identity in the roster "
                f"issued ({_certificate_words(error)})",
                hint="another node answers at that address, or the roster's identity is outdated",
            )
        case aiohttp.ClientConnectorSSLError():
            return PeerUnreachable(f"{url}: no TLS handshake with what answers there")
        case aiohttp.ClientConnectorDNSError():
            return PeerUnreachable(f"{url}: the name does not resolve")
        case aiohttp.ClientConnectorError(os_error=os_error):
            words = os_error.strerror or type(os_error).__name__
            return PeerUnreachable(f"{url}: cannot connect ({words})")
        case aiohttp.ConnectionTimeoutError():  # also a stopped process whose kernel accepts
            return PeerUnreachable(f"{url}: no connection, or no TLS handshake, in time")
        case TimeoutError():
            return PeerTimeout(f"{url}: no (whole) answer in time")
        case aiohttp.ClientPayloadError():
            return PeerUnreachable(f"{url}: the connection broke within the answer")
        case aiohttp.ClientResponseError():
            return PeerUnreachable(f"{url}: what answers there does not speak HTTP")
        case aiohttp.InvalidURL() | ValueError():
            return PeerUnreachable(f"the roster's URL for {member} is not one")
        case _:
            return PeerUnreachable(f"{url}: the connection broke ({type(error).__name__})")


def _certificate_words(error: aiohttp.ClientConnectorCertificateError) -> str:
    cause = error.certificate_error
    words = getattr(cause, "verify_message", None) or getattr(cause, "strerror", None)
    return str(words or type(cause).__name__)
