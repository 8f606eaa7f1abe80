"""What a peer is told when it is refused: one table from errors to HTTP statuses.

A refusal's body is a small map ``{"code", "message"}`` in the protocol's own encoding, with
``"retry_after"`` in seconds where waiting helps. The code is for the peer's program. The message is
for a person who debugs; the asking node never shows or logs it, because a hostile peer could put a
signal value or terminal codes there.
"""

from __future__ import annotations

import re
from math import ceil
from typing import Final

from federation import errors
from federation.local_errors.askers import (
    MethodNotThere,
    NotAllowed,
    NotFound,
    RangeNotHeld,
    TooBusy,
)
from federation.local_errors.disk import StoreError, StoreFull
from federation.local_errors.peers import PeerTimeout
from federation.net.limits import REFUSAL_BYTES_MAX, RETRY_AFTER_SECONDS_MAX
from federation.protocol.encoding import decode_map
from federation.protocol.encoding_writing import encode

STATUS_OF: Final[dict[type[errors.FederationError], int]] = {
    errors.ProtocolError: 400,
    NotAllowed: 403,
    NotFound: 404,
    MethodNotThere: 405,
    PeerTimeout: 408,
    # The peer holds the log, but not (all of) that range: somebody else may.
    RangeNotHeld: 409,
    errors.TooLarge: 413,
    errors.VerificationError: 422,
    TooBusy: 429,
    errors.FederationError: 500,
    StoreError: 503,
    StoreFull: 507,
}
"""The status of each branch; a leaf that is not listed has its nearest ancestor's."""

OUR_FAULT_STATUS_MIN: Final = 500
OUR_FAULT_MESSAGE: Final = "this node cannot answer at the moment"

_CODE: Final = re.compile(r"[a-z][a-z0-9-]{0,63}\Z")


def status_of(error: errors.FederationError) -> int:
    """The HTTP status for an error on the peer listener."""
    return next(STATUS_OF[branch] for branch in type(error).__mro__ if branch in STATUS_OF)


def wait_seconds(error: errors.FederationError, least: int) -> int | None:
    """How long whoever is refused should wait, in whole seconds, and at least ``least``.

    None where asking again later is no remedy.
    """
    if not isinstance(error, TooBusy):
        return None
    return max(least, ceil(error.retry_after_seconds or 0))


def encode_refusal(error: errors.FederationError, retry_after: int | None = None) -> bytes:
    """The body of a refusal. What went wrong on our own side is not described to peers.

    Args:
        error: why.
        retry_after: seconds to wait; HTTP's own field does not travel with an answer that is
            brought.
    """
    is_ours = status_of(error) >= OUR_FAULT_STATUS_MIN
    told: dict[str, str | int] = {
        "code": error.code,
        "message": OUR_FAULT_MESSAGE if is_ours else error.message,
    }
    if retry_after is not None:
        told["retry_after"] = retry_after
    return encode(told)


def decode_refusal(body: bytes) -> str | None:
    """The code in a peer's refusal, or None when there is none that can be shown safely."""
    try:
        code = decode_map(body, bytes_max=REFUSAL_BYTES_MAX).get("code")
    except errors.ProtocolError:
        return None
    return code if isinstance(code, str) and _CODE.match(code) else None


def decode_retry_after(body: bytes) -> float | None:
    """Seconds that a refusal asks to wait, at most ``RETRY_AFTER_SECONDS_MAX``; None for none."""
    try:
        seconds = decode_map(body, bytes_max=REFUSAL_BYTES_MAX).get("retry_after")
    except errors.ProtocolError:
        return None
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        return None
    return float(min(seconds, RETRY_AFTER_SECONDS_MAX))
