"""The peer API as a table: what may be asked, by whose roles, with how large a body.

    POST /v1/announce                                     a body of at most ANNOUNCE_BYTES_MAX
    POST /v1/digest                                       a body of at most DIGEST_BYTES_MAX
    GET  /v1/logs/{sha256 of origin, hex}/statements?from=&to=&at=[&root=]
    GET  /v1/logs/{sha256 of origin, hex}/hashes?from=&to=&at=
    GET  /v1/logs/{sha256 of origin, hex}/prefix?size=&at=&root=
    GET  /v1/logs/{sha256 of origin, hex}/checkpoint
    GET  /roster/{version}.root.json
    POST /v1/attest                                       what is asked about, as text
    GET  /v1/logs/{sha256 of origin, hex}/second?at=      an ML-DSA-44 line on the newest head
    GET  /v1/heads?since=&wait=                           calls that wait for the asker
    POST /v1/heads/{number}?status=                       its answer to one of them

Each line names the :class:`Call` that the roster's roles are held against, so that no route can be
added which nobody thought about. Bodies are opaque here: what they mean is the desk's business.
Nothing here knows how a request came; over HTTP it is ``listener.py``.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from federation.errors import RequestMalformed
from federation.local_errors.askers import MethodNotThere, NotFound
from federation.net.limits import SHARE_OF_LANE, Share
from federation.protocol.limits import INTEGER_MAX, LOG_SIZE_MAX
from federation.protocol.limits_messages import (
    ANNOUNCE_BYTES_MAX,
    ATTEST_BYTES_MAX,
    DIGEST_BYTES_MAX,
    HASHES_MAX,
    POLL_SECONDS_MAX,
    RANGE_STATEMENTS_MAX,
)
from federation.protocol.origins import Lane
from federation.protocol.roster_roles import Call

MSGPACK: Final = "application/msgpack"
_STATUS_MIN: Final = 200
_STATUS_MAX: Final = 599
_NOTE: Final = "text/plain; charset=utf-8"
_JSON: Final = "application/json"

_DIGEST: Final = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)
_NUMBER: Final = re.compile(r"(?:0|[1-9][0-9]{0,15})\Z", re.ASCII)

Answer: TypeAlias = bytes | AsyncIterator[bytes]
"""Whole, or in pieces; an iterator that raises cuts the connection, never the answer short."""


class PeerDesk(Protocol):
    """What answers members: bytes in, bytes out. The asker's name is proven; its bytes are not.

    Any FederationError becomes the refusal that ``net/refusals.py`` lists.
    """

    def lane(self, log_sha256: bytes) -> Lane | None:
        """The lane of a log; None where no log has that name."""

    def is_crisis(self, body: bytes) -> bool:
        """Whether an announcement speaks of a crisis log, or of a forked one; nothing is judged.

        Raises:
            ProtocolError: it is no announcement.
        """

    async def announce(self, member: str, body: bytes) -> Answer:
        """Take a member's announcement; the answer says what this node has."""

    async def digest(self, member: str, body: bytes) -> Answer:
        """Compare heads with a member."""

    async def statements(
        self, member: str, log_sha256: bytes, start: int, end: int, at: int, root: bytes | None
    ) -> Answer:
        """The statements [start, end) of a log, provable against its checkpoint of size ``at``.

        ``root``, 32 bytes, names the branch of a forked log.
        """

    async def prefix(
        self, member: str, log_sha256: bytes, size: int, at: int, root: bytes
    ) -> Answer:
        """What the branch with that root at ``at`` was at an earlier size, and the proof."""

    async def hashes(self, member: str, log_sha256: bytes, start: int, end: int, at: int) -> Answer:
        """The roots of bundles [start, end) of a log of size ``at``, and the leaves behind."""

    async def checkpoint(self, member: str, log_sha256: bytes) -> bytes:
        """The newest checkpoint of a log, verbatim."""

    async def roster(self, member: str, version: int) -> bytes | None:
        """The bytes of that roster version, verbatim, or None when this node has not got it."""

    async def second_line(self, member: str, log_sha256: bytes, at: int) -> Answer:
        """This member's ML-DSA-44 line on the newest head of a log, if it is of that size."""

    async def attest(self, member: str, body: bytes) -> Answer:
        """What became of a statement or of a signal's confirms, signed; see docs/spec."""

    async def heads(self, member: str, since: int, wait_seconds: int) -> Answer:
        """The calls that wait for a member which cannot be called; waits for one to come."""

    def answer_bytes_max(self, member: str, number: int) -> int:
        """How long the member's answer to that call may be, before it is read.

        Raises:
            NotFound: nobody waits for it.
        """

    async def brought(self, member: str, number: int, status: int, body: bytes) -> Answer:
        """Take a member's answer to a call that waited for it."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked.

    Attributes:
        member: who asks, proven.
        parts: of the path, by the names in the route.
        query: every value given, by name.
        body: empty for a GET.
    """

    member: str
    parts: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    body: bytes = field(default=b"", repr=False)

    def number(self, name: str) -> int:
        """A whole number from the query.

        Raises:
            RequestMalformed: not there, there twice, or no number.
        """
        values = self.query.get(name, ())
        if len(values) != 1 or not _NUMBER.match(values[0]):
            raise RequestMalformed(f"`{name}` is one whole number")
        return int(values[0])

    def digest(self, name: str) -> bytes | None:
        """32 bytes from the query, in hex; None where they are not given.

        Raises:
            RequestMalformed: there twice, or no hash.
        """
        values = self.query.get(name, ())
        if not values:
            return None
        if len(values) != 1 or not _DIGEST.match(values[0]):
            raise RequestMalformed(f"`{name}` is one hash, in 64 lower-case hex digits")
        return bytes.fromhex(values[0])

    @property
    def log(self) -> bytes:
        """The SHA-256 in the path that names a log."""
        return bytes.fromhex(self.parts["log"])


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table.

    Attributes:
        call: what the asker's roles must allow.
        method: of HTTP.
        path: matches the whole path; its groups are the request's parts.
        answer: asks the desk.
        body_bytes_max: None where there is no body; may ask the desk.
        share: the kind of place it takes while it is under way; may ask the desk.
        content_type: of the answer.
    """

    call: Call
    method: str
    path: re.Pattern[str]
    answer: Callable[[PeerDesk, Request], Awaitable[Answer]]
    body_bytes_max: int | Callable[[PeerDesk, Request], int] | None = None
    share: Share | Callable[[PeerDesk, Request], Share] = Share.CONTROL
    content_type: str = MSGPACK

    def share_of(self, desk: PeerDesk, request: Request) -> Share:
        """The kind of place that request takes."""
        return self.share(desk, request) if callable(self.share) else self.share


async def _announce(desk: PeerDesk, request: Request) -> Answer:
    return await desk.announce(request.member, request.body)


async def _digest(desk: PeerDesk, request: Request) -> Answer:
    return await desk.digest(request.member, request.body)


def _lanes_share(desk: PeerDesk, request: Request) -> Share:
    return SHARE_OF_LANE[desk.lane(request.log) or Lane.BULK]


async def _statements(desk: PeerDesk, request: Request) -> Answer:
    start, end, at = (request.number(name) for name in ("from", "to", "at"))
    if not start < end <= at <= LOG_SIZE_MAX or end - start > RANGE_STATEMENTS_MAX:
        raise RequestMalformed(
            f"a range has from < to <= at and at most {RANGE_STATEMENTS_MAX} statements"
        )
    root = request.digest("root")
    return await desk.statements(request.member, request.log, start, end, at, root)


async def _prefix(desk: PeerDesk, request: Request) -> Answer:
    size, at, root = request.number("size"), request.number("at"), request.digest("root")
    if root is None or not 0 < size <= at <= LOG_SIZE_MAX:
        raise RequestMalformed("a prefix has 0 < size <= at, and the root at that size")
    return await desk.prefix(request.member, request.log, size, at, root)


async def _hashes(desk: PeerDesk, request: Request) -> Answer:
    start, end, at = (request.number(name) for name in ("from", "to", "at"))
    # A log below one whole bundle has only leaves to tell: from 0 to 0.
    if not start <= end <= at <= LOG_SIZE_MAX or at == 0 or end - start > HASHES_MAX:
        raise RequestMalformed(f"hashes have from <= to <= at and are at most {HASHES_MAX}")
    return await desk.hashes(request.member, request.log, start, end, at)


async def _checkpoint(desk: PeerDesk, request: Request) -> Answer:
    return await desk.checkpoint(request.member, request.log)


async def _roster(desk: PeerDesk, request: Request) -> Answer:
    version = int(request.parts["version"])
    root = await desk.roster(request.member, version)
    if root is None:
        raise NotFound(f"this node has no roster version {version}")
    return root


async def _second_line(desk: PeerDesk, request: Request) -> Answer:
    return await desk.second_line(request.member, request.log, request.number("at"))


async def _attest(desk: PeerDesk, request: Request) -> Answer:
    return await desk.attest(request.member, request.body)


async def _heads(desk: PeerDesk, request: Request) -> Answer:
    since, wait = request.number("since"), request.number("wait")
    if since > INTEGER_MAX or wait > POLL_SECONDS_MAX:
        raise RequestMalformed(f"a poll waits at most {POLL_SECONDS_MAX} seconds")
    return await desk.heads(request.member, since, wait)


def _brought_bytes_max(desk: PeerDesk, request: Request) -> int:
    return desk.answer_bytes_max(request.member, int(request.parts["number"]))


async def _brought(desk: PeerDesk, request: Request) -> Answer:
    status = request.number("status")
    if not _STATUS_MIN <= status <= _STATUS_MAX:
        raise RequestMalformed("`status` is one of HTTP's")
    return await desk.brought(request.member, int(request.parts["number"]), status, request.body)


def _path(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern + r"\Z", re.ASCII)


_LOG: Final = r"/v1/logs/(?P<log>[0-9a-f]{64})"

ROUTES: Final[tuple[Route, ...]] = (
    Route(Call.ANNOUNCE, "POST", _path("/v1/announce"), _announce, ANNOUNCE_BYTES_MAX),
    Route(Call.DIGEST, "POST", _path("/v1/digest"), _digest, DIGEST_BYTES_MAX),
    Route(Call.STATEMENTS, "GET", _path(f"{_LOG}/statements"), _statements, share=_lanes_share),
    Route(Call.STATEMENTS, "GET", _path(f"{_LOG}/hashes"), _hashes, share=_lanes_share),
    Route(Call.PREFIX, "GET", _path(f"{_LOG}/prefix"), _prefix),
    Route(Call.CHECKPOINT, "GET", _path(f"{_LOG}/checkpoint"), _checkpoint, content_type=_NOTE),
    Route(
        Call.ROSTER,
        "GET",
        _path(r"/roster/(?P<version>[1-9][0-9]{0,5})\.root\.json"),
        _roster,
        content_type=_JSON,
    ),
    Route(Call.ATTEST, "GET", _path(f"{_LOG}/second"), _second_line, content_type=_NOTE),
    Route(
        Call.ATTEST,
        "POST",
        _path("/v1/attest"),
        _attest,
        ATTEST_BYTES_MAX,
        content_type=_NOTE,
    ),
    Route(Call.HEADS, "GET", _path("/v1/heads"), _heads, share=Share.POLL),
    Route(
        Call.HEADS,
        "POST",
        _path("/v1/heads/(?P<number>[1-9][0-9]{0,15})"),
        _brought,
        _brought_bytes_max,
    ),
)


def find_route(method: str, path: str) -> tuple[Route, Mapping[str, str]]:
    """The line of the table that a request is about, and the parts of its path.

    Args:
        method: of HTTP.
        path: without the query.

    Raises:
        NotFound: there is no such path.
        MethodNotThere: there is, but not for that method.
    """
    is_there = False
    for route in ROUTES:
        match = route.path.match(path)
        if match is not None and route.method == method:
            return route, match.groupdict()
        is_there = is_there or match is not None
    if is_there:
        raise MethodNotThere(f"the peer API has no {method} there")
    raise NotFound("the peer API has no such call")
