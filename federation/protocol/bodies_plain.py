"""The plain confirm: what nearly every statement of an import is, read without building it.

A body that has the common layout is matched by one pattern, whose every part is then shown to be
exactly one value of the encoding: so the strict reader would accept it and find the same signals.
Whatever is laid out otherwise is left to that reader (``None``), which also says what is wrong. A
property test holds the two against each other.

Source: docs/spec/bodies.md and encoding.md.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, TypeAlias

from federation.errors import BodyMalformed, EncodingMalformed
from federation.protocol.bodies import read_labels
from federation.protocol.encoding import decode
from federation.protocol.limits import INTEGER_MAX
from federation.protocol.limits_content import ITEM_CHARACTERS_MAX
from federation.protocol.signals import SignalType

Mark: TypeAlias = tuple[SignalType, bytes]
"""A signal's type and value."""

PLAIN_BYTES_MAX: Final = 1_024
"""Longer bodies carry videos or many signals; there the strict reader's share is small."""

_SHORT_TEXT: Final = 0xA0
_EIGHT_BYTE_INTEGER_MIN: Final = 2**32

# One signal with a value of fixed length: its map, its keys in order, its value in shortest form.
_SIGNAL_LAYOUT: Final = (
    rb"(?:\x82|\x83\xa1q[\x00-\x64])\xa1t\xa3pdq\xa1v\xc4\x20.{32}"
    rb"|\x82\xa1t(?:\xa6sha256\xa1v\xc4\x20.{32}|\xa3md5\xa1v\xc4\x10.{16}"
    rb"|\xa4tlsh\xa1v\xc4\x23.{35})"
)
_SIGNAL: Final = re.compile(_SIGNAL_LAYOUT, re.DOTALL)
_BODY: Final = re.compile(
    rb"([\x84-\x88])\xa2by([\xa1-\xbf][a-z][a-z0-9-]*)"
    rb"(\xa3edu\xc3)?(?:\xa3exp\xcf(.{8}))?(\xa3inc\xc4\x20.{32})?"
    rb"\xa4item([\xa1-\xbf]|\xd9[\x20-\x80])([ -~]+)"
    rb"(?:\xa6labels([\x91-\x9f][ -~\xa1-\xbf]+))?"
    rb"\xa7signals([\x91-\x9f])((?:" + _SIGNAL_LAYOUT + rb")+)"
    rb"\xa3src([\xa1-\xbf][a-z][a-z0-9-]*)\Z",
    re.DOTALL,
)
_ALONE: Final = 0x91
_PDQ_AHEAD: Final = b"\xa3pdq\xa1v\xc4\x20"
_PDQ_SIGNAL_BYTES_MAX: Final = 46
_TYPES: Final = {
    b"\xa3pdq": (SignalType.PDQ, 32),
    b"\xa6sha": (SignalType.SHA256, 32),
    b"\xa3md5": (SignalType.MD5, 16),
    b"\xa4tls": (SignalType.TLSH, 35),
}


def read_plain_signals(body: bytes) -> tuple[Mark, ...] | None:
    """The signals of a version-1 confirm of the common layout, in the order published.

    Args:
        body: the encoded body of a confirm.

    Returns:
        None where only :func:`federation.protocol.bodies.check_body` can tell; never an answer that
        it would not give, and then with every signal known to this release.
    """
    found = _BODY.match(body) if len(body) <= PLAIN_BYTES_MAX else None
    if found is None:
        return None
    fields, by, edu, expiry, incident, item_head, item, labels, count, signals, src = found.groups()
    # Each text is as long as its own first byte says: no byte of it belongs to what follows.
    if by[0] - _SHORT_TEXT != len(by) - 1 or src[0] - _SHORT_TEXT != len(src) - 1:
        return None
    length = item_head[0] - _SHORT_TEXT if len(item_head) == 1 else item_head[1]
    if length != len(item) or length > ITEM_CHARACTERS_MAX:
        return None
    # Four fields are always there; the map says how many more are.
    optional = (edu is not None) + (expiry is not None) + (incident is not None)
    if labels is not None:
        optional += 1
        if not _are_labels(labels):
            return None
    if fields[0] != 0x84 + optional:
        return None
    if expiry is not None:
        expires_at_ms = int.from_bytes(expiry, "big")
        if not _EIGHT_BYTE_INTEGER_MIN <= expires_at_ms <= INTEGER_MAX:
            return None
    if (
        count[0] == _ALONE
        and len(signals) <= _PDQ_SIGNAL_BYTES_MAX
        and signals[-40:-32] == _PDQ_AHEAD
    ):
        return ((SignalType.PDQ, signals[-32:]),)
    return _read_signals(count[0] - _ALONE + 1, signals)


def _read_signals(count: int, joined: bytes) -> tuple[Mark, ...] | None:
    marks = []
    for found in _SIGNAL.finditer(joined):
        one = found.group()
        signal_type, length = _TYPES[one[one.index(b"\xa1t") + 2 :][:4]]
        marks.append((signal_type, one[-length:]))
    if len(marks) != count or len(set(marks)) != count:
        return None
    return tuple(marks)


@lru_cache(maxsize=4_096)
def _are_labels(encoded: bytes) -> bool:
    """Whether these bytes are a list of labels in its only form; a member uses few lists."""
    try:
        read_labels(decode(encoded, bytes_max=PLAIN_BYTES_MAX))
    except (BodyMalformed, EncodingMalformed):
        return False
    return True
