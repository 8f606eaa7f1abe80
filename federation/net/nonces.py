"""Nonces of requests that were taken: the same request is not taken twice.

Remembered for as long as a request's age lets it be taken, per member, so that one member's many
requests never make another's be forgotten. A full table refuses rather than forgets.
"""

from __future__ import annotations

from typing import Final

from federation.local_errors.askers import RequestReplayed, TooBusy
from federation.protocol.http_signatures import AGE_SECONDS_MAX, AHEAD_SECONDS_MAX

NONCES_PER_MEMBER_MAX: Final = 16_384
"""180 requests a second for as long as they are remembered; about 2 MB."""

NONCES_MAX: Final = 262_144
"""Of all members together; about 30 MB."""

REMEMBERED_SECONDS: Final = AGE_SECONDS_MAX + AHEAD_SECONDS_MAX
"""A request whose clock is ahead by as much as it may be can come again so much later."""


class NonceTable:
    """The nonces of one listener. Pure: the clock is an argument.

    Args:
        started_at: POSIX seconds; what was signed before may have been taken by a former process,
            whose nonces are gone.
    """

    def __init__(self, started_at: float) -> None:
        self._started_at = int(started_at)
        self._taken: dict[str, dict[str, float]] = {}
        self._count = 0

    def take(self, member: str, nonce: str, created: int, now: float) -> None:
        """Take a request whose signature and age were judged.

        Args:
            member: who signed it.
            nonce: of 22 characters.
            created: when it was signed, POSIX seconds.
            now: this node's clock, POSIX seconds.

        Raises:
            RequestReplayed: it was taken before, or may have been.
            TooBusy: as many requests as can be remembered were taken in the last minute and a half.
        """
        if created <= self._started_at:  # whole seconds: in the same one may be before
            raise RequestReplayed("that request was signed before this node started")
        taken = self._taken.setdefault(member, {})
        self._forget(taken, now)
        if nonce in taken:
            raise RequestReplayed("that request was taken already")
        if len(taken) >= NONCES_PER_MEMBER_MAX:
            raise TooBusy(f"{member} sent {len(taken)} requests within {REMEMBERED_SECONDS} s")
        if self._count >= NONCES_MAX:
            for others in list(self._taken.values()):
                self._forget(others, now)
            self._taken = {name: each for name, each in self._taken.items() if each}
            if self._count >= NONCES_MAX:
                raise TooBusy("this node remembers as many requests as it can")
            taken = self._taken.setdefault(member, taken)
        taken[nonce] = now + REMEMBERED_SECONDS
        self._count += 1

    def __len__(self) -> int:
        """How many nonces are remembered."""
        return self._count

    def _forget(self, taken: dict[str, float], now: float) -> None:
        # In the order in which they were taken, so the first that stays ends it; a clock that was
        # set back keeps some for longer.
        while taken:
            first = next(iter(taken))
            if taken[first] > now:
                return
            del taken[first]
            self._count -= 1
