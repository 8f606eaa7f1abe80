"""Chance, as the engine sees it: ``random.Random`` fits, and so does a simulator's seeded one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

_T = TypeVar("_T")


class Dice(Protocol):
    """The only source of chance on this floor; given, never made."""

    def uniform(self, a: float, b: float) -> float:
        """A number between a and b."""

    def choice(self, seq: Sequence[_T]) -> _T:
        """One of a non-empty sequence."""

    def sample(self, population: Sequence[_T], k: int) -> list[_T]:
        """K different ones of a sequence, in any order."""
