"""How many requests strangers may make: so many a second from one address, and some at once."""

from __future__ import annotations

from collections import OrderedDict

from federation.local_errors.askers import TooBusy
from federation.net.limits import PublicLimits


class Allowance:
    """How many requests an address may make: a bucket that fills at a rate.

    Args:
        limits: rate, burst, and how many addresses are remembered.
    """

    def __init__(self, limits: PublicLimits) -> None:
        self._limits = limits
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str, now: float) -> None:
        """Take one request out of an address's bucket.

        Args:
            address: who asks.
            now: any clock that only goes forward, seconds.

        Raises:
            TooBusy: the bucket is empty.
        """
        limits = self._limits
        left, at = self._buckets.pop(address, (float(limits.requests_burst), now))
        left = min(limits.requests_burst, left + (now - at) * limits.requests_per_second)
        if len(self._buckets) >= limits.addresses_max:
            self._buckets.popitem(last=False)
        is_empty = left < 1
        self._buckets[address] = (left if is_empty else left - 1, now)
        if is_empty:
            raise TooBusy("too many requests from this address")
