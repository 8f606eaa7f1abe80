"""One request and its answer on the peer listener: bounded reading, writing and counting.

A body is refused by its declared length before a byte of it is read, and again while it comes, for
a body may be chunked and its length undeclared. Reading and writing have an end each, so that a
slow peer holds a place of its own for a while and nobody else's.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from aiohttp import hdrs, web

from federation.errors import FederationError, RequestMalformed, TooLarge
from federation.local_errors.askers import TooBusy
from federation.local_errors.peers import PeerTimeout
from federation.net.limits import ANSWER_PIECE_BYTES, ListenerLimits, Share
from federation.net.refusals import encode_refusal, status_of, wait_seconds
from federation.net.routes import MSGPACK, Answer
from federation.protocol.limits_messages import CALL_ANSWER_BYTES_MAX, DIGEST_BYTES_MAX

# Answers are for one peer at one moment; and the software's name and version are nobody's business.
_FIELDS: Final[dict[str, str]] = {hdrs.CACHE_CONTROL: "no-store", hdrs.SERVER: "federation"}


@dataclass(slots=True)
class ListenerCounters:
    """What the listener has seen since it started; for metrics and for an operator's question.

    Attributes:
        connections_accepted: TCP connections taken from the kernel.
        connections_refused_busy: closed because a limit on connections or handshakes was reached.
        connections_closed: closed because a roster no longer holds their member.
        handshakes_refused: TLS handshakes that failed: strangers, old TLS, no TLS at all.
        handshakes_timed_out: TLS handshakes that were not finished in time.
        requests_answered: requests answered with what they asked for.
        requests_refused: refusals by error code.
        refused_of: the same by the member that was refused, and then by code; members that are not
            active any more among them. Names come from the roster only.
        requests_malformed: what came over TLS and was not HTTP.
        answers_abandoned: answers that the asker did not take in time, or that broke off.
        abandoned_of: the same by the member that asked.
        faults: requests that met a bug of ours.
    """

    connections_accepted: int = 0
    connections_refused_busy: int = 0
    connections_closed: int = 0
    handshakes_refused: int = 0
    handshakes_timed_out: int = 0
    requests_answered: int = 0
    requests_refused: Counter[str] = field(default_factory=Counter)
    refused_of: dict[str, Counter[str]] = field(default_factory=dict)
    requests_malformed: int = 0
    answers_abandoned: int = 0
    abandoned_of: Counter[str] = field(default_factory=Counter)
    faults: int = 0

    def note_refused(self, member: str, code: str) -> None:
        """A member of the roster, active or not, was refused."""
        self.refused_of.setdefault(member, Counter())[code] += 1

    def note_abandoned(self, member: str) -> None:
        """A member did not take the answer that it had asked for, or not in time."""
        self.answers_abandoned += 1
        self.abandoned_of[member] += 1


class InFlight:
    """How many requests are being served, for each member and kind of place."""

    def __init__(self, limits: ListenerLimits) -> None:
        self._limits = limits
        self._taken: dict[Share, Counter[str]] = {share: Counter() for share in Share}

    @contextmanager
    def place(self, member: str, share: Share) -> Iterator[None]:
        """Hold one of the member's places of that kind while the block runs.

        Raises:
            TooBusy: all its places are taken, or all members' together.
        """
        taken = self._taken[share]
        places, places_total = self._limits.in_flight(share)
        if taken[member] >= places:
            raise TooBusy(f"{member} has {places} requests of this kind under way already")
        if places_total is not None and taken.total() >= places_total:
            raise TooBusy(f"this node serves as many {share} ranges of statements as it can")
        taken[member] += 1
        try:
            yield
        finally:
            taken[member] -= 1
            if not taken[member]:
                del taken[member]


async def expect_later(request: web.Request) -> None:
    """Stand in for aiohttp's own answer to ``Expect``, which comes before anyone is known."""


async def read_body(request: web.Request, *, bytes_max: int, limits: ListenerLimits) -> bytes:
    """The whole body of a request, if it is small enough and comes in time.

    Raises:
        TooLarge: more than ``bytes_max``, declared or sent.
        PeerTimeout: not all of it came within ``limits.body_seconds``; for a body that may be as
            long as an answer, ``limits.answer_seconds``.
        RequestMalformed: it is compressed.
    """
    too_large = f"a body of more than {bytes_max} bytes is not read"
    if request.content_length is not None and request.content_length > bytes_max:
        raise TooLarge(too_large)
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity":
        raise RequestMalformed("bodies are sent uncompressed")
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # as aiohttp does: the answer proper has not begun
    body = bytearray()
    # What may be as long as an answer may take as long as an answer.
    is_long = bytes_max > DIGEST_BYTES_MAX
    seconds = limits.answer_seconds if is_long else limits.body_seconds
    try:
        async with asyncio.timeout(seconds):
            while piece := await request.content.readany():
                body += piece
                if len(body) > bytes_max:
                    raise TooLarge(too_large)
    except TimeoutError:
        raise PeerTimeout(f"the body did not arrive within {seconds:g} seconds") from None
    return bytes(body)


async def send_answer(
    request: web.Request,
    answer: Answer,
    member: str,
    *,
    content_type: str = MSGPACK,
    counters: ListenerCounters,
    limits: ListenerLimits,
    seal: Mapping[str, str] = MappingProxyType({}),
) -> web.StreamResponse:
    """Write an answer and wait until the peer has taken it.

    Once it has begun it either ends whole or the connection is cut.

    Raises:
        ConnectionResetError: the peer left, or was too slow and was cut off.
    """
    fields: dict[str, str] = {**seal, hdrs.CONTENT_TYPE: content_type}
    fields.update(_FIELDS)
    response = web.StreamResponse(headers=fields)
    if isinstance(answer, bytes):
        response.content_length = len(answer)
    try:
        async with asyncio.timeout(limits.answer_seconds):
            await response.prepare(request)
            async for piece in _pieces(answer):
                await response.write(piece)
                # Writing into a connection that has just broken never waits, so it would never let
                # the event loop find out; and other peers want their turn between two pieces.
                await asyncio.sleep(0)
            await response.write_eof()
    except BaseException as error:
        # The status line is out, so nothing but a broken connection can still say "not whole".
        if request.transport is not None:
            request.transport.abort()
        counters.note_abandoned(member)
        if isinstance(error, TimeoutError | ConnectionError):
            raise ConnectionResetError("the answer was not taken") from None
        raise
    counters.requests_answered += 1
    return response


async def whole(answer: Answer) -> bytes:
    """An answer in one piece, for those that must be signed before they go out.

    Raises:
        TooLarge: over ``CALL_ANSWER_BYTES_MAX``.
    """
    body = bytearray()
    async for piece in _pieces(answer):
        body += piece
        if len(body) > CALL_ANSWER_BYTES_MAX:
            raise TooLarge("that answer is too long to be given in one piece")
    return bytes(body)


async def _pieces(answer: Answer) -> AsyncIterator[bytes]:
    if isinstance(answer, bytes):
        view = memoryview(answer)
        for start in range(0, len(answer), ANSWER_PIECE_BYTES):
            yield bytes(view[start : start + ANSWER_PIECE_BYTES])
    else:
        async for piece in answer:
            yield piece


def refusal(
    error: FederationError, *, retry_after_seconds: int, status: int | None = None
) -> web.Response:
    """The response that says no.

    Args:
        error: why.
        retry_after_seconds: told to the peer when it asks too much at once; more, where the error
            says so.
        status: in place of the table's, for what HTTP itself refuses (404, 405).
    """
    wait = wait_seconds(error, retry_after_seconds)
    response = web.Response(
        status=status or status_of(error), body=encode_refusal(error, wait), headers=_FIELDS
    )
    response.content_type = MSGPACK
    if wait is not None:
        response.headers[hdrs.RETRY_AFTER] = str(wait)
    return response
