"""A node that cannot be called asks its peers what they would call it for, and does it.

One :class:`Poller` for each peer that can be connected to. It holds one long poll; each call that
comes is carried out as if it had come to this node's own listener, by the same table of routes and
the same roles, and the answer is brought in a request of its own, while the next poll waits
already.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import parse_qs, urlsplit

from federation.errors import FederationError, TooLarge
from federation.local_errors.askers import NotFound
from federation.local_errors.peers import PeerError
from federation.net.exchange import InFlight, ListenerCounters, whole
from federation.net.limits import (
    POLL_BACKOFF_SECONDS_FIRST,
    POLL_BACKOFF_SECONDS_MAX,
    POLL_SECONDS,
    ListenerLimits,
    Share,
)
from federation.net.peer_api import Permit
from federation.net.rates import MemberRates
from federation.net.refusals import encode_refusal, status_of, wait_seconds
from federation.net.routes import PeerDesk, Request, Route, find_route
from federation.protocol.limits_messages import CALLS_MAX
from federation.protocol.messages_calls import WaitingCall, decode_calls
from federation.protocol.roster_roles import Call

_log = logging.getLogger("federation.net.polling")

_OK: Final = 200
_DOUBLINGS_MAX: Final = 16


@dataclass(frozen=True, slots=True)
class Carried:
    """A call that was carried out.

    Attributes:
        status: HTTP's.
        body: the answer, or the refusal.
        share: the kind of place it took here; its answer goes back over a connection of that kind.
    """

    status: int
    body: bytes = field(repr=False)
    share: Share = Share.CONTROL


class CallDesk:
    """Carries out calls that came by a poll: what ``peer_api.py`` is for those that came over HTTP.

    Args:
        desk: answers.
        permit: says whether the peer may ask for that.
        counters: counted into.
        limits: how many at once.
        rates: how much one after the other, over HTTP or by polls.
    """

    def __init__(
        self,
        desk: PeerDesk,
        permit: Permit,
        counters: ListenerCounters,
        limits: ListenerLimits,
        rates: MemberRates,
    ) -> None:
        self._desk, self._permit, self._counters = desk, permit, counters
        self._limits, self._rates = limits, rates
        self._in_flight = InFlight(limits)

    def share_of(self, peer: str, call: WaitingCall) -> Share:
        """The kind of place that a call takes; what is no call is refused at once, like control."""
        try:
            return self._routed(peer, call)[2]
        except FederationError:
            return Share.CONTROL

    def _routed(self, peer: str, call: WaitingCall) -> tuple[Route, Request, Share]:
        target = urlsplit(call.target)
        route, parts = find_route(call.method, target.path)
        query = parse_qs(target.query, keep_blank_values=True)
        request = Request(peer, parts, query, call.body or b"")
        return route, request, route.share_of(self._desk, request)

    async def carry_out(self, peer: str, call: WaitingCall) -> Carried:
        """The answer; a refusal where it is one. Never raises an error of ours.

        Args:
            peer: whose call it is; its TLS identity proved the name.
            call: as it came.
        """
        try:
            carried = await self._answer(peer, call)
        except FederationError as error:
            self._counters.requests_refused[error.code] += 1
            self._counters.note_refused(peer, error.code)
            wait = wait_seconds(error, self._limits.retry_after_seconds)
            return Carried(status_of(error), encode_refusal(error, wait))
        except Exception as error:  # noqa: BLE001 - a bug of ours must not end the polling
            self._counters.faults += 1
            # What kind, not what: an unforeseen error's text may hold a signal value.
            _log.error("a peer's call met a bug: %s", type(error).__name__)
            bug = FederationError("a bug")
            return Carried(status_of(bug), encode_refusal(bug))
        self._counters.requests_answered += 1
        return carried

    async def _answer(self, peer: str, call: WaitingCall) -> Carried:
        route, request, share = self._routed(peer, call)
        if route.call is Call.HEADS:
            raise NotFound("a poll is not answered by a poll")
        self._permit(peer, route.call)
        self._rates.begin(self._desk, route, request)
        bytes_max = route.body_bytes_max
        if callable(bytes_max):
            bytes_max = bytes_max(self._desk, request)
        if bytes_max is not None and len(request.body) > bytes_max:
            raise TooLarge(f"a body of more than {bytes_max} bytes is not read")
        self._rates.take(self._desk, route, request)
        with self._in_flight.place(peer, share):
            return Carried(_OK, await whole(await route.answer(self._desk, request)), share)


class PolledPeer(Protocol):
    """What is asked of a peer that is polled; :class:`federation.net.link.PeerLink` has it."""

    member: str

    async def heads(self, since: int, seconds: int) -> bytes:
        """The calls that wait there, encoded."""

    async def bring(self, number: int, status: int, body: bytes, share: Share) -> None:
        """Bring the answer to one of them."""


class Poller:
    """Polls one peer for as long as :meth:`run` runs.

    A call takes a place of its kind until its answer is there: as many as a peer that connects may
    have under way. Slow answers about bulk so hold up none about a crisis.

    Args:
        link: how the peer is reached.
        carry_out: does what it asks; see :meth:`CallDesk.carry_out`.
        share_of: says which kind of place a call takes; see :meth:`CallDesk.share_of`.
    """

    def __init__(
        self,
        link: PolledPeer,
        carry_out: Callable[[str, WaitingCall], Awaitable[Carried]],
        share_of: Callable[[str, WaitingCall], Share],
    ) -> None:
        self._link = link
        self._carry_out, self._share_of = carry_out, share_of
        limits = ListenerLimits()
        self._places = {share: asyncio.Semaphore(limits.in_flight(share)[0]) for share in Share}
        self._waiting = Counter[Share]()
        self._carrying: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Poll until cancelled; failures are waited out, for longer each time."""
        since = failures = 0
        try:
            while True:
                try:
                    calls = decode_calls(await self._link.heads(since, POLL_SECONDS))
                except FederationError as error:
                    _log.info("polling %s: %s", self._link.member, error.message)
                    await asyncio.sleep(_backoff(failures))
                    failures = min(failures + 1, _DOUBLINGS_MAX)
                    continue
                failures = 0
                for call in calls:
                    # Not the highest so far: a peer that was started again counts from elsewhere.
                    since = call.number
                    if call.number not in self._carrying:
                        self._take(call)
        finally:
            tasks = list(self._carrying.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _take(self, call: WaitingCall) -> None:
        share = self._share_of(self._link.member, call)
        if self._waiting[share] >= CALLS_MAX:
            # No more wait there at once; it has given up those that came before.
            _log.info("%s has %d calls waiting here already", self._link.member, CALLS_MAX)
            return
        self._waiting[share] += 1
        self._carrying[call.number] = asyncio.create_task(self._do(call, share))

    async def _do(self, call: WaitingCall, share: Share) -> None:
        try:
            async with self._places[share]:
                carried = await self._carry_out(self._link.member, call)
                await self._link.bring(call.number, carried.status, carried.body, carried.share)
        except (PeerError, TooLarge) as error:
            # The peer asks again when it misses the answer.
            _log.info("an answer for %s: %s", self._link.member, error.message)
        finally:
            del self._carrying[call.number]
            self._waiting[share] -= 1


def _backoff(failures: int) -> float:
    """Seconds until the next attempt, jittered so that many such nodes do not return in step."""
    longest: float = min(POLL_BACKOFF_SECONDS_FIRST * 2**failures, POLL_BACKOFF_SECONDS_MAX)
    return longest * random.uniform(0.6, 1.4)  # noqa: S311 - no secret
