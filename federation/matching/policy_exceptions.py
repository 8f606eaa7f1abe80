"""A policy's own exceptions, by nearness: the platform's negative bank."""

from __future__ import annotations

from collections.abc import Sequence

from federation.matching.decisions import Mark
from federation.matching.index import SignalIndex
from federation.matching.policy_terms import PolicyException
from federation.matching.video_search import VideoThresholds
from federation.protocol.signals import Signal, SignalType


class Exceptions:
    """Content that is never acted on.

    Args:
        exceptions: as the policy has them.
    """

    def __init__(self, exceptions: Sequence[PolicyException]) -> None:
        self._known: dict[Mark, PolicyException] = {}
        self._reaches: dict[SignalType, int] = {}
        self._index = SignalIndex() if exceptions else None
        for each in exceptions:
            signal = each.signal
            self._known[signal.type, signal.identity] = each
            self._reaches[signal.type] = max(self._reaches.get(signal.type, 0), each.distance_max)
            if self._index is not None:
                self._index.add(signal.type, signal.value)
        if self._index is not None:
            self._index.rebuild()

    def find(self, signal: Signal) -> str | None:
        """The name of the nearest exception that the signal is within."""
        reach = self._reaches.get(signal.type)
        if reach is None or self._index is None:
            return None
        (found,) = self._index.search_many(
            signal.type,
            (signal.value,),
            reach if signal.type is SignalType.PDQ else 0,
            videos=VideoThresholds(query_percent_min=100 - reach)
            if signal.type is SignalType.VPDQ
            else VideoThresholds(),
            tlsh_distance_max=reach if signal.type is SignalType.TLSH else 0,
        )
        for near in found:
            exception = self._known[signal.type, near.value]
            if near.distance <= exception.distance_max:
                return exception.name
        return None
