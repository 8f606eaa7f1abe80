"""Which videos a frame stands in: the references behind the frame index.

A posting is (frame, video number, quality). Sorted flat arrays take 13 bytes for one where a dict
of lists takes 150: a hundred thousand videos have some ten million frames. What was added lately
waits in a dict; when that is full it becomes a sorted run, and runs of like size are merged, so
that a posting is moved a dozen times in its life. A video that was removed is skipped by its number
and left out at the next merge.

Frames are keyed by 64 bits: twice the upper half of a multilinear hash (Lemire, Kaser, "Strongly
universal string hashing is fast", 2014) whose multipliers are drawn from a seed that nobody outside
knows, so that nobody can make two frames of one key but by luck of 2^-64. The seed goes with the
postings into a file, and comes back with them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from federation.local_errors.disk import IndexFileInvalid
from federation.matching.row_kernels import Words
from federation.matching.rows import unjoin_rows
from federation.matching.sections import Sections, below, take_section, under
from federation.matching.value_set import PROCESS_SEED, multipliers_of
from federation.protocol.limits_content import PDQ_BYTES


@dataclass(frozen=True, slots=True)
class Postings:
    """Postings of some asked frames, as three arrays of one length.

    Attributes:
        places: which of the asked frames.
        videos: in which video it stands.
        qualities: how good it is there.
    """

    places: npt.NDArray[np.int64]
    videos: npt.NDArray[np.int64]
    qualities: npt.NDArray[np.uint8]


FRESH_MAX: Final = 65_536
"""Postings that wait in the dict: a run of them is sorted in 5 ms."""


@dataclass(frozen=True, slots=True)
class _Run:
    """Postings in ascending order of their keys."""

    keys: Words
    videos: npt.NDArray[np.uint32]
    qualities: npt.NDArray[np.uint8]

    def sections(self) -> Sections:
        """The three arrays, by name."""
        return {"keys": self.keys, "videos": self.videos, "qualities": self.qualities}

    def collect(self, keys: Words) -> Postings:
        """All postings under any of some keys."""
        begins = np.searchsorted(self.keys, keys)
        counts = np.searchsorted(self.keys, keys, side="right") - begins
        places = np.repeat(np.arange(len(keys)), counts)
        # Of each posting: where its key's begin, and how many of that key stand before it.
        starts = np.repeat(begins - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
        at = starts + np.arange(len(places))
        return Postings(places, self.videos[at].astype(np.int64), self.qualities[at])


@dataclass(frozen=True, slots=True)
class PostingsView:
    """Postings as they were at one moment; may be read in any thread.

    Runs never change. Of what is added to ``fresh`` meanwhile some may be seen and some not.
    """

    runs: tuple[_Run, ...]
    fresh: Mapping[int, list[tuple[int, int]]]
    dead: npt.NDArray[np.int64]
    multipliers: Words

    def of_rows(self, frames: Words) -> tuple[Words, Postings]:
        """The keys of frames given as rows of words, and their living postings."""
        keys = keys_of(frames, self.multipliers)
        return keys, self.of(keys)

    def of(self, keys: Words) -> Postings:
        """The living postings under each key."""
        parts = [run.collect(keys) for run in self.runs]
        if self.fresh:
            parts.append(self._of_fresh(keys))
        places = np.concatenate([_NO_NUMBERS, *(part.places for part in parts)])
        videos = np.concatenate([_NO_NUMBERS, *(part.videos for part in parts)])
        qualities = np.concatenate([_NO_QUALITIES, *(part.qualities for part in parts)])
        if self.dead.size:
            living = ~np.isin(videos, self.dead)
            places, videos, qualities = places[living], videos[living], qualities[living]
        return Postings(places, videos, qualities)

    def _of_fresh(self, keys: Words) -> Postings:
        flat = [
            (place, video, quality)
            for place, key in enumerate(keys.tolist())
            for video, quality in tuple(self.fresh.get(key, ()))
        ]
        whole = np.array(flat, dtype=np.int64).reshape(-1, 3)
        return Postings(whole[:, 0], whole[:, 1], whole[:, 2].astype(np.uint8))


_NO_NUMBERS: Final = np.empty(0, dtype=np.int64)
_NO_QUALITIES: Final = np.empty(0, dtype=np.uint8)


def keys_of(frames: Words, multipliers: Words) -> Words:
    """The key of each frame, given as rows of words: 64 bits, from two rows of multipliers."""
    low = np.uint64(32)
    halves = np.concatenate([frames >> low, frames & np.uint64(0xFFFFFFFF)], axis=1)
    one, other = (
        (halves * factors[1:]).sum(axis=1, dtype=np.uint64) + factors[0] for factors in multipliers
    )
    keys: Words = one >> low << low | other >> low
    return keys


class FramePostings:
    """From a frame to the numbers of the videos it stands in, and its quality there.

    Args:
        seed: of the keys; unknown to those who choose the frames.
    """

    def __init__(self, *, seed: int = PROCESS_SEED) -> None:
        self._seed = seed
        self._multipliers = multipliers_of(seed, 2 * (1 + PDQ_BYTES // 4)).reshape(2, -1)
        self._runs: list[_Run] = []
        self._fresh: dict[int, list[tuple[int, int]]] = {}
        self._fresh_count = 0
        self._dead: set[int] = set()

    def add(self, frames: Collection[tuple[bytes, int]], video: int) -> None:
        """Add the (PDQ, quality) of a video's frames; a video's number is never used twice."""
        keys = self._keys_of([pdq for pdq, _ in frames]).tolist()
        for key, (_, quality) in zip(keys, frames, strict=True):
            self._fresh.setdefault(key, []).append((video, quality))
        self._fresh_count += len(keys)
        if self._fresh_count >= FRESH_MAX:
            self._settle()

    def drop(self, video: int) -> None:
        """Forget all postings of a video."""
        self._dead.add(video)

    def view(self) -> PostingsView:
        """The postings as they are now, for reading in another thread."""
        dead = np.fromiter(self._dead, dtype=np.int64, count=len(self._dead))
        return PostingsView(tuple(self._runs), self._fresh, dead, self._multipliers)

    def is_empty_of(self, pdqs: Sequence[bytes]) -> list[bool]:
        """Of each frame, whether it stands in no living video."""
        held = set(self.view().of(self._keys_of(pdqs)).places.tolist())
        return [place not in held for place in range(len(pdqs))]

    # --- a copy elsewhere -----------------------------------------------------------------------

    def sections(self) -> Sections:
        """All living postings as arrays, for :meth:`restore`; nothing of removed videos is left."""
        runs = [*self._runs, *([self._fresh_run()] if self._fresh else [])]
        found: dict[str, npt.NDArray[np.generic]] = {"seed": np.array([self._seed], np.uint64)}
        for number, run in enumerate(runs):
            living = self._sorted(run.keys, run.videos, run.qualities) if self._dead else run
            found |= under(str(number), living.sections())
        return found

    @classmethod
    def restore(cls, sections: Sections, videos: Words) -> FramePostings:
        """The postings of :meth:`sections`.

        Args:
            sections: what was made there.
            videos: the numbers of all videos there are.

        Raises:
            IndexFileInvalid: they are not such sections.
        """
        postings = cls(seed=int(take_section(sections, "seed", np.uint64, (1,))[0]))
        number = 0
        while run := below(sections, str(number)):
            keys = take_section(run, "keys", np.uint64, (None,))
            numbers = take_section(run, "videos", np.uint32, (len(keys),))
            qualities = take_section(run, "qualities", np.uint8, (len(keys),))
            if not bool(np.isin(numbers, videos).all()):
                raise IndexFileInvalid("a frame stands in a video that is not there")
            postings._runs.append(_Run(keys, numbers, qualities))
            number += 1
        return postings

    # --- inside ---------------------------------------------------------------------------------

    def _keys_of(self, pdqs: Iterable[bytes]) -> Words:
        return keys_of(unjoin_rows(b"".join(pdqs), PDQ_BYTES), self._multipliers)

    def _fresh_run(self) -> _Run:
        flat = [
            (key, video, quality)
            for key, postings in self._fresh.items()
            for video, quality in postings
        ]
        keys, videos, qualities = zip(*flat, strict=True)
        return self._sorted(
            np.array(keys, dtype=np.uint64),
            np.array(videos, dtype=np.uint32),
            np.array(qualities, dtype=np.uint8),
        )

    def _settle(self) -> None:
        """Make a run of what is fresh, and merge runs while the older is not twice as long."""
        self._runs.append(self._fresh_run())
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
        self, keys: Words, videos: npt.NDArray[np.uint32], qualities: npt.NDArray[np.uint8]
    ) -> _Run:
        if self._dead:
            living = ~np.isin(videos, np.fromiter(self._dead, dtype=np.uint32))
            keys, videos, qualities = keys[living], videos[living], qualities[living]
        # Stable means merging here: of two sorted runs it takes one pass.
        order = np.argsort(keys, kind="stable")
        return _Run(keys[order], videos[order], qualities[order])
