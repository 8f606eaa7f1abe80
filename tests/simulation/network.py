"""A network that delays, drops, doubles, reorders, clogs and is slow, each way by itself.

Every message takes its own time, so later ones overtake earlier ones; a clogged way keeps back what
is sent and lets it go at once; a way of limited rate sends one byte after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final
from zlib import crc32

RESENT: Final = 0.01
"""Share of messages that TCP has to send again."""

RESENT_SECONDS: Final = 0.2
"""How late they are at least: the shortest retransmission timeout of common systems."""

WARM_SECONDS: Final = 90.0
"""How long a client keeps an idle connection."""


@dataclass
class Weather:
    """What ways are like on which nothing else was set, and what disks are like.

    Attributes:
        latency: least and most seconds that a message takes.
        loss: share of messages lost.
        doubled: share of messages that arrive twice.
        write: least and most seconds that a write takes.
        cut: (from, to) of ways that carry nothing.
        is_wide: whether each way has a latency of its own, drawn once; it then varies by a tenth, a
            share ``RESENT`` of messages is late by a retransmission, and a connection that was not
            used for ``WARM_SECONDS`` begins with two round trips of handshake.
    """

    latency: tuple[float, float] = (0.01, 0.05)
    loss: float = 0.0
    doubled: float = 0.0
    write: tuple[float, float] = (0.001, 0.01)
    cut: frozenset[tuple[str, str]] = frozenset()
    is_wide: bool = False


@dataclass
class Way:
    """The way from one node to another, where it is not like the weather.

    Attributes:
        up: whether it carries anything.
        latency, loss, doubled: as in :class:`Weather`.
        rate: bytes a second; 0: as many as there are.
        clogged_until: what is sent before is kept back until then.
        free_at: when what was sent has left.
    """

    up: bool
    latency: tuple[float, float]
    loss: float
    doubled: float
    rate: float = 0.0
    clogged_until: float = 0.0
    free_at: float = 0.0


class Network:
    """All ways between nodes.

    Args:
        rng: the only chance.
        at: the world's way of doing something at a time.
        seen: counts what happened.

    Attributes:
        weather: what ways are like by default.
    """

    def __init__(
        self, rng: Random, at: Callable[[float, Callable[[], None]], None], seen: Counter[str]
    ) -> None:
        self.weather = Weather()
        self._ways: dict[tuple[str, str], Way] = {}
        self._used: dict[tuple[str, str], float] = {}
        self._rng, self._at, self._seen = rng, at, seen

    def way(self, source: str, target: str) -> Way:
        """A way of its own, to be changed."""
        way = self._ways.get((source, target))
        if way is None:
            weather = self.weather
            up = (source, target) not in weather.cut
            way = Way(up, weather.latency, weather.loss, weather.doubled)
            self._ways[source, target] = way
        return way

    def calm(self) -> None:
        """Every way is like the weather again, and what was kept back has come."""
        self._ways.clear()

    def carry(
        self, now: float, source: str, target: str, size: int, arrive: Callable[[], None]
    ) -> None:
        """Carry a message of so many bytes: ``arrive`` runs when it is there, perhaps twice."""
        rng, weather = self._rng, self.weather
        way = self._ways.get((source, target)) if self._ways else None
        if way is None:
            up = not weather.cut or (source, target) not in weather.cut
            latency, loss, doubled = weather.latency, weather.loss, weather.doubled
            leaves = now
        else:
            up, latency, loss, doubled = way.up, way.latency, way.loss, way.doubled
            leaves = max(now, way.clogged_until, way.free_at)
            if way.clogged_until > now:
                self._seen["message clogged"] += 1
            if way.rate:
                leaves += size / way.rate
                way.free_at = leaves
        if up and not (loss or doubled or weather.is_wide):
            takes = latency[0] + (latency[1] - latency[0]) * rng.random()
            self._at(leaves + takes, arrive)
            return
        copies = 2 if doubled and rng.random() < doubled else 1
        for _ in range(copies):
            if not up or (loss and rng.random() < loss):
                self._seen["message lost"] += 1
            else:
                if weather.is_wide:
                    takes = self._takes(source, target) * (0.9 + 0.2 * rng.random())
                    if rng.random() < RESENT:
                        takes += max(RESENT_SECONDS, 2 * takes)
                else:
                    takes = latency[0] + (latency[1] - latency[0]) * rng.random()
                self._at(leaves + takes, arrive)
        if copies > 1:
            self._seen["message doubled"] += 1

    def handshake_seconds(self, now: float, source: str, target: str) -> float:
        """How long it takes before a request can be sent: nothing, on a connection that is warm."""
        if not self.weather.is_wide:
            return 0.0
        used = self._used.get((source, target))
        self._used[source, target] = now
        if used is not None and now - used < WARM_SECONDS:
            return 0.0
        return 2 * (self._takes(source, target) + self._takes(target, source))

    def _takes(self, source: str, target: str) -> float:
        """A way's own latency: the same both ways, and the same whenever it is asked for."""
        pair = f"{min(source, target)} {max(source, target)}".encode()
        least, most = self.weather.latency
        return least + (most - least) * crc32(pair) / 0xFFFF_FFFF
