"""Time left is told from what happens now, or not at all."""

from __future__ import annotations

from federation.gossip.pace import WINDOW_SECONDS, Pace


def test_time_left_follows_the_pace_of_late() -> None:
    pace = Pace()
    for second in range(10):
        pace.note(float(second), 1_000)
    assert 1_000 == round(pace.per_second(10.0))
    assert 5 == round(pace.seconds_left(10.0, 5_000) or 0)
    for second in range(10, 50):
        pace.note(float(second), 100)
    assert 50 == round(pace.seconds_left(50.0, 5_000) or 0)


def test_no_time_is_named_where_nothing_comes() -> None:
    pace = Pace()
    assert pace.seconds_left(0.0, 10) is None
    pace.note(0.0, 1_000)
    assert pace.seconds_left(1.0, 1_000) is not None
    assert pace.seconds_left(WINDOW_SECONDS + 1.0, 1_000) is None
