"""Neighbours: symmetric, so that nobody is without one; joined, so that all are reached."""

from __future__ import annotations

from random import Random

import pytest

from federation.gossip.neighbours import NEIGHBOURS, neighbours_of
from tests.builders import FEDERATION_ID


def names(count: int) -> list[str]:
    return [f"m{number:04}.example" for number in range(count)]


def overlay(count: int, silent: frozenset[str] = frozenset()) -> dict[str, set[str]]:
    members = names(count)
    return {
        member: set(neighbours_of(member, members, FEDERATION_ID, silent.__contains__))
        for member in members
        if member not in silent
    }


def reached(links: dict[str, set[str]], first: str) -> dict[str, int]:
    """In how many hops each is reached."""
    hops, front = {first: 0}, [first]
    while front:
        front = [
            b
            for a in front
            for b in sorted(links.get(a, ()))
            if hops.setdefault(b, -1) < 0 and not hops.update({b: hops[a] + 1})
        ]
    return hops


def test_few_members_all_are_neighbours() -> None:
    assert set(names(9)[1:]) == set(neighbours_of("m0000.example", names(9), FEDERATION_ID))


@pytest.mark.parametrize("count", [10, 11, 37, 150, 1_000])
def test_whoever_is_my_neighbour_has_me_as_one(count: int) -> None:
    links = overlay(count)
    for member, beside in links.items():
        assert 2 <= len(beside) <= NEIGHBOURS
        assert all(member in links[other] for other in beside)


@pytest.mark.parametrize(("count", "hops"), [(100, 4), (1_000, 6)])
def test_everybody_is_reached_in_few_hops(count: int, hops: int) -> None:
    found = reached(overlay(count), names(count)[0])
    assert set(names(count)) == set(found)
    assert max(found.values()) <= hops


@pytest.mark.parametrize("seed", range(5))
def test_silent_neighbours_are_stepped_over_from_both_sides(seed: int) -> None:
    members = names(300)
    silent = frozenset(Random(seed).sample(members, 90))
    links = overlay(300, silent)
    for member, beside in links.items():
        assert not beside & silent
        assert all(member in links[other] for other in beside)
    assert links.keys() == reached(links, min(links)).keys()


def test_one_more_member_changes_the_neighbours_of_a_handful() -> None:
    before, after = overlay(200), overlay(201)
    changed = [member for member in before if before[member] != after[member]]
    assert len(changed) <= 2 * NEIGHBOURS


def test_two_federations_have_different_rings() -> None:
    members = names(100)
    assert neighbours_of(members[0], members, FEDERATION_ID) != neighbours_of(
        members[0], members, FEDERATION_ID[1:] + FEDERATION_ID[0]
    )


def test_all_silent_still_leaves_somebody_to_try() -> None:
    assert neighbours_of("m0000.example", names(50), FEDERATION_ID, lambda _name: True)


@pytest.mark.parametrize(("count", "calling"), [(12, 3), (40, 30), (40, 39), (200, 60)])
def test_who_only_calls_is_a_guest_of_those_it_may_call(count: int, calling: int) -> None:
    everybody = names(count)
    callers = frozenset(everybody[:calling])
    links = {
        each: set(neighbours_of(each, everybody, FEDERATION_ID, callers=callers))
        for each in everybody
    }
    for one, others in links.items():
        assert others
        for other in others:
            assert one in links[other]
            assert not {one, other} <= callers
    standing = count - calling
    assert all(len(links[caller]) <= min(standing, NEIGHBOURS) for caller in callers)
    assert len(everybody) == len(reached(links, everybody[0]))
