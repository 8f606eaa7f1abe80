"""What bulk may take of this node's line: so many bytes a second, and some at once.

Only ranges and hashes of bulk logs count: control, crisis and live statements are small beside
them, and must not wait for them. Room is kept for an answer before it is read, so that many at once
are no way past the limit. Who asks when nothing is left is told how long to wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        self._reserved = 0
        self._at = monotonic()

    @contextmanager
    def reserved(self, bytes_max: int) -> Iterator[Callable[[int], None]]:
        """Keep room for one answer while it is read; what it does not take is free again after.

        Args:
            bytes_max: as long as the answer may become.

        Yields:
            To be told how long it became; an answer that came to nothing takes nothing.

        Raises:
            TooBusy: not before earlier ones are paid for; it says how long that takes.
        """
        if not self._rate:
            yield lambda _bytes: None
            return
        self._refill()
        if self._left - self._reserved <= 0:
            raise TooBusy(
                "this node has sent as many bulk statements as its upload limit allows",
                retry_after_seconds=max(0.0, -self._left / self._rate),
            )
        answer_bytes = 0

        def sent(became_bytes: int) -> None:
            nonlocal answer_bytes
            answer_bytes = became_bytes

        self._reserved += bytes_max
        try:
            yield sent
        finally:
            self._reserved -= bytes_max
            self._left -= answer_bytes

    def _refill(self) -> None:
        now = self._monotonic()
        most = self._rate * BURST_SECONDS
        self._left = min(most, self._left + (now - self._at) * self._rate)
        self._at = now
