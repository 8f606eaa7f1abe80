"""The immutable part of a set of values: ascending rows, and the tables that find them.

It is nearly all of what a set takes (124 of 125 bytes a PDQ value), is never changed in place, and
refers to itself by row numbers only: so it can stand in a file as it stands in memory, and several
processes can map that one file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from federation.local_errors.disk import IndexFileInvalid
from federation.matching import row_kernels
from federation.matching.row_kernels import Offsets, Words
from federation.matching.sections import Sections, take_section

# Binary search takes over where the prefix table has narrowed the rows to about this many.
ROWS_PER_PREFIX = 16
PREFIX_BITS_MAX = 24


class TablesLike(Protocol):
    """What a subclass builds over the rows: arrays, by name."""

    @property
    def nbytes(self) -> int:
        """Their size."""

    def sections(self) -> Sections:
        """Them, by name."""


Tables = TypeVar("Tables", bound=TablesLike)


@dataclass(frozen=True, slots=True)
class SortedRows(Generic[Tables]):
    """Sorted rows, the prefix table that finds one of them, and the tables built over them."""

    rows: Words
    prefix_bits: int
    prefix_offsets: Offsets
    tables: Tables

    def sections(self) -> Sections:
        """All arrays, by name: what :func:`restore_sorted` makes the same rows of again."""
        return {
            "rows": self.rows,
            "prefix_offsets": self.prefix_offsets,
            **self.tables.sections(),
        }


def build_sorted(rows: Words, tabulate: Callable[[Words], Tables]) -> SortedRows[Tables]:
    """Build all tables over rows that are ascending and all different."""
    prefix_bits = _prefix_bits_for(len(rows))
    prefix_offsets = np.empty((1 << prefix_bits) + 1, dtype=np.uint32)
    row_kernels.fill_prefix_offsets(rows, prefix_bits, prefix_offsets)
    return SortedRows(rows, prefix_bits, prefix_offsets, tabulate(rows))


def restore_sorted(
    sections: Sections, words: int, restore: Callable[[Sections, int], Tables]
) -> SortedRows[Tables]:
    """Sorted rows from their arrays, which are used as they are.

    What kernels index by without looking is looked at here: a table that leads out of its bounds
    would end the process.

    Args:
        sections: as :meth:`SortedRows.sections` gave them.
        words: 64-bit words a value.
        restore: makes the tables of their sections, for so many rows.

    Raises:
        IndexFileInvalid: an array is missing, of another type or shape, or leads out of its bounds.
    """
    rows = take_section(sections, "rows", np.uint64, (None, words))
    prefix_bits = _prefix_bits_for(len(rows))
    prefixes = take_section(sections, "prefix_offsets", np.uint32, ((1 << prefix_bits) + 1,))
    check_offsets(prefixes, len(rows))
    return SortedRows(rows, prefix_bits, prefixes, restore(sections, len(rows)))


def check_offsets(offsets: Offsets, count: int) -> None:
    """Offsets begin at 0, never fall, and end at ``count``.

    Raises:
        IndexFileInvalid: they do not.
    """
    if offsets[0] != 0 or offsets[-1] != count or bool(np.any(offsets[1:] < offsets[:-1])):
        raise IndexFileInvalid("a table of the index leads out of its bounds")


def _prefix_bits_for(count: int) -> int:
    return min((count // ROWS_PER_PREFIX).bit_length(), PREFIX_BITS_MAX)
