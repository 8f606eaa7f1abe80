"""The small text forms that all log formats share: base64, decimals and text without surprises.

Every value has one form, so a parser and its formatter give the same bytes back. Each function is
told which leaf of the error tree to raise (``malformed``), and what it reads (``what``).

Source: docs/spec/texts.md; RFC 4648 section 4; C2SP signed-note for the characters.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

from federation.errors import ProtocolError

SIZE_LIMIT: Final = 1 << 63
"""Tree sizes, indexes and POSIX seconds are below it: C2SP keeps them in signed 64 bits."""

_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def format_base64(raw: bytes) -> str:
    """Standard base64 with padding, on one line."""
    return binascii.b2a_base64(raw, newline=False).decode("ascii")


def parse_base64(text: str, malformed: type[ProtocolError], what: str) -> bytes:
    """Decode base64 in its only form, with padding. Raises: ProtocolError: ``malformed``."""
    try:
        raw = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except ValueError:
        raise malformed(f"{what} is not base64") from None
    if format_base64(raw) != text:
        raise malformed(f"{what} is not canonical base64")
    return raw


def parse_decimal(text: str, malformed: type[ProtocolError], what: str) -> int:
    """Read a decimal below 2^63 in its only form. Raises: ProtocolError: ``malformed``."""
    if not _DECIMAL.match(text) or int(text) >= SIZE_LIMIT:
        raise malformed(f"{what} is not a decimal below 2^63 without leading zeros")
    return int(text)


def check_characters(text: str, malformed: type[ProtocolError], what: str) -> None:
    """Accept no control character but newlines. Raises: ProtocolError: ``malformed``."""
    if _CONTROL.search(text):
        raise malformed(f"{what} has a control character")
    if not text.isascii() and _SURROGATE.search(text):
        raise malformed(f"{what} has half of a surrogate pair")
