"""Signals that match only themselves (SHA-256, MD5), in a set that is small in memory.

Sorted flat rows take the value's own 32 or 16 bytes and about half a byte beside, where a Python
set of ``bytes`` takes 110 or more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from federation.matching.found import NO_MATCHES, Found, Matches
from federation.matching.row_kernels import Words
from federation.matching.rows import pack_values
from federation.matching.sections import Sections
from federation.matching.sorted_rows import SortedRows, restore_sorted
from federation.matching.value_set import PROCESS_SEED, ValueSet


@dataclass(frozen=True, slots=True)
class NoTables:
    """Membership needs no tables but the set's own."""

    nbytes: int = 0

    def sections(self) -> Sections:
        """None."""
        return {}


def _no_tables(_rows: Words) -> NoTables:
    return NoTables()


class ExactIndex(ValueSet[NoTables]):
    """A set of values of one length. Adding, removing and rebuilding: see ``value_set``.

    Args:
        value_bytes: the length of every value, a multiple of 8.
        seed: as for ``ValueSet``.
    """

    def __init__(self, value_bytes: int, *, seed: int = PROCESS_SEED) -> None:
        super().__init__(value_bytes, _no_tables, seed=seed)

    def restore_sorted(self, sections: Sections) -> SortedRows[NoTables]:
        """See :func:`federation.matching.sorted_rows.restore_sorted`.

        Raises:
            IndexFileInvalid: see there.
        """
        return restore_sorted(sections, self._words, lambda _sections, _count: NoTables())

    def search(self, value: bytes) -> Matches:
        """The value itself at distance 0, if the set holds it.

        Raises:
            SignalMalformed: the value has another length.
        """
        return self.search_many((value,))[0]

    def search_many(self, values: Iterable[bytes]) -> list[Matches]:
        """One answer per value, in their order.

        Raises:
            SignalMalformed: a value has another length.
        """
        asked = list(values)
        living = self._living(pack_values(asked, self._value_bytes)).tolist()
        return [
            Matches((Found(value, 0),), 1) if held else NO_MATCHES
            for value, held in zip(asked, living, strict=True)
        ]
