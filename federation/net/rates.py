"""How much work each member may ask of this node: buckets that fill at a rate.

Places bound what is under way at once; this bounds what comes one after the other. Each member has
a bucket of its own, so a flood costs its sender alone, and a second one for what speaks of a
crisis: a member whose ordinary requests are too many is still heard when it matters.

A unit of work is one request, or 4 KiB of what it says: about a millisecond of this node's time
(a TLS exchange and its decoding, or a dozen notes to judge).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from federation.local_errors.askers import AskedTooMuch
from federation.net.limits import ListenerLimits, Share
from federation.net.routes import PeerDesk, Request, Route
from federation.protocol.roster_roles import Call

BODY_BYTES_PER_UNIT: Final = 4 * 1024
"""Twelve heads of 300 bytes, each a signature to judge, or one inline statement of usual size."""


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class MemberRates:
    """What each member has left. Names come from the roster only, so there are few.

    Args:
        limits: rates and bursts.
        monotonic: a clock that never goes back, seconds.
    """

    def __init__(self, limits: ListenerLimits, monotonic: Callable[[], float]) -> None:
        self._limits, self._monotonic = limits, monotonic
        self._buckets: dict[tuple[str, bool], _Bucket] = {}

    def begin(self, desk: PeerDesk, route: Route, request: Request) -> None:
        """Before the body is read: count the request, whatever becomes of it.

        Not an announcement: only its body tells whether it speaks of a crisis. The answer to a call
        of ours is refused to nobody, for the call would be lost with it; one that nobody waits for
        is counted all the same.

        Raises:
            AskedTooMuch: less than a unit is left; it says how long until one is.
        """
        if callable(route.body_bytes_max):
            self._bucket(request.member, is_crisis=False).left -= 1  # `take` gives it back
        elif route.call is not Call.ANNOUNCE:
            self._take(request.member, 1.0, is_crisis=_is_crisis_range(desk, route, request))

    def take(self, desk: PeerDesk, route: Route, request: Request) -> None:
        """Once the body is known: count what it says.

        The last one may be larger than what was left, and is paid back by those behind it.

        Raises:
            AskedTooMuch: less than a unit is left for an announcement.
            ProtocolError: an announcement, one too many, that is none.
        """
        member, work = request.member, len(request.body) / BODY_BYTES_PER_UNIT
        if callable(route.body_bytes_max):  # the answer to a call of ours: asked for, so not work
            self._bucket(member, is_crisis=False).left += 1
        elif route.call is not Call.ANNOUNCE:
            self._bucket(member, is_crisis=_is_crisis_range(desk, route, request)).left -= work
        else:
            try:
                self._take(member, 1 + work, is_crisis=False)
            except AskedTooMuch:
                # Judged only now: nearly all announcements pass without being decoded twice.
                if not desk.is_crisis(request.body):
                    raise
                self._take(member, 1 + work, is_crisis=True)

    def _take(self, member: str, work: float, *, is_crisis: bool) -> None:
        bucket = self._bucket(member, is_crisis=is_crisis)
        if bucket.left < 1:
            rate, _ = self._rate_and_burst(is_crisis=is_crisis)
            raise AskedTooMuch(
                f"{member} asks for more than this node does for one member",
                retry_after_seconds=(1 - bucket.left) / rate,
            )
        bucket.left -= work

    def _bucket(self, member: str, *, is_crisis: bool) -> _Bucket:
        rate, burst = self._rate_and_burst(is_crisis=is_crisis)
        now = self._monotonic()
        bucket = self._buckets.setdefault((member, is_crisis), _Bucket(burst, now))
        bucket.left = min(burst, bucket.left + (now - bucket.at) * rate)
        bucket.at = now
        return bucket

    def _rate_and_burst(self, *, is_crisis: bool) -> tuple[float, float]:
        limits = self._limits
        if is_crisis:
            return limits.crisis_work_per_second, limits.crisis_work_burst
        return limits.work_per_second, limits.work_burst


def _is_crisis_range(desk: PeerDesk, route: Route, request: Request) -> bool:
    return route.share_of(desk, request) is Share.CRISIS
