"""One search among videos: what it reads, captured at one moment, so that any thread may run it.

Frames near the asked ones come as rows from the PDQ index and their postings as arrays, and are
counted as arrays: ten thousand copies of the asked film are as many postings for each of its
frames, of which no object is made.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from federation.errors import RequestMalformed
from federation.matching.found import NO_MATCHES, Found, Matches
from federation.matching.frame_postings import PostingsView
from federation.matching.pdq_view import NearRows, PdqView
from federation.matching.row_kernels import Words
from federation.matching.rows import pack_values
from federation.protocol.limits_content import PDQ_BYTES, PDQ_DISTANCE_MAX, PDQ_QUALITY_MIN
from federation.protocol.signals_frames import QUALITY_MAX, decode_frames

PERCENT: Final = 100


@dataclass(frozen=True, slots=True)
class VideoThresholds:
    """When two videos are alike.

    Attributes:
        distance_max: bits in which two frames may differ, 0 to 31.
        quality_min: frames below it count on neither side, 0 to 100.
        query_percent_min: share of the asked video's frames, 0 to 100.
        index_percent_min: share of the known video's frames, 0 to 100.
        measures_frame: whether ``VideoFound.frame_distance`` is wanted; of one asked frame.
    """

    distance_max: int = PDQ_DISTANCE_MAX
    quality_min: int = PDQ_QUALITY_MIN
    query_percent_min: int = 80
    index_percent_min: int = 0
    measures_frame: bool = False

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
        frame_distance: bits between the one asked frame and the nearest of its frames, where
            ``VideoThresholds.measures_frame`` asked for it.
    """

    query_percent: int
    index_percent: int
    frame_distance: int | None = None


@dataclass(frozen=True, slots=True)
class Video:
    """A known video, without its frames.

    Attributes:
        identity: 32 bytes.
        qualities: of its distinct frames, ascending, one byte each.
    """

    identity: bytes
    qualities: bytes

    def frames_from(self, quality_min: int) -> int:
        """How many of its frames have that quality or more."""
        return len(self.qualities) - bisect_left(self.qualities, quality_min)


@dataclass(frozen=True, slots=True)
class VideoSearch:
    """A search that is ready to run.

    Attributes:
        frames: the frames of all known videos.
        postings: which videos they stand in.
        videos: the known videos by number; may lose some, and gain some, meanwhile.
        videos_end: one more than the highest number.
        asked: vpdq values.
        thresholds: when two videos are alike.
        matches_max: how many to answer each with; None for all.
    """

    frames: PdqView
    postings: PostingsView
    videos: Mapping[int, Video]
    videos_end: int
    asked: Sequence[Mapping[bytes, int]]
    thresholds: VideoThresholds
    matches_max: int | None

    def run(self) -> list[Matches]:
        """One answer per video, in their order; for any thread."""
        return [self._search(frames) for frames in self.asked]

    def _search(self, frames: Mapping[bytes, int]) -> Matches:
        quality_min = self.thresholds.quality_min
        asked = [pdq for pdq, quality in frames.items() if quality >= quality_min]
        if not asked:
            return NO_MATCHES
        measured = asked[0] if self.thresholds.measures_frame and len(asked) == 1 else None
        counting = _Counting(self.videos_end, measured)
        for near in self.frames.near_rows(asked, self.thresholds.distance_max):
            if len(near.values):
                counting.add(near, self.postings, quality_min)
        found = self._enough(counting, len(asked))
        found.sort(
            key=lambda each: (
                each.distance,
                each.frame_distance or 0,
                -each.index_percent,
                each.value,
            )
        )
        return Matches(tuple(found[: self.matches_max]), len(found))

    def _enough(self, counting: _Counting, asked: int) -> list[VideoFound]:
        """The videos with enough in common, both ways."""
        numbers, query_counts, index_counts = counting.result()
        query_shares = PERCENT * query_counts // asked
        enough = np.flatnonzero(query_shares >= self.thresholds.query_percent_min)
        found = []
        for number, query_share, index_count in zip(
            numbers[enough].tolist(),
            query_shares[enough].tolist(),
            index_counts[enough].tolist(),
            strict=True,
        ):
            video = self.videos.get(number)
            if video is None:
                continue  # removed since
            index_share = PERCENT * index_count // video.frames_from(self.thresholds.quality_min)
            if index_share >= self.thresholds.index_percent_min:
                found.append(
                    VideoFound(
                        video.identity,
                        PERCENT - query_share,
                        query_share,
                        index_share,
                        counting.frame_distance(number),
                    )
                )
        return found


PAIRS_WAITING_MAX: Final = 2_000_000
"""Pairs (video, frame of it) that wait, 16 bytes each, to be counted once each."""


class _Counting:
    """Of each known video: how many asked frames it has, and how many of its own they are like.

    And where one frame is ``measured``, how near the nearest of its own comes.
    """

    def __init__(self, videos_end: int, measured: bytes | None) -> None:
        self._measured = None if measured is None else pack_values([measured], PDQ_BYTES)
        self._nearest: dict[int, int] = {}
        self._query_counts = np.zeros(videos_end, dtype=np.int64)
        self._pairs: list[Words] = []
        self._waiting = 0

    def add(self, near: NearRows, postings: PostingsView, quality_min: int) -> None:
        """Count the matches of some asked frames."""
        keys, found = postings.of_rows(near.values)
        counts = (found.qualities >= quality_min) & (found.videos < len(self._query_counts))
        places, videos = found.places[counts], found.videos[counts]
        queries = np.searchsorted(near.ends, places, side="right")
        # An asked frame counts once for a video, however many of its frames are near.
        once = np.unique(queries * len(self._query_counts) + videos) % len(self._query_counts)
        self._query_counts += np.bincount(once, minlength=len(self._query_counts))
        if self._measured is not None:
            bits = np.unpackbits((near.values ^ self._measured).view(np.uint8), axis=1).sum(axis=1)
            for video, far in zip(videos.tolist(), bits[places].tolist(), strict=True):
                self._nearest[video] = min(far, self._nearest.get(video, far))
        self._pairs.append(np.stack([videos.astype(np.uint64), keys[places]], axis=1))
        self._waiting += len(videos)
        if self._waiting > PAIRS_WAITING_MAX:
            self._pairs = [_distinct(np.concatenate(self._pairs))]
            self._waiting = 0

    def frame_distance(self, video: int) -> int | None:
        """Bits between the measured frame and the nearest of a video's, where one is measured."""
        return self._nearest.get(video)

    def result(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Video numbers, and for each its asked frames and its own frames that are alike."""
        none = np.empty((0, 2), dtype=np.uint64)
        pairs = _distinct(np.concatenate([none, *self._pairs]))
        index_counts = np.bincount(pairs[:, 0].astype(np.int64), minlength=len(self._query_counts))
        numbers = np.flatnonzero(self._query_counts)
        return numbers, self._query_counts[numbers], index_counts[numbers]


def _distinct(pairs: Words) -> Words:
    ordered = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    first = np.ones(len(ordered), dtype=np.bool_)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return ordered[first]


def distinct_frames(value: bytes) -> dict[bytes, int]:
    """Each PDQ of a vpdq value once, with the best quality it comes in.

    Raises:
        SignalMalformed: the value is no list of frames.
    """
    frames: dict[bytes, int] = {}
    for frame in decode_frames(value):
        frames[frame.pdq] = max(frame.quality, frames.get(frame.pdq, 0))
    return frames
