"""Videos by the share of frames they have in common, both ways, as vPDQ defines it.

A known video is a list of frames; an asked one too. Two frames are alike when their PDQs differ in
at most ``distance_max`` bits and both have the quality asked for. A video matches when at least
``query_percent_min`` of the asked frames are like some frame of it (most of what was uploaded is
known: a clip), and at least ``index_percent_min`` of its frames are like some asked one (most of
what is known was uploaded). Percentages count distinct frames, as ``threatexchange`` does: ten
seconds of one still picture are one frame.

The frames of all videos are one :class:`PdqIndex`, exact as for pictures, and behind each frame
stand the videos it is in. Pictures have an index of their own: a photograph does not match a film
that it appears in unless it is asked about as a film of one frame.

Source: docs/spec/signals.md; https://github.com/facebook/ThreatExchange/tree/main/vpdq (defaults:
distance 31, quality 50, query 80 %, index 0 %).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from federation.errors import RequestMalformed
from federation.matching.found import MATCHES_MAX, NO_MATCHES, Found, Matches
from federation.matching.frame_postings import FramePostings
from federation.matching.pdq_index import PdqIndex, RingTables
from federation.matching.value_set import RebuildJob, Rebuilt
from federation.protocol.limits_content import PDQ_DISTANCE_MAX, PDQ_QUALITY_MIN
from federation.protocol.signals import SignalType, identity_of
from federation.protocol.signals_frames import QUALITY_MAX, decode_frames

PERCENT: Final = 100

FRAMES_PER_SEARCH: Final = 64
"""Frames searched in one call: in a flood of near-identical videos each has thousands of matches,
and only so many frames' matches are in memory at one time."""


@dataclass(frozen=True, slots=True)
class VideoThresholds:
    """When two videos are alike.

    Attributes:
        distance_max: bits in which two frames may differ, 0 to 31.
        quality_min: frames below it count on neither side, 0 to 100.
        query_percent_min: share of the asked video's frames, 0 to 100.
        index_percent_min: share of the known video's frames, 0 to 100.
    """

    distance_max: int = PDQ_DISTANCE_MAX
    quality_min: int = PDQ_QUALITY_MIN
    query_percent_min: int = 80
    index_percent_min: int = 0

    def check(self) -> None:
        """Refuse thresholds out of their ranges.

        Raises:
            RequestMalformed: which one.
        """
        if not 0 <= self.distance_max <= PDQ_DISTANCE_MAX:
            raise RequestMalformed(f"a frame's distance is 0 to {PDQ_DISTANCE_MAX}")
        if not 0 <= self.quality_min <= QUALITY_MAX:
            raise RequestMalformed(f"a frame's quality is 0 to {QUALITY_MAX}")
        if not (0 <= self.query_percent_min <= PERCENT and 0 <= self.index_percent_min <= PERCENT):
            raise RequestMalformed(f"a share of frames is 0 to {PERCENT} percent")


@dataclass(frozen=True, slots=True)
class VideoFound(Found):
    """One video that matches; ``value`` is its identity, ``distance`` 100 less query_percent.

    Attributes:
        query_percent: how much of the asked video is in it, rounded down.
        index_percent: how much of it is in the asked video, rounded down.
    """

    query_percent: int
    index_percent: int


@dataclass(frozen=True, slots=True)
class _Video:
    """A known video, without its frames.

    Attributes:
        identity: 32 bytes.
        qualities: of its distinct frames, ascending, one byte each.
    """

    identity: bytes
    qualities: bytes

    def frames_from(self, quality_min: int) -> int:
        return len(self.qualities) - bisect_left(self.qualities, quality_min)


class VideoIndex:
    """A set of vpdq values, known by their identities; adding and removing count at once."""

    def __init__(self) -> None:
        self._frames = PdqIndex()
        self._postings = FramePostings()
        self._videos: dict[int, _Video] = {}
        self._numbers: dict[bytes, int] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._videos)

    def __contains__(self, value: bytes) -> bool:
        return _identity(value) in self._numbers

    def frames_held(self) -> int:
        """How many distinct frames there are."""
        return len(self._frames)

    def add(self, values: Iterable[bytes]) -> int:
        """Add videos; returns how many were not there already.

        Raises:
            SignalMalformed: a value is no list of frames; those before it were added.
        """
        return sum(self._add(value) for value in values)

    def remove(self, values: Iterable[bytes]) -> int:
        """Remove videos; returns how many were there.

        Raises:
            SignalMalformed: a value is no list of frames; those before it were removed.
        """
        return sum(self._remove(value) for value in values)

    def search_many(
        self,
        values: Iterable[bytes],
        thresholds: VideoThresholds,
        *,
        matches_max: int | None = MATCHES_MAX,
    ) -> list[Matches]:
        """Find, for each video, the known ones that are alike; those with most in common first.

        Every match is found: each frame's search is exact, and all its matches are counted.

        Raises:
            SignalMalformed: a value is no list of frames.
            RequestMalformed: a threshold out of its range.
        """
        thresholds.check()
        return [self._search(value, thresholds, matches_max) for value in values]

    # --- the frame index's rebuild, which is its own ---------------------------------------------

    def needs_rebuild(self) -> bool:
        """Whether the frames have gathered so many changes that they should be rebuilt."""
        return self._frames.needs_rebuild()

    def prepare_rebuild(self) -> RebuildJob[RingTables]:
        """See :meth:`federation.matching.value_set.ValueSet.prepare_rebuild`."""
        return self._frames.prepare_rebuild()

    def adopt(self, rebuilt: Rebuilt[RingTables]) -> bool:
        """See :meth:`federation.matching.value_set.ValueSet.adopt`."""
        return self._frames.adopt(rebuilt)

    # --- one video ------------------------------------------------------------------------------

    def _add(self, value: bytes) -> bool:
        frames = _distinct_frames(value)
        identity = _identity(value)
        if identity in self._numbers:
            return False
        number, self._next = self._next, self._next + 1
        self._numbers[identity] = number
        self._videos[number] = _Video(identity, bytes(sorted(frames.values())))
        for pdq, quality in frames.items():
            self._postings.add(pdq, number, quality)
        self._frames.add(frames)
        return True

    def _remove(self, value: bytes) -> bool:
        frames = _distinct_frames(value)
        number = self._numbers.pop(_identity(value), None)
        if number is None:
            return False
        del self._videos[number]
        self._postings.drop(number)
        left = zip(frames, self._postings.of_many(list(frames)), strict=True)
        self._frames.remove([pdq for pdq, postings in left if not postings])
        return True

    def _search(
        self, value: bytes, thresholds: VideoThresholds, matches_max: int | None
    ) -> Matches:
        quality_min = thresholds.quality_min
        asked = [pdq for pdq, quality in _distinct_frames(value).items() if quality >= quality_min]
        if not asked:
            return NO_MATCHES
        # Of each known video: how many asked frames it has, and which of its own they are like.
        query_counts: dict[int, int] = {}
        index_frames: dict[int, set[bytes]] = {}
        for at in range(0, len(asked), FRAMES_PER_SEARCH):
            batch = asked[at : at + FRAMES_PER_SEARCH]
            for nears in self._frames.search_many(batch, thresholds.distance_max, matches_max=None):
                for number, like in self._videos_with(nears, quality_min).items():
                    query_counts[number] = query_counts.get(number, 0) + 1
                    index_frames.setdefault(number, set()).update(like)
        found = []
        for number, count in query_counts.items():
            video = self._videos[number]
            query_share = PERCENT * count // len(asked)
            index_share = PERCENT * len(index_frames[number]) // video.frames_from(quality_min)
            if (
                query_share >= thresholds.query_percent_min
                and index_share >= thresholds.index_percent_min
            ):
                found.append(
                    VideoFound(video.identity, PERCENT - query_share, query_share, index_share)
                )
        found.sort(key=lambda each: (each.distance, -each.index_percent, each.value))
        return Matches(tuple(found[:matches_max]), len(found))

    def _videos_with(self, nears: Matches, quality_min: int) -> dict[int, Sequence[bytes]]:
        """The videos that have some of these frames in the quality asked for, and which."""
        having: dict[int, list[bytes]] = {}
        values = [near.value for near in nears]
        for value, postings in zip(values, self._postings.of_many(values), strict=True):
            for number, quality in postings:
                if quality >= quality_min:
                    having.setdefault(number, []).append(value)
        return dict(having)


def _identity(value: bytes) -> bytes:
    return identity_of(SignalType.VPDQ, value)


def _distinct_frames(value: bytes) -> dict[bytes, int]:
    """Each PDQ once, with the best quality it comes in."""
    frames: dict[bytes, int] = {}
    for frame in decode_frames(value):
        frames[frame.pdq] = max(frame.quality, frames.get(frame.pdq, 0))
    return frames
