"""The upload limit: a burst, then the rate, and whoever asks too early is told when."""

from __future__ import annotations

import pytest

from federation.daemon.upload import BURST_SECONDS, UploadAllowance
from federation.local_errors.askers import TooBusy


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def refused_for(allowance: UploadAllowance) -> float | None:
    """How long who asks now is told to wait; None where he is served."""
    try:
        allowance.check()
    except TooBusy as error:
        return error.retry_after_seconds
    return None


def test_without_a_limit_everything_is_sent() -> None:
    allowance = UploadAllowance(0, Clock())
    for _ in range(100):
        allowance.check()
        allowance.take(10**9)


def test_in_the_long_run_no_more_than_the_rate_is_sent() -> None:
    clock = Clock()
    allowance, sent = UploadAllowance(1_000, clock), 0
    while clock.now < 100:
        if (wait := refused_for(allowance)) is not None:
            clock.now += max(wait, 0.001)
            continue
        allowance.take(700)
        sent += 700
    assert 100_000 - 700 <= sent <= 100_000 + BURST_SECONDS * 1_000 + 2 * 700


def test_one_large_answer_passes_and_is_paid_back() -> None:
    clock = Clock()
    allowance = UploadAllowance(1_000, clock)
    allowance.check()
    allowance.take(10_000)
    with pytest.raises(TooBusy) as refused:
        allowance.check()
    assert (10_000 - BURST_SECONDS * 1_000) / 1_000 == refused.value.retry_after_seconds
    clock.now += 8.1
    allowance.check()
