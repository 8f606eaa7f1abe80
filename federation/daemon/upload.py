"""What bulk may take of this node's line: so many bytes a second, and some at once.

Only ranges of bulk logs count: control, crisis and live statements are small beside them, and must
not wait for them. Who asks when nothing is left is told how long to wait.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from federation.local_errors.askers import TooBusy

BURST_SECONDS: Final = 2.0
"""What may be sent at once, as seconds of the rate: an answer of 4 MiB passes on a slow line too,
and is paid back by those behind it."""


class UploadAllowance:
    """A token bucket of bytes.

    Args:
        bytes_per_second: the rate; 0: no limit.
        monotonic: a clock that never goes back, seconds.
    """

    def __init__(self, bytes_per_second: int, monotonic: Callable[[], float]) -> None:
        self._rate, self._monotonic = bytes_per_second, monotonic
        self._left = bytes_per_second * BURST_SECONDS
        self._at = monotonic()

    def check(self) -> None:
        """Whether an answer may be sent now.

        Raises:
            TooBusy: not before earlier ones are paid for; it says how long that takes.
        """
        if not self._rate:
            return
        self._refill()
        if self._left <= 0:
            raise TooBusy(
                "this node has sent as many bulk statements as its upload limit allows",
                retry_after_seconds=-self._left / self._rate,
            )

    def take(self, sent_bytes: int) -> None:
        """So many were sent."""
        self._left -= sent_bytes

    def _refill(self) -> None:
        now = self._monotonic()
        most = self._rate * BURST_SECONDS
        self._left = min(most, self._left + (now - self._at) * self._rate)
        self._at = now
