"""What a search answers: the nearest matches, and how many there are in all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

# How many matches one query is answered with unless its caller asks for another number. Whoever
# gets a match goes on to read the statements about it, and a list of near-identical pictures (a
# meme, a video's frames) can hold 100,000 of them: nobody's verdict needs more than the nearest.
MATCHES_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Found:
    """One signal that matches.

    Attributes:
        value: the signal's bytes, never shown in a repr.
        distance: in how many bits it differs from what was asked for; 0 for the exact types.
    """

    value: bytes = field(repr=False)
    distance: int


@dataclass(frozen=True, slots=True)
class Matches:
    """The answer to one query; iterating over it gives its ``Found``.

    Attributes:
        nearest: matches in ascending order of (distance, value), as many as were asked for.
        total: how many matches there are, exactly, those left out included.
    """

    nearest: tuple[Found, ...]
    total: int

    @property
    def is_truncated(self) -> bool:
        """Whether there are more matches than were asked for."""
        return self.total > len(self.nearest)

    def __iter__(self) -> Iterator[Found]:
        return iter(self.nearest)

    def __len__(self) -> int:
        return len(self.nearest)


NO_MATCHES = Matches(nearest=(), total=0)
