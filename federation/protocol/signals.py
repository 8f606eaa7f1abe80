"""Signals: what content is recognised by, as ``(type, value)``.

Values are bytes on the wire and in statements. The publisher normalises before signing; a verifier
checks this frozen grammar and never normalises. Text for people, and what a publisher refuses to
put its name to, are in ``signals_local``.

Source: docs/spec/signals.md; the PDQ paper for quality and distance (Meta, 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

from federation.local_errors.content import SignalMalformed
from federation.protocol.limits_content import PDQ_BYTES
from federation.protocol.signals_frames import QUALITY_MAX, check_frames
from federation.protocol.signals_urls import check_url


class SignalType(StrEnum):
    """The signal types this release can match. Others are stored, relayed and inert."""

    PDQ = "pdq"
    SHA256 = "sha256"
    MD5 = "md5"
    VPDQ = "vpdq"
    URL = "url"
    TLSH = "tlsh"


VALUE_BYTES: Final = {
    SignalType.PDQ: PDQ_BYTES,
    SignalType.SHA256: 32,
    SignalType.MD5: 16,
    SignalType.TLSH: 35,
}
"""Lengths of the types whose values all have one; a vpdq and a url have a grammar instead."""

IDENTITY_BYTES: Final = 32
"""What a value without a fixed length is known by in indexes and answers: a SHA-256."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One recognisable mark of content.

    Attributes:
        type: the kind of mark.
        value: its bytes: 32 for pdq and sha256, 16 for md5, 35 for tlsh; packed frames for vpdq;
            the normalised URL in ASCII for url.
        quality: PDQ only, 0 to 100: how much detail the picture has; None where unknown, as in
            lists taken over from systems that do not keep it.
    """

    type: SignalType
    value: bytes
    quality: int | None = None

    def __repr__(self) -> str:
        """Without the value: signals must not reach logs or error texts."""
        return f"Signal({self.type}, …)"

    @property
    def identity(self) -> bytes:
        """What stands for the value where its length matters; see :func:`identity_of`."""
        return identity_of(self.type, self.value)


def identity_of(signal_type: SignalType, value: bytes) -> bytes:
    """The value itself where its type fixes the length, else the SHA-256 of type and value.

    A video's value has up to 55,500 bytes; indexes, caches and answers hold these 32 instead.
    """
    if signal_type in VALUE_BYTES:
        return value
    return sha256(signal_type.encode() + b"\0" + value).digest()


def check_signal(signal: Signal) -> None:
    """The grammar every node applies: form of the value, range of the quality.

    Raises:
        SignalMalformed: a value that breaks its type's grammar, or a quality where none belongs.
    """
    check_value(signal.type, signal.value)
    if signal.quality is not None:
        if signal.type is not SignalType.PDQ:
            raise SignalMalformed(f"a {signal.type} signal has no quality beside it")
        if not 0 <= signal.quality <= QUALITY_MAX:
            raise SignalMalformed(f"a PDQ quality is between 0 and {QUALITY_MAX}")


def check_value(signal_type: SignalType, value: bytes) -> None:
    """The grammar of a type's values.

    Raises:
        SignalMalformed: a value of the wrong length or form.
    """
    if signal_type is SignalType.VPDQ:
        check_frames(value)
    elif signal_type is SignalType.URL:
        check_url(value)
    elif len(value) != VALUE_BYTES[signal_type]:
        raise SignalMalformed(
            f"a {signal_type} value has {VALUE_BYTES[signal_type]} bytes, not {len(value)}"
        )
