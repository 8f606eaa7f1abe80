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

from collections.abc import Iterable

import numpy as np

from federation.matching.found import MATCHES_MAX, Matches
from federation.matching.frame_postings import FramePostings
from federation.matching.pdq_index import PdqIndex
from federation.matching.pdq_view import RingTables
from federation.matching.sections import Sections, below, take_section, under
from federation.matching.sorted_rows import SortedRows
from federation.matching.value_set import RebuildJob, Rebuilt
from federation.matching.video_search import (
    Video,
    VideoSearch,
    VideoThresholds,
    distinct_frames,
)
from federation.protocol.signals import IDENTITY_BYTES, SignalType, identity_of


class VideoIndex:
    """A set of vpdq values, known by their identities; adding and removing count at once."""

    def __init__(self) -> None:
        self._frames = PdqIndex()
        self._postings = FramePostings()
        self._videos: dict[int, Video] = {}
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
        return self.prepare_search(values, thresholds, matches_max=matches_max).run()

    def prepare_search(
        self,
        values: Iterable[bytes],
        thresholds: VideoThresholds,
        *,
        matches_max: int | None = MATCHES_MAX,
    ) -> VideoSearch:
        """Capture what a search reads; its ``run`` may be called in any thread.

        Raises:
            SignalMalformed: a value is no list of frames.
            RequestMalformed: a threshold out of its range.
        """
        thresholds.check()
        asked = [distinct_frames(value) for value in values]
        return VideoSearch(
            self._frames.view(),
            self._postings.view(),
            self._videos,
            self._next,
            asked,
            thresholds,
            matches_max,
        )

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

    @property
    def frames(self) -> PdqIndex:
        """The frames' own index, for copying its sorted rows elsewhere."""
        return self._frames

    # --- a copy elsewhere -----------------------------------------------------------------------

    def changes(self) -> Sections:
        """All but the sorted rows of the frames, for :meth:`install`."""
        numbers = np.fromiter(self._videos, dtype=np.uint64, count=len(self._videos))
        videos = list(self._videos.values())
        joined = b"".join(video.identity for video in videos)
        qualities = b"".join(video.qualities for video in videos)
        counts = np.array([len(video.qualities) for video in videos], dtype=np.uint64)
        return {
            "numbers": numbers,
            "identities": np.frombuffer(joined, np.uint8).reshape(-1, IDENTITY_BYTES),
            "counts": counts,
            "qualities": np.frombuffer(qualities, np.uint8),
            **under("postings", self._postings.sections()),
            **under("frames", self._frames.changes()),
        }

    def install(self, settled: SortedRows[RingTables], changes: Sections) -> None:
        """Become the set that the sorted rows of its frames and ``changes`` describe.

        Raises:
            IndexFileInvalid: they do not fit each other.
        """
        numbers = take_section(changes, "numbers", np.uint64, (None,))
        count = len(numbers)
        identities = take_section(changes, "identities", np.uint8, (count, IDENTITY_BYTES))
        counts = take_section(changes, "counts", np.uint64, (count,))
        qualities = take_section(changes, "qualities", np.uint8, (int(counts.sum()),)).tobytes()
        videos: dict[int, Video] = {}
        begin = 0
        for number, identity, frames in zip(
            numbers.tolist(), identities, counts.tolist(), strict=True
        ):
            videos[number] = Video(identity.tobytes(), qualities[begin : begin + frames])
            begin += frames
        following = max(videos, default=-1) + 1
        postings = FramePostings.restore(below(changes, "postings"), numbers)
        self._frames.install(settled, below(changes, "frames"))
        self._postings, self._videos, self._next = postings, videos, following
        self._numbers = {video.identity: number for number, video in videos.items()}

    # --- one video ------------------------------------------------------------------------------

    def _add(self, value: bytes) -> bool:
        frames = distinct_frames(value)
        identity = _identity(value)
        if identity in self._numbers:
            return False
        number, self._next = self._next, self._next + 1
        self._numbers[identity] = number
        self._videos[number] = Video(identity, bytes(sorted(frames.values())))
        self._postings.add(frames.items(), number)
        self._frames.add(frames)
        return True

    def _remove(self, value: bytes) -> bool:
        frames = list(distinct_frames(value))
        number = self._numbers.pop(_identity(value), None)
        if number is None:
            return False
        del self._videos[number]
        self._postings.drop(number)
        left = zip(frames, self._postings.is_empty_of(frames), strict=True)
        self._frames.remove([pdq for pdq, is_empty in left if is_empty])
        return True


def _identity(value: bytes) -> bytes:
    return identity_of(SignalType.VPDQ, value)
