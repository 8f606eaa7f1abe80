"""Which videos a frame stands in: the references behind the frame index.

A posting is (frame, video number, quality). Sorted flat arrays take 13 bytes for one where a dict
of lists takes 150: a hundred thousand videos have some ten million frames. What was added lately
waits in a dict; when that is full it becomes a sorted run, and runs of like size are merged, so
that a posting is moved a dozen times in its life. A video that was removed is skipped by its number
and left out at the next merge.

Frames are keyed by Python's own hash of their bytes, 64 bits and seeded anew in each process: who
does not know the seed cannot make two frames of one key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

FRESH_MAX: Final = 65_536
"""Postings that wait in the dict: a run of them is sorted in 5 ms."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Postings in ascending order of their keys."""

    keys: npt.NDArray[np.int64]
    videos: npt.NDArray[np.uint32]
    qualities: npt.NDArray[np.uint8]

    def collect(self, keys: npt.NDArray[np.int64], found: list[list[tuple[int, int]]]) -> None:
        """Add to each list the (video, quality) under the key of its place."""
        begins = np.searchsorted(self.keys, keys)
        ends = np.searchsorted(self.keys, keys, side="right")
        places = np.flatnonzero(begins < ends)
        spans = zip(places.tolist(), begins[places].tolist(), ends[places].tolist(), strict=True)
        for place, begin, end in spans:
            videos, qualities = self.videos[begin:end], self.qualities[begin:end]
            found[place] += zip(videos.tolist(), qualities.tolist(), strict=True)


class FramePostings:
    """From a frame to the numbers of the videos it stands in, and its quality there."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._fresh: dict[int, list[tuple[int, int]]] = {}
        self._fresh_count = 0
        self._dead: set[int] = set()

    def add(self, pdq: bytes, video: int, quality: int) -> None:
        """Add a posting; a video's number is never used twice."""
        self._fresh.setdefault(hash(pdq), []).append((video, quality))
        self._fresh_count += 1
        if self._fresh_count >= FRESH_MAX:
            self._settle()

    def drop(self, video: int) -> None:
        """Forget all postings of a video."""
        self._dead.add(video)

    def of(self, pdq: bytes) -> list[tuple[int, int]]:
        """The (video number, quality) of each living posting of a frame."""
        return self.of_many([pdq])[0]

    def of_many(self, pdqs: Sequence[bytes]) -> list[list[tuple[int, int]]]:
        """For each frame, the (video number, quality) of each of its living postings."""
        if not pdqs:
            return []  # the common case: nothing is near
        keys = [hash(pdq) for pdq in pdqs]
        found = [list(self._fresh.get(key, ())) for key in keys]
        asked = np.array(keys, dtype=np.int64)
        for run in self._runs:
            run.collect(asked, found)
        if self._dead:
            dead = self._dead
            found = [[each for each in postings if each[0] not in dead] for postings in found]
        return found

    def _settle(self) -> None:
        """Make a run of what is fresh, and merge runs while the older is not twice as long."""
        flat = [
            (key, video, quality)
            for key, postings in self._fresh.items()
            for video, quality in postings
        ]
        keys, videos, qualities = zip(*flat, strict=True)
        self._runs.append(
            self._sorted(
                np.array(keys, dtype=np.int64),
                np.array(videos, dtype=np.uint32),
                np.array(qualities, dtype=np.uint8),
            )
        )
        self._fresh, self._fresh_count = {}, 0
        while len(self._runs) > 1 and len(self._runs[-2].keys) < 2 * len(self._runs[-1].keys):
            newer, older = self._runs.pop(), self._runs.pop()
            self._runs.append(
                self._sorted(
                    np.concatenate([older.keys, newer.keys]),
                    np.concatenate([older.videos, newer.videos]),
                    np.concatenate([older.qualities, newer.qualities]),
                )
            )
        if len(self._runs) == 1:
            self._dead.clear()  # the one run that is left was made without them

    def _sorted(
        self,
        keys: npt.NDArray[np.int64],
        videos: npt.NDArray[np.uint32],
        qualities: npt.NDArray[np.uint8],
    ) -> _Run:
        if self._dead:
            living = ~np.isin(videos, np.fromiter(self._dead, dtype=np.uint32))
            keys, videos, qualities = keys[living], videos[living], qualities[living]
        # Stable means merging here: of two sorted runs it takes one pass.
        order = np.argsort(keys, kind="stable")
        return _Run(keys[order], videos[order], qualities[order])
