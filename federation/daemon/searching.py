"""Which known signals are near some uploaded ones, asked so that nobody else has to wait."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from federation.matching.found import Matches
from federation.matching.index import VIDEO_DEFAULTS, SignalIndex
from federation.matching.video_search import VideoThresholds
from federation.protocol.limits_content import PDQ_DISTANCE_MAX, TLSH_DISTANCE_DEFAULT
from federation.protocol.signals import Signal, SignalType

BESIDE_FROM: Final = 64
"""PDQ signals of one request that are searched in a thread: some 3 ms at ten million, thirty times
what the hop there and back costs."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What counts as a match; a request may ask for other ones than the node's.

    Attributes:
        distance_max: PDQ Hamming distance, 0 to 31.
        videos: when two videos are alike.
        tlsh_distance_max: TLSH distance, 0 to 100.
    """

    distance_max: int = PDQ_DISTANCE_MAX
    videos: VideoThresholds = VIDEO_DEFAULTS
    tlsh_distance_max: int = TLSH_DISTANCE_DEFAULT


async def search_index(
    index: SignalIndex, signals: Sequence[Signal], wanted: Thresholds, matches_max: int | None
) -> list[Matches]:
    """What is near each signal, in their order.

    One call of the index for each type, whatever their number: batches are its fast path.

    Args:
        index: the known signals.
        signals: what was uploaded.
        wanted: what counts as near.
        matches_max: how many of the nearest for each; 0 only counts them, None is all.
    """
    places: dict[SignalType, list[int]] = {}
    for at, signal in enumerate(signals):
        places.setdefault(signal.type, []).append(at)
    found: dict[int, Matches] = {}
    for signal_type, asked in places.items():
        values = [signals[at].value for at in asked]
        nears = await _search_type(index, signal_type, values, wanted, matches_max)
        found.update(zip(asked, nears, strict=True))
    return [found[at] for at in range(len(signals))]


async def _search_type(
    index: SignalIndex,
    signal_type: SignalType,
    values: Sequence[bytes],
    wanted: Thresholds,
    matches_max: int | None,
) -> list[Matches]:
    """Here where that takes microseconds, and beside the event loop where it may not."""
    if signal_type is SignalType.VPDQ:
        search = index.prepare_videos(values, wanted.videos, matches_max=matches_max)
        return await asyncio.to_thread(search.run)
    if signal_type is SignalType.PDQ and (len(values) >= BESIDE_FROM or matches_max is None):
        view = index.view_of_pictures()
        return await asyncio.to_thread(
            view.search_many, values, wanted.distance_max, matches_max=matches_max
        )
    return index.search_many(
        signal_type,
        values,
        wanted.distance_max,
        matches_max=matches_max,
        tlsh_distance_max=wanted.tlsh_distance_max,
    )
