"""The window follows the disk: it grows while writes keep up, halves when they do not."""

from __future__ import annotations

import pytest

from federation.gossip.window import (
    STATEMENT_BYTES_FIRST,
    STEP_STATEMENTS_MAX,
    STEP_STATEMENTS_MIN,
    WINDOW_BYTES_FIRST,
    WINDOW_BYTES_MAX,
    WINDOW_BYTES_MIN,
    WRITE_SECONDS,
    Window,
)


def test_it_grows_while_writes_keep_up_and_no_further_than_its_limit() -> None:
    window = Window()
    for _ in range(100):
        window.note_written(1_024, 0.01, 0.02)
    assert WINDOW_BYTES_MAX == window.bytes_max


def test_it_halves_when_the_disk_is_behind_and_is_never_shut() -> None:
    window = Window()
    window.note_written(1_024, 0.3, 0.4)
    assert WINDOW_BYTES_FIRST // 2 == window.bytes_max
    for _ in range(10):
        window.note_written(1_024, 0.3, 0.4)
    assert WINDOW_BYTES_MIN == window.bytes_max
    assert window.statements_max >= STEP_STATEMENTS_MIN


@pytest.mark.parametrize(
    ("per_second", "expected"),
    [(5_000, STEP_STATEMENTS_MIN), (51_200, 1_024), (1_000_000, STEP_STATEMENTS_MAX)],
)
def test_a_write_is_over_before_an_urgent_one_notices(per_second: int, expected: int) -> None:
    window = Window()
    for _ in range(60):
        count = window.step_statements
        window.note_written(count, count / per_second, 0.03)
    assert expected <= window.step_statements <= expected + STEP_STATEMENTS_MIN
    if expected > STEP_STATEMENTS_MIN:
        assert window.step_statements / per_second <= WRITE_SECONDS * 1.01


def test_small_writes_say_nothing_of_the_disks_speed() -> None:
    window = Window()
    before = window.step_statements
    window.note_written(1, 0.01, 0.01)
    assert before == window.step_statements


def test_longer_statements_fill_it_with_fewer() -> None:
    window = Window()
    for _ in range(50):
        window.note_arrived(100, 100 * 10 * STATEMENT_BYTES_FIRST)
    assert window.statements_max < WINDOW_BYTES_FIRST / STATEMENT_BYTES_FIRST / 5
