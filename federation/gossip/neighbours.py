"""Whom a node passes on to: everybody while members are few, eight symmetric neighbours beyond.

The members stand on four rings, each in the order of a hash of its own; a node's neighbours are
those beside it on each ring. Everybody computes the same rings from the roster, so whoever is a
neighbour of mine has me as one: nobody is without somebody who tells him, and one ring alone joins
all. A roster that admits a member changes the neighbours of eight others and of nobody else.

A neighbour that does not answer is stepped over, and the next one on that side of the ring takes
its place; he steps over it from the other side, so the pair stays symmetric.

Members that cannot be connected to are no stations of the rings, or some would have nobody to speak
to; each is a guest at the places where it would stand.

Source: docs/internals/gossip.md. Self-chosen one-way views leave members whom nobody chose, which a
simulation found, and random ones leave the last few to anti-entropy.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache, partial
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
    return tuple(
        tuple(sorted(members, key=lambda member: _place(federation_id, ring, member)))
        for ring in range(RINGS)
    )


def _place(federation_id: str, ring: int, member: str) -> bytes:
    return sha256(f"{federation_id} {ring} {member}".encode()).digest()


@lru_cache(maxsize=8)
def _guests_of(
    federation_id: str, members: tuple[str, ...], callers: tuple[str, ...]
) -> Mapping[str, tuple[str, ...]]:
    """The callers that stand beside each member; every caller is beside one at least."""
    guests: dict[str, list[str]] = {}
    for caller in callers:
        for name in _beside(caller, members, federation_id, _nobody):
            guests.setdefault(name, []).append(caller)
    return {name: tuple(beside) for name, beside in guests.items()}


def _nobody(_member: str) -> bool:
    return False


def neighbours_of(
    member: str,
    members: Sequence[str],
    federation_id: str,
    is_silent: Callable[[str], bool] = _nobody,
    callers: Collection[str] = (),
) -> list[str]:
    """The members beside one on each ring, each once.

    Args:
        member: whose.
        members: everybody, in the order of names; with or without ``member``.
        federation_id: names the rings.
        is_silent: who is to be stepped over.
        callers: those that cannot be connected to. They do not stand on the rings, for two of them
            never speak; each is a guest of the members that it would stand beside.

    Returns:
        All others where they are at most eight; else at most eight, and at least two unless
        nearly everybody is silent. A member's guests come on top.
    """
    if not callers and len(members) <= NEIGHBOURS:
        return [each for each in members if each != member]
    standing = tuple(each for each in members if each not in callers)
    if member in callers:
        return _beside(member, standing, federation_id, is_silent)
    # With this one among them, whoever asks: so that all nodes of one process share the rings.
    if member not in standing:
        standing = tuple(sorted((*standing, member)))
    beside = _beside(member, standing, federation_id, is_silent)
    if not callers:
        return beside
    guests = _guests_of(federation_id, standing, tuple(sorted({*callers}.intersection(members))))
    return [*beside, *guests.get(member, ())]


def _beside(
    member: str,
    members: tuple[str, ...],
    federation_id: str,
    is_silent: Callable[[str], bool],
) -> list[str]:
    """Who stands beside the member's place on each ring, whether it stands there itself or not."""
    others = [each for each in members if each != member]
    if len(others) <= NEIGHBOURS:
        return others
    chosen: dict[str, None] = {}
    for number, ring in enumerate(rings_of(federation_id, members)):
        own = _place(federation_id, number, member)
        after = bisect_left(ring, own, key=partial(_place, federation_id, number))
        if len(others) < len(ring):
            ring = ring[:after] + ring[after + 1 :]  # noqa: PLW2901 - without the one who asks
        for first, step in ((after, 1), (after - 1, -1)):
            near = [ring[(first + step * far) % len(ring)] for far in range(STEPS_MAX)]
            chosen[next((each for each in near if not is_silent(each)), near[0])] = None
    return list(chosen)
