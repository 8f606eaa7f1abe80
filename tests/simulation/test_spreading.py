"""Spreading at the price and the speed that were promised; the benchmark has the large figures."""

from __future__ import annotations

import pytest

from federation.protocol.origins import Lane
from tests.scenarios.checks import percentile
from tests.simulation.bounds import TIMEOUT_SECONDS
from tests.simulation.spreading import Spreading

STATEMENTS = 4


@pytest.fixture(scope="module")
def hundred() -> Spreading:
    return Spreading(100)


def test_a_crisis_statement_is_everywhere_in_half_a_second(hundred: Spreading) -> None:
    assert percentile(hundred.say_all(Lane.CRISIS, STATEMENTS).seconds, 0.99) <= 0.5


def test_an_issuer_cut_off_from_nine_in_ten_is_heard_within_two_seconds(hundred: Spreading) -> None:
    spread = hundred.say_all(Lane.CRISIS, STATEMENTS, hundred.cut_off)
    hundred.restore()
    assert percentile(spread.seconds, 0.99) <= 2.0


@pytest.mark.parametrize("black_hole", [False, True])
@pytest.mark.parametrize("lane", [Lane.CRISIS, Lane.LIVE])
def test_three_in_ten_dead_do_not_slow_the_living(lane: Lane, *, black_hole: bool) -> None:
    """Right after they died, when nobody knows; and when it is known, after a quiet while."""
    healthy, spreading = Spreading(60, seed=3), Spreading(60, seed=3)
    before = percentile(spreading.say_all(lane, STATEMENTS).seconds, 0.99)
    healthy.say_all(lane, STATEMENTS)
    spreading.kill(0.3, black_hole=black_hole)
    just = percentile(spreading.say_all(lane, STATEMENTS).seconds, 0.99)
    # Connections that were idle have to be made again, whether anybody died or not.
    for each in (healthy, spreading):
        each.world.run(each.world.now + 120.0)
    rested = percentile(healthy.say_all(lane, STATEMENTS).seconds, 0.99)
    known = percentile(spreading.say_all(lane, STATEMENTS).seconds, 0.99)
    # One hop more or less: nobody waits for the timeout of a request to a black hole, 5 s.
    assert just - before <= 0.15
    assert known - rested <= 0.15


def test_the_price_of_a_statement_does_not_grow_with_the_members() -> None:
    prices = []
    for members in (155, 240):
        spreading = Spreading(members, seed=2)
        spread = spreading.say_all(Lane.LIVE, 2)
        prices.append(spread.messages / members / 2)
    assert 0.8 <= prices[0] / prices[1] <= 1.25
    assert max(prices) <= 20


def test_a_request_to_a_black_hole_is_not_even_refused() -> None:
    spreading = Spreading(3)
    world, (dead, asker, _) = spreading.world, spreading.members
    world.nodes[dead].crash()
    waits = []
    for world.nodes[dead].is_black_hole in (False, True):
        begun = world.now
        world.request(
            world.nodes[asker],
            dead,
            "digest",
            b"",
            lambda _answer, _reason, begun=begun: waits.append(world.now - begun),  # type: ignore[misc]
        )
        world.run(world.now + 2 * TIMEOUT_SECONDS)
    assert waits[0] < 1.0
    assert TIMEOUT_SECONDS == pytest.approx(waits[1])
