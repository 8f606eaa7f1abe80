"""What matched here lately: for the flood guard and for trying a policy before it is taken on.

A sighting says which known signals were near something that was uploaded, and how near; never what
was uploaded, by whom, or under which name. It lives in memory and is forgotten with the process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from federation.daemon.changes import Mark
from federation.matching.decisions import Nearby
from federation.matching.policy_terms import Stage
from federation.protocol.signals import Signal

RECENT_MAX: Final = 10_000
"""Sightings kept: minutes of a large platform's matches, a week of a small one's; about 20 MB."""

NEARS_MAX: Final = 16
"""Known signals kept of one sighting, nearest first: what a rule looks at."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Known signals near something that was uploaded.

    Attributes:
        nears: each with its distance, nearest first; of a live stream's frame and a known video
            in bits, as between frames.
        stage: where the content was.
    """

    nears: tuple[tuple[Mark, int], ...] = field(repr=False)
    stage: Stage = Stage.UPLOAD


@dataclass(frozen=True, slots=True)
class Upload:
    """Signals of something that was uploaded, under the platform's own name for it.

    Attributes:
        reference: the platform's name, opaque to this node.
        signals: of the content.
        at_ms: when it was asked about, Unix milliseconds.
    """

    reference: str = field(repr=False)
    signals: tuple[Signal, ...] = field(repr=False)
    at_ms: int


def sightings_of(found: Iterable[Sequence[Nearby]], stage: Stage) -> list[Sighting]:
    """What a request's matches leave behind: nothing where nothing matched."""
    return [
        Sighting(
            tuple(((near.type, near.identity), near.distance) for near in matches[:NEARS_MAX]),
            stage,
        )
        for matches in found
        if matches
    ]


class Sightings:
    """What matched here lately.

    Args:
        clock_ms: Unix milliseconds.
        count: told each sighting: the flood guard.
        remember: told each upload; None where nothing is remembered.
    """

    def __init__(
        self,
        clock_ms: Callable[[], int],
        count: Callable[[Sighting], None],
        remember: Callable[[Upload], None] | None,
    ) -> None:
        self._clock_ms, self._count, self._remember = clock_ms, count, remember
        self._recent: deque[Sighting] = deque(maxlen=RECENT_MAX)

    @property
    def recent(self) -> tuple[Sighting, ...]:
        """The newest ones, oldest first."""
        return tuple(self._recent)

    def keep(
        self,
        reference: str | None,
        signals: Sequence[Signal],
        found: Sequence[Sequence[Nearby]],
        stage: Stage = Stage.UPLOAD,
    ) -> None:
        """Keep what one request saw.

        Args:
            reference: the platform's name for the upload; None where it gave none.
            signals: of the content.
            found: for each signal what was near it.
            stage: where the content was.
        """
        self._take_sightings(sightings_of(found, stage))
        if reference is not None and self._remember is not None:
            self._remember(Upload(reference, tuple(signals), self._clock_ms()))

    def _take_sightings(self, sightings: Iterable[Sighting]) -> None:
        for sighting in sightings:
            self._recent.append(sighting)
            self._count(sighting)
