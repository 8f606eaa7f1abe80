"""Whom a node passes on to: everybody while members are few, eight symmetric neighbours beyond.

The members stand on four rings, each in the order of a hash of its own; a node's neighbours are
those beside it on each ring. Everybody computes the same rings from the roster, so whoever is a
neighbour of mine has me as one: nobody is without somebody who tells him, and one ring alone joins
all. A roster that admits a member changes the neighbours of eight others and of nobody else.

A neighbour that does not answer is stepped over, and the next one on that side of the ring takes
its place; he steps over it from the other side, so the pair stays symmetric.

Source: docs/internals/gossip.md. Self-chosen one-way views leave members whom nobody chose, which a
simulation found, and random ones leave the last few to anti-entropy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final

RINGS: Final = 4
"""Two neighbours on each: eight flood a thousand members in four or five hops."""

NEIGHBOURS: Final = 2 * RINGS

STEPS_MAX: Final = 8
"""So many silent members in a row are stepped over; with a third dead, one time in 6,000."""


@lru_cache(maxsize=8)
def rings_of(federation_id: str, members: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The members in the order of each ring.

    Args:
        federation_id: keeps the rings of two federations apart.
        members: everybody, in any order.
    """

    def place(ring: int, member: str) -> bytes:
        return sha256(f"{federation_id} {ring} {member}".encode()).digest()

    return tuple(
        tuple(sorted(members, key=lambda member: place(ring, member))) for ring in range(RINGS)
    )


def neighbours_of(
    member: str,
    members: Sequence[str],
    federation_id: str,
    is_silent: Callable[[str], bool] = lambda _member: False,
) -> list[str]:
    """The members beside one on each ring, each once.

    Args:
        member: whose.
        members: everybody who can be reached, in the order of names; with or without ``member``.
        federation_id: names the rings.
        is_silent: who is to be stepped over.

    Returns:
        All others where they are at most eight; else at most eight, and at least two unless
        nearly everybody is silent.
    """
    others = [each for each in members if each != member]
    if len(others) <= NEIGHBOURS:
        return others
    everybody = tuple(members) if len(others) < len(members) else tuple(sorted((*members, member)))
    chosen: dict[str, None] = {}
    for ring in rings_of(federation_id, everybody):
        place = ring.index(member)
        for step in (1, -1):
            beside = [ring[(place + step * far) % len(ring)] for far in range(1, STEPS_MAX + 1)]
            heard = (each for each in beside if each != member and not is_silent(each))
            chosen[next(heard, beside[0])] = None
    chosen.pop(member, None)
    return list(chosen)
