"""The upload limit: a burst, then the rate, and whoever asks too early is told when."""

from __future__ import annotations

from contextlib import ExitStack, suppress

import pytest

from federation.daemon.upload import BURST_SECONDS, UploadAllowance
from federation.local_errors.askers import TooBusy


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def refused_for(allowance: UploadAllowance, sent_bytes: int) -> float | None:
    """How long who asks now is told to wait; None where he is served."""
    try:
        with allowance.reserved(sent_bytes) as sent:
            sent(sent_bytes)
    except TooBusy as error:
        return error.retry_after_seconds
    return None


def test_without_a_limit_everything_is_sent() -> None:
    allowance = UploadAllowance(0, Clock())
    for _ in range(100):
        assert None is refused_for(allowance, 10**9)


def test_in_the_long_run_no_more_than_the_rate_is_sent() -> None:
    clock = Clock()
    allowance, sent = UploadAllowance(1_000, clock), 0
    while clock.now < 100:
        if (wait := refused_for(allowance, 700)) is not None:
            clock.now += max(wait, 0.001)
            continue
        sent += 700
    assert 100_000 - 700 <= sent <= 100_000 + BURST_SECONDS * 1_000 + 2 * 700


def test_one_large_answer_passes_and_is_paid_back() -> None:
    clock = Clock()
    allowance = UploadAllowance(1_000, clock)
    assert None is refused_for(allowance, 10_000)
    owed = (10_000 - BURST_SECONDS * 1_000) / 1_000
    assert owed == refused_for(allowance, 1)
    clock.now += 8.1
    assert None is refused_for(allowance, 1)


def test_many_that_ask_at_once_are_no_way_past_the_limit() -> None:
    allowance, served = UploadAllowance(1_000, Clock()), 0
    with ExitStack() as reading:
        for _ in range(64):
            with suppress(TooBusy):
                reading.enter_context(allowance.reserved(1_500))(1_500)
                served += 1
    assert 2 == served


def test_room_that_an_answer_did_not_take_is_free_again() -> None:
    allowance = UploadAllowance(1_000, Clock())
    for _ in range(10):
        with allowance.reserved(5_000) as sent:
            sent(10)
    with pytest.raises(ValueError, match="not held"), allowance.reserved(5_000):
        raise ValueError("not held")
    assert None is refused_for(allowance, 1)
