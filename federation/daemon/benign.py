"""The platform's own reference set of harmless content, and what comes too near to it.

A benign picture may collide with a violating one by accident, and somebody may publish the signal
of a harmless picture on purpose. Whatever the platform holds up as harmless is looked at when a
signal arrives, before it can act here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from federation.daemon.changes import Mark
from federation.errors import FederationError
from federation.local_errors.config import ConfigInvalid, ConfigMissing
from federation.matching.index import SignalIndex
from federation.matching.pdq_view import PdqView
from federation.protocol.signals import Signal, SignalType, identity_of
from federation.protocol.signals_local import parse_signal

BENIGN_MAX: Final = 1_000_000
"""Signals in the set: about 130 MB of index."""

BENIGN_BYTES_MAX: Final = 256 * 1024 * 1024

FOUND_MAX: Final = 1_000
"""Known signals that one benign signal may hold back: a whole cluster of copies."""

ASKED_AT_ONCE: Final = 4_096
"""Benign signals looked up at a time: a few milliseconds, or a fifth of a second in a thread."""


class BenignSet:
    """Signals of harmless content; immutable once made.

    Args:
        signals: the content's.
    """

    def __init__(self, signals: Iterable[Signal] = ()) -> None:
        self._index = SignalIndex()
        by_type: dict[SignalType, list[bytes]] = {}
        for signal in signals:
            by_type.setdefault(signal.type, []).append(signal.value)
        for signal_type, values in by_type.items():
            self._index.add_many(signal_type, values)
        self._values = by_type
        self._index.rebuild()

    def __len__(self) -> int:
        return len(self._index)

    def hits(
        self, values: Iterable[tuple[SignalType, bytes]], distance_max: int
    ) -> list[tuple[SignalType, bytes]]:
        """Those of some signals that come too near to harmless content.

        Args:
            values: types and values.
            distance_max: of PDQ, in bits; all other types must be the same.
        """
        if not self._values:
            return []
        by_type: dict[SignalType, list[bytes]] = {}
        for signal_type, value in values:
            if signal_type in self._values:
                by_type.setdefault(signal_type, []).append(value)
        return [
            (signal_type, value)
            for signal_type, asked in by_type.items()
            for value, near in zip(asked, self._near(signal_type, asked, distance_max), strict=True)
            if near
        ]

    def _near(
        self, signal_type: SignalType, values: Sequence[bytes], distance_max: int
    ) -> list[bool]:
        if signal_type is not SignalType.PDQ:
            return [self._index.holds(signal_type, value) for value in values]
        found = self._index.search_many(signal_type, values, distance_max, matches_max=1)
        return [bool(len(near)) for near in found]

    async def near_known(self, known: SignalIndex, distance_max: int) -> set[Mark]:
        """The signals of an index that come too near: when the set is new and they are not.

        Args:
            known: the signals that match here; what comes to it meanwhile may be found or not.
            distance_max: of PDQ, in bits.
        """
        marks: set[Mark] = set()
        for signal_type, values in self._values.items():
            for at in range(0, len(values), ASKED_AT_ONCE):
                asked = values[at : at + ASKED_AT_ONCE]
                if signal_type is SignalType.PDQ:
                    pictures = known.view_of_pictures()
                    marks |= await asyncio.to_thread(_near, pictures, asked, distance_max)
                else:
                    marks |= {
                        (signal_type, identity_of(signal_type, value))
                        for value in asked
                        if known.holds(signal_type, value)
                    }
                    await asyncio.sleep(0)
        return marks


def _near(pictures: PdqView, asked: Sequence[bytes], distance_max: int) -> set[Mark]:
    found = pictures.search_many(asked, distance_max, matches_max=FOUND_MAX)
    return {(SignalType.PDQ, near.value) for nears in found for near in nears}


def read_benign_file(file: Path) -> list[Signal]:
    """The signals of a file: one ``type:value`` a line; empty lines and ``#`` lines say nothing.

    Raises:
        ConfigMissing: there is no such file.
        ConfigInvalid: it cannot be read, is too long, or a line is no signal; the message says
            which line.
    """
    try:
        if file.stat().st_size > BENIGN_BYTES_MAX:
            raise ConfigInvalid(f"{file} is over {BENIGN_BYTES_MAX} bytes")
        lines = file.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise ConfigMissing(
            f"there is no file {file} of benign signals", hint="see policy.benign_file in node.toml"
        ) from None
    except UnicodeDecodeError:
        raise ConfigInvalid(f"{file} is not UTF-8") from None
    except OSError as error:
        raise ConfigInvalid(f"cannot read {file}: {error.strerror}") from None
    signals = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            signals.append(parse_signal(text))
        except FederationError as error:
            raise ConfigInvalid(f"{file} line {number}: {error.message}") from None
        if len(signals) > BENIGN_MAX:
            raise ConfigInvalid(f"{file} has more than {BENIGN_MAX} signals")
    return signals
