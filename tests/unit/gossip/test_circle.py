"""Whom a crisis is told to: first those who were not told, and everybody in turn."""

from __future__ import annotations

from random import Random

import pytest

from federation.gossip.circle import Circle
from federation.gossip.waves import WAVE_PEERS, Wave
from federation.protocol.origins import Lane, LogId
from tests.builders import FEDERATION_ID, make_roster

MEMBERS = tuple(f"m{number:02}.example" for number in range(3 * WAVE_PEERS))
ROSTER = make_roster(*MEMBERS).roster
LOG = LogId(MEMBERS[0], FEDERATION_ID, Lane.CRISIS)


def made_circle(full_view_members: int = 150) -> Circle:
    circle = Circle(MEMBERS[0], lambda: ROSTER, full_view_members)
    circle.meet(0.0)
    return circle


def due(circle: Circle, at: float) -> set[str]:
    """Who is due for the log then, and may be spoken to; forgets that they are."""
    names = {each.member for each in circle.peers.values() if each.due.pop(LOG, None) == at}
    assert all(circle.peers[name].is_open(at) for name in names)
    return names


@pytest.mark.parametrize("full_view_members", [10, 150])
def test_first_wave_goes_to_those_who_were_not_told(full_view_members: int) -> None:
    circle, dice = made_circle(full_view_members), Random(1)
    closed = set(circle.peers.reachable[5:15])
    for name in closed:
        circle.peers[name].retry_at = 300.0
    told = set(circle.tell_crisis(LOG, 0.0, dice))
    due(circle, 0.0)
    wave = Wave(1, 1.0, told=set(told))
    circle.send_wave(LOG, wave, 1.0, dice)
    first = due(circle, 1.0)
    assert WAVE_PEERS == len(first)
    untold = set(circle.peers.reachable) - told
    assert not first - untold or untold <= first
    assert not closed - told or first & closed


def test_waves_take_everybody_in_turn_and_then_again_and_none_is_empty() -> None:
    circle, dice = made_circle(), Random(1)
    wave, told = Wave(1, 1.0), set[str]()
    for second in range(1, 4):
        circle.send_wave(LOG, wave, float(second), dice)
        told |= due(circle, float(second))
    assert set(circle.peers.reachable) == told
    circle.send_wave(LOG, wave, 4.0, dice)
    assert WAVE_PEERS == len(due(circle, 4.0))


def test_every_wave_of_a_small_circle_reaches_all_who_lack_it() -> None:
    circle, dice = made_circle(), Random(1)
    for name in circle.peers.reachable[5:]:
        circle.peers[name].holds[LOG] = 1
    wave = Wave(1, 1.0)
    for second in (1.0, 2.0, 3.0):
        circle.send_wave(LOG, wave, second, dice)
        assert set(circle.peers.reachable[:5]) == due(circle, second)
