"""Signals at the local door: the text that people write, and what a publisher refuses.

What every node applies to what it heard is the grammar in ``signals``; here stands what this node
adds before it puts its name to a signal.

Source: docs/spec/signals.md; the PDQ paper for quality (Meta, 2019).
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from federation.local_errors.content import SignalDegenerate, SignalLowQuality, SignalMalformed
from federation.protocol.limits_content import PDQ_QUALITY_MIN
from federation.protocol.signals import VALUE_BYTES, Signal, SignalType, check_signal
from federation.protocol.signals_frames import decode_frames

_EMPTY_FILE: Final = {
    SignalType.SHA256: hashlib.sha256(b"").digest(),
    SignalType.MD5: hashlib.md5(b"", usedforsecurity=False).digest(),
}
_LOWER_HEX = re.compile(r"[0-9a-f]*\Z")


def parse_signal_type(name: str) -> SignalType:
    """The signal type of that name.

    Raises:
        SignalMalformed: a type this release does not know.
    """
    try:
        return SignalType(name)
    except ValueError:
        known = ", ".join(SignalType)
        raise SignalMalformed(f"a signal type is one of: {known}") from None


def parse_signal(text: str, quality: int | None = None) -> Signal:
    """Read ``type:hex``, the form people and the local API use; ``url:`` and the URL for a link.

    Args:
        text: for example ``sha256:`` and 64 lower-case hex digits.
        quality: PDQ quality where known.

    Raises:
        SignalMalformed: unknown type, upper-case or other non-hex digits, or a value that breaks
            its type's grammar; a URL that is not in its normal form.
    """
    name, colon, value = text.partition(":")
    if not colon:
        raise SignalMalformed("a signal is written type:hex, for example sha256:9f86…")
    signal_type = parse_signal_type(name)
    read = _read_url if signal_type is SignalType.URL else _read_hex
    signal = Signal(signal_type, read(signal_type, value), quality)
    check_signal(signal)
    return signal


def _read_url(_signal_type: SignalType, value: str) -> bytes:
    if not value.isascii():
        raise SignalMalformed("a normalised URL is ASCII")
    return value.encode("ascii")


def _read_hex(signal_type: SignalType, value: str) -> bytes:
    if not _LOWER_HEX.match(value):
        hint = "write the value in lower case" if _LOWER_HEX.match(value.lower()) else None
        if signal_type is SignalType.TLSH and value[:1] in {"T", "t"}:
            hint = "write a TLSH without its T1, in lower case"
        raise SignalMalformed(f"a {signal_type} value is lower-case hex", hint=hint)
    digits = 2 * VALUE_BYTES.get(signal_type, 0)
    if digits and len(value) != digits:
        raise SignalMalformed(f"a {signal_type} value has {digits} hex digits, not {len(value)}")
    if len(value) % 2:
        raise SignalMalformed(f"a {signal_type} value has two hex digits for each byte")
    return bytes.fromhex(value)


def format_value(signal: Signal) -> str:
    """The value as text: the URL of a url, lower-case hex of all others."""
    return signal.value.decode("ascii") if signal.type is SignalType.URL else signal.value.hex()


def format_signal(signal: Signal) -> str:
    """``type:value``; the inverse of :func:`parse_signal`. For answers, never for logs."""
    return f"{signal.type}:{format_value(signal)}"


def check_publishable(signal: Signal) -> None:
    """What a publisher refuses to sign, beyond the grammar.

    Raises:
        SignalMalformed: the grammar is broken.
        SignalDegenerate: all zero, all one, or the hash of the empty file.
        SignalLowQuality: a PDQ quality below ``PDQ_QUALITY_MIN``; a video with such a frame.
    """
    check_signal(signal)
    if signal.type is SignalType.VPDQ:
        _check_frames_publishable(signal.value)
        return
    if _is_uniform(signal.value):
        raise SignalDegenerate(f"this {signal.type} value has all bits alike; it marks nothing")
    if signal.value == _EMPTY_FILE.get(signal.type):
        raise SignalDegenerate(f"this is the {signal.type} of the empty file")
    if signal.quality is not None and signal.quality < PDQ_QUALITY_MIN:
        raise SignalLowQuality(
            f"PDQ quality {signal.quality} is below {PDQ_QUALITY_MIN}: too little detail"
        )


def _check_frames_publishable(value: bytes) -> None:
    for frame in decode_frames(value):
        if _is_uniform(frame.pdq):
            raise SignalDegenerate("a frame of this video has all bits alike; it marks nothing")
        if frame.quality < PDQ_QUALITY_MIN:
            raise SignalLowQuality(
                f"a frame of this video has a quality below {PDQ_QUALITY_MIN}",
                hint="leave such frames out: they would match any dark or flat one",
            )


def _is_uniform(value: bytes) -> bool:
    return value in (bytes(len(value)), b"\xff" * len(value))
