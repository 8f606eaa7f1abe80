"""What a node asks of a peer, whichever way the peer is reached.

:class:`PeerCalls` is one peer's calls as methods. How a call gets there is its subclasses'
business: ``link.py`` connects, ``mailboxes.py`` waits for a peer that cannot be connected to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from federation.errors import TooLarge
from federation.local_errors.peers import PeerRefused
from federation.net.limits import (
    ANNOUNCE_ANSWER_BYTES_MAX,
    CHECKPOINT_ANSWER_BYTES_MAX,
    DIGEST_ANSWER_BYTES_MAX,
    ROSTER_ANSWER_BYTES_MAX,
    SHARE_OF_LANE,
    STATEMENTS_ANSWER_BYTES_MAX,
    Share,
)
from federation.protocol.limits import NOTE_BYTES_MAX
from federation.protocol.limits_messages import (
    ANNOUNCE_BYTES_MAX,
    ATTEST_BYTES_MAX,
    DIGEST_BYTES_MAX,
    HASHES_ANSWER_BYTES_MAX,
    PREFIX_ANSWER_BYTES_MAX,
)
from federation.protocol.origins import Lane

NOT_FOUND: Final = 404

SECOND_LINE_BYTES_MAX: Final = 8 * 1024
"""A line of ML-DSA-44 is 3.3 kB of base64 and a name."""


@dataclass(frozen=True, slots=True)
class PeerCall:
    """One request of the peer API.

    Attributes:
        method: of HTTP.
        path: without the query.
        answer_bytes_max: more than this is not read.
        body: None for a GET.
        params: the query.
        share: which of our connections it may take.
        is_long: whether what goes over the line may be as long as a range of statements.
        seconds: how long the answer may be silent beyond the usual; for long polls.
    """

    method: str
    path: str
    answer_bytes_max: int
    body: bytes | None = field(default=None, repr=False)
    params: dict[str, str] | None = None
    share: Share = Share.CONTROL
    is_long: bool = False
    seconds: float = 0.0


class PeerCalls(ABC):
    """A client for one peer. Safe to use from many tasks at once.

    Attributes:
        member: the peer's name.
        urls: where its node is reached, as in the roster; none for one that only calls others.
    """

    def __init__(self, member: str, urls: Sequence[str] = ()) -> None:
        self.member = member
        self.urls = tuple(urls)

    @abstractmethod
    async def ask(self, call: PeerCall) -> bytes:
        """Make one call and give its whole answer.

        Raises:
            PeerError: a leaf of it, in an operator's words.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of what is held for this peer; later calls fail."""

    async def announce(self, body: bytes, lane: Lane = Lane.BULK) -> bytes:
        """Send an announcement; the answer says what the peer has.

        Args:
            body: the announcement.
            lane: of the logs that it speaks of; the crisis lane waits for no other.

        Raises:
            TooLarge: the body is over ``ANNOUNCE_BYTES_MAX``; nothing was sent.
            PeerError: a leaf of it; see :meth:`ask`.
        """
        share = Share.CRISIS if lane is Lane.CRISIS else Share.CONTROL
        return await self._post(
            "/v1/announce", body, ANNOUNCE_BYTES_MAX, ANNOUNCE_ANSWER_BYTES_MAX, share
        )

    async def digest(self, body: bytes) -> bytes:
        """Compare heads.

        Raises:
            TooLarge: the body is over ``DIGEST_BYTES_MAX``; nothing was sent.
            PeerError: a leaf of it; see :meth:`ask`.
        """
        return await self._post("/v1/digest", body, DIGEST_BYTES_MAX, DIGEST_ANSWER_BYTES_MAX)

    async def statements(
        self,
        log_sha256: bytes,
        start: int,
        end: int,
        at: int,
        *,
        lane: Lane = Lane.BULK,
        root: bytes | None = None,
    ) -> bytes:
        """The statements [start, end) of a log, provable against its checkpoint of size ``at``.

        Args:
            log_sha256: names the log.
            start: index of the first.
            end: index after the last one wanted.
            at: the size of the checkpoint.
            lane: of the log; its ranges do not queue behind those of a lower one.
            root: its root, 32 bytes, where the log has several branches.

        Raises:
            PeerError: a leaf of it; PeerRefused with status 409 when the peer does not hold the
                range.
        """
        return await self.ask(
            PeerCall(
                "GET",
                f"/v1/logs/{log_sha256.hex()}/statements",
                STATEMENTS_ANSWER_BYTES_MAX,
                params={"from": str(start), "to": str(end), "at": str(at)}
                | ({} if root is None else {"root": root.hex()}),
                share=SHARE_OF_LANE[lane],
                is_long=True,
            )
        )

    async def prefix(self, log_sha256: bytes, size: int, at: int, root: bytes) -> bytes:
        """What a branch was at an earlier size: of the one whose root at ``at`` is ``root``.

        Raises:
            PeerError: a leaf of it; PeerRefused with status 409 when the peer does not hold it.
        """
        params = {"size": str(size), "at": str(at), "root": root.hex()}
        path = f"/v1/logs/{log_sha256.hex()}/prefix"
        return await self.ask(PeerCall("GET", path, PREFIX_ANSWER_BYTES_MAX, params=params))

    async def hashes(
        self, log_sha256: bytes, start: int, end: int, at: int, *, lane: Lane = Lane.BULK
    ) -> bytes:
        """The roots of the bundles [start, end) of a log of size ``at``, and the leaves behind.

        Args:
            log_sha256: names the log.
            start: the first bundle.
            end: the bundle after the last one wanted.
            at: how many statements the log has.
            lane: of the log, as for :meth:`statements`.

        Raises:
            PeerError: a leaf of it; PeerRefused with status 409 when the peer does not hold it.
        """
        return await self.ask(
            PeerCall(
                "GET",
                f"/v1/logs/{log_sha256.hex()}/hashes",
                HASHES_ANSWER_BYTES_MAX,
                params={"from": str(start), "to": str(end), "at": str(at)},
                share=SHARE_OF_LANE[lane],
                is_long=True,
            )
        )

    async def checkpoint(self, log_sha256: bytes) -> bytes:
        """The newest checkpoint that the peer has of a log.

        Raises:
            PeerError: a leaf of it; PeerRefused with status 404 when it has none.
        """
        path = f"/v1/logs/{log_sha256.hex()}/checkpoint"
        return await self.ask(PeerCall("GET", path, CHECKPOINT_ANSWER_BYTES_MAX))

    async def roster(self, version: int) -> bytes | None:
        """A roster version, or None when the peer has not got it.

        Raises:
            PeerError: a leaf of it; see :meth:`ask`.
        """
        path = f"/roster/{version}.root.json"
        try:
            return await self.ask(PeerCall("GET", path, ROSTER_ANSWER_BYTES_MAX))
        except PeerRefused as error:
            if error.status == NOT_FOUND:
                return None
            raise

    async def second_line(self, log_sha256: bytes, at: int) -> bytes:
        """The peer's ML-DSA-44 line on the newest head of a log, where that is of size ``at``.

        Raises:
            PeerError: a leaf of it; PeerRefused where it has no such line to give.
        """
        path = f"/v1/logs/{log_sha256.hex()}/second"
        return await self.ask(PeerCall("GET", path, SECOND_LINE_BYTES_MAX, params={"at": str(at)}))

    async def attest(self, about: str) -> bytes:
        """The peer's signed word on a statement (its id) or a signal (type and identity in hex).

        Raises:
            TooLarge: nobody could be asked about that.
            PeerError: a leaf of it; PeerRefused with status 404 when it cannot give its word.
        """
        body = about.encode()
        return await self._post("/v1/attest", body, ATTEST_BYTES_MAX, NOTE_BYTES_MAX)

    async def _post(
        self,
        path: str,
        body: bytes,
        bytes_max: int,
        answer_bytes_max: int,
        share: Share = Share.CONTROL,
    ) -> bytes:
        if len(body) > bytes_max:
            raise TooLarge(f"{len(body)} bytes where a peer takes at most {bytes_max}")
        return await self.ask(PeerCall("POST", path, answer_bytes_max, body=body, share=share))
