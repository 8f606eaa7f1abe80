"""The production codecs, decoding once for each byte string.

A node sends one announcement to many, and many tell one node the same: decoding is pure, so what
came of it is kept. What a hostile node alters is other bytes and is decoded anew. Encoding costs no
more than looking up what came of it would.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from federation.errors import FederationError
from federation.protocol import messages, messages_hashes
from federation.protocol.evidence import Prefix
from federation.protocol.messages_prefix import decode_prefix, encode_prefix

KEPT_MAX: Final = 4_096

_ENCODE: Final[dict[type, Callable[[Any], bytes]]] = {
    messages.Announcement: messages.encode_announcement,
    messages.AnnouncementAnswer: messages.encode_announcement_answer,
    messages.Comparison: messages.encode_comparison,
    messages.ComparisonAnswer: messages.encode_comparison_answer,
    messages.StatementRange: messages.encode_range,
    Prefix: encode_prefix,
    messages_hashes.BundleHashes: messages_hashes.encode_hashes,
}

DECODE: Final[dict[str, tuple[Callable[[bytes], Any], Callable[[bytes], Any]]]] = {
    "announce": (messages.decode_announcement, messages.decode_announcement_answer),
    "digest": (messages.decode_comparison, messages.decode_comparison_answer),
    "range": (bytes, messages.decode_range),
    "openings": (bytes, messages.decode_range),
    "roster": (bytes, bytes),
    "prefix": (bytes, decode_prefix),
    "piece": (bytes, messages.decode_range),
    "hashes": (bytes, messages_hashes.decode_hashes),
}
"""kind of request -> how the request and how its answer is read."""


class Wire:
    """What was decoded lately."""

    def __init__(self) -> None:
        self._decoded: dict[tuple[Callable[[bytes], Any], bytes], Any] = {}

    @staticmethod
    def encode(message: Any) -> bytes:
        """The bytes of a message."""
        return _ENCODE[type(message)](message)

    def decode(self, read: Callable[[bytes], Any], raw: bytes) -> Any:
        """The message that bytes are.

        Raises:
            FederationError: as ``read`` does.
        """
        found = self._decoded.get((read, raw))
        if found is None:
            if len(self._decoded) > KEPT_MAX:
                self._decoded.clear()
            try:
                found = read(raw)
            except FederationError as error:
                found = error
            self._decoded[read, raw] = found
        if isinstance(found, FederationError):
            raise found
        return found
