"""The index of a node that others follow: every change of it is told to whoever listens.

Those who listen: the processes that answer beside this one, and whoever writes the index to disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum, auto
from typing import Any, Protocol

from federation.matching.index import RebuiltSignals, SignalIndex
from federation.matching.sections import Sections
from federation.matching.sorted_rows import SortedRows
from federation.protocol.signals import VALUE_BYTES, SignalType


class Change(Enum):
    """What happened to signals."""

    ADDED = auto()
    REMOVED = auto()


class IndexListener(Protocol):
    """Who is told."""

    def changed(self, change: Change, signal_type: SignalType, values: tuple[bytes, ...]) -> None:
        """Signals were added or removed."""

    def rearranged(self, signal_types: Iterable[SignalType]) -> None:
        """The immutable part of some types is another one now; the signals are the same."""


class LiveIndex(SignalIndex):
    """A :class:`SignalIndex` that tells what changes."""

    def __init__(self) -> None:
        super().__init__()
        self._listeners: list[IndexListener] = []

    def listen(self, listener: IndexListener) -> None:
        """Tell one more; from now on."""
        self._listeners.append(listener)

    def ignore(self, listener: IndexListener) -> None:
        """Tell it no more."""
        self._listeners.remove(listener)

    def add_many(self, signal_type: str, values: Iterable[bytes]) -> int:
        """See :meth:`SignalIndex.add_many`."""
        listed = tuple(values)
        added = super().add_many(signal_type, listed)
        if added:
            self._tell(Change.ADDED, signal_type, listed)
        return added

    def add_joined(self, signal_type: str, joined: bytes | bytearray | memoryview) -> int:
        """See :meth:`SignalIndex.add_joined`."""
        added = super().add_joined(signal_type, joined)
        whole, length = bytes(joined), VALUE_BYTES[SignalType(signal_type)]
        values = tuple(whole[at : at + length] for at in range(0, len(whole), length))
        self._tell(Change.ADDED, signal_type, values)
        return added

    def remove_many(self, signal_type: str, values: Iterable[bytes]) -> int:
        """See :meth:`SignalIndex.remove_many`."""
        listed = tuple(values)
        removed = super().remove_many(signal_type, listed)
        if removed:
            self._tell(Change.REMOVED, signal_type, listed)
        return removed

    def adopt(self, rebuilt: RebuiltSignals) -> bool:
        """See :meth:`SignalIndex.adopt`."""
        is_taken = super().adopt(rebuilt)
        if is_taken:
            self._rearranged([rebuilt.signal_type])
        return is_taken

    def install(self, settled: Mapping[SignalType, SortedRows[Any]], changes: Sections) -> None:
        """See :meth:`SignalIndex.install`."""
        super().install(settled, changes)
        self._rearranged(list(settled))

    def _tell(self, change: Change, signal_type: str, values: tuple[bytes, ...]) -> None:
        for listener in tuple(self._listeners):
            listener.changed(change, SignalType(signal_type), values)

    def _rearranged(self, signal_types: Iterable[SignalType]) -> None:
        for listener in tuple(self._listeners):
            listener.rearranged(signal_types)
