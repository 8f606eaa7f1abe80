"""The inner loops of a set of values that changes: find, add, remove, merge.

Sorted rows keep each value as a row of unsigned 64-bit words, with a prefix table that says where
the rows with each leading ``prefix_bits`` begin. A delta keeps values as columns in the order they
came, and finds them through an open-addressing table of column numbers. In both, a
set bit in a ``dead`` bitmap stands for a value that was removed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from federation.matching.jit import kernel, prefetch

Words = NDArray[np.uint64]
Bitmap = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Slots = NDArray[np.int32]
Offsets = NDArray[np.uint32]

EMPTY_SLOT = -1
# Slots asked for so many values ahead: in a bulk load each is a cache miss.
SLOTS_AHEAD = 16


@kernel
def is_dead(dead: Bitmap, number: int) -> Any:
    """Whether a value was removed."""
    return (dead[number >> 3] >> (number & 7)) & 1 == 1


@kernel
def _flip(dead: Bitmap, number: int) -> None:
    dead[number >> 3] ^= np.uint8(1 << (number & 7))


@kernel
def _order(rows: Words, row: int, others: Words, other: int) -> Any:
    """Negative, zero or positive, as ``rows[row]`` comes before, is, or comes after the other."""
    for word in range(rows.shape[1]):
        if rows[row, word] != others[other, word]:
            return -1 if rows[row, word] < others[other, word] else 1
    return 0


@kernel
def _place_in_rows(
    wanted: Words, number: int, rows: Words, prefix_bits: int, prefix_offsets: Offsets
) -> Any:
    """Which row equals ``wanted[number]``, or -1."""
    prefix: Any = 0
    if prefix_bits > 0:
        prefix = np.int64(wanted[number, 0] >> np.uint64(64 - prefix_bits))
    low: Any = np.int64(prefix_offsets[prefix])
    high: Any = np.int64(prefix_offsets[prefix + 1])
    while low < high:
        middle = (low + high) >> 1
        order = _order(rows, middle, wanted, number)
        if order == 0:
            return middle
        if order < 0:
            low = middle + 1
        else:
            high = middle
    return -1


@kernel
def _first_slot(wanted: Words, number: int, slots: Slots, multipliers: Words) -> Any:
    """Where to begin to look for a value.

    Multilinear hashing over 32-bit halves (Lemire, Kaser, "Strongly universal string hashing is
    fast", 2014): with multipliers that nobody outside knows, nobody can choose values that
    crowd together in the table.
    """
    mixed = multipliers[0]
    for word in range(wanted.shape[1]):
        value = wanted[number, word]
        mixed += multipliers[1 + 2 * word] * (value & np.uint64(0xFFFFFFFF))
        mixed += multipliers[2 + 2 * word] * (value >> np.uint64(32))
    return np.int64(mixed >> np.uint64(32)) & (slots.size - 1)


@kernel
def _slot_of(wanted: Words, number: int, columns: Words, slots: Slots, multipliers: Words) -> Any:
    """The slot that holds ``wanted[number]``, or the empty one where it would go."""
    slot = _first_slot(wanted, number, slots, multipliers)
    while slots[slot] != EMPTY_SLOT:
        column = np.int64(slots[slot])
        word = 0
        while word < wanted.shape[1] and columns[word, column] == wanted[number, word]:
            word += 1
        if word == wanted.shape[1]:
            return slot
        slot = (slot + 1) & (slots.size - 1)
    return slot


@kernel
def fill_prefix_offsets(rows: Words, prefix_bits: int, prefix_offsets: Offsets) -> None:
    """Say where the rows with each leading ``prefix_bits`` begin; 2**prefix_bits + 1 entries."""
    prefix_offsets[:] = 0
    for row in range(rows.shape[0]):
        prefix: Any = 0
        if prefix_bits > 0:
            prefix = np.int64(rows[row, 0] >> np.uint64(64 - prefix_bits))
        prefix_offsets[prefix + 1] += np.uint32(1)
    for prefix in range(1, prefix_offsets.size):
        prefix_offsets[prefix] += prefix_offsets[prefix - 1]


@kernel
def fill_slots(columns: Words, column_count: int, slots: Slots, multipliers: Words) -> None:
    """Enter the first ``column_count`` columns, all different, into an empty table."""
    rows = columns.T
    for column in range(column_count):
        if column + SLOTS_AHEAD < column_count:
            prefetch(slots, _first_slot(rows, column + SLOTS_AHEAD, slots, multipliers))
        slot = _first_slot(rows, column, slots, multipliers)
        while slots[slot] != EMPTY_SLOT:
            slot = (slot + 1) & (slots.size - 1)
        slots[slot] = column


@kernel
def merge_rows(rows: Words, dead: Bitmap, fresh: Words, merged: Words) -> None:
    """Merge the living ``rows`` and the ``fresh`` ones, both ascending, into ``merged``."""
    row: Any = np.int64(0)  # not a literal 0, for which callees would be compiled apart
    new: Any = np.int64(0)
    place = 0
    while place < merged.shape[0]:
        if row < rows.shape[0] and is_dead(dead, row):
            row += 1
            continue
        from_fresh = row == rows.shape[0] or (
            new < fresh.shape[0] and _order(fresh, new, rows, row) < 0
        )
        for word in range(merged.shape[1]):
            merged[place, word] = fresh[new, word] if from_fresh else rows[row, word]
        place += 1
        if from_fresh:
            new += 1
        else:
            row += 1


@kernel
def set_settled(
    wanted: Words,
    alive: bool,  # noqa: FBT001  # kernels are called by position
    rows: Words,
    prefix_bits: int,
    prefix_offsets: Offsets,
    dead: Bitmap,
    frozen: Words,
    frozen_slots: Slots,
    frozen_dead: Bitmap,
    multipliers: Words,
    known: Flags,
    changed: Flags,
) -> Any:
    """Make those ``wanted`` values that the sorted rows or the frozen delta hold alive, or dead.

    Args:
        wanted: rows; the same one may stand there twice.
        alive: what they shall be.
        rows .. multipliers: the sorted rows and the frozen delta.
        known: written: whether one of the two holds the value, alive or dead.
        changed: written: whether it was the other way round before.

    Returns:
        How many changed in the sorted rows, and how many in the frozen delta.
    """
    rows_changed, frozen_changed = 0, 0
    for number in range(wanted.shape[0]):
        changed[number] = False
        row = _place_in_rows(wanted, number, rows, prefix_bits, prefix_offsets)
        known[number] = row >= 0
        if row >= 0:
            if is_dead(dead, row) == alive:
                _flip(dead, row)
                changed[number] = True
                rows_changed += 1
            continue
        column = frozen_slots[_slot_of(wanted, number, frozen, frozen_slots, multipliers)]
        known[number] = column != EMPTY_SLOT
        if column != EMPTY_SLOT and is_dead(frozen_dead, column) == alive:
            _flip(frozen_dead, column)
            changed[number] = True
            frozen_changed += 1
    return rows_changed, frozen_changed


@kernel
def set_active(
    wanted: Words,
    alive: bool,  # noqa: FBT001  # kernels are called by position
    known: Flags,
    columns: Words,
    column_count: int,
    slots: Slots,
    dead: Bitmap,
    multipliers: Words,
) -> Any:
    """Make those ``wanted`` values that nothing else holds alive in the active delta, or dead.

    Args:
        wanted: rows; the same one may stand there twice.
        alive: what they shall be. To be alive, a value is appended if need be; there is room.
        known: which of ``wanted`` to pass over: the sorted rows or the frozen delta hold them.
        columns .. multipliers: the active delta.

    Returns:
        How many columns the delta has now, and how many values changed.
    """
    changed = 0
    for number in range(wanted.shape[0]):
        if number + SLOTS_AHEAD < wanted.shape[0]:
            prefetch(slots, _first_slot(wanted, number + SLOTS_AHEAD, slots, multipliers))
        if known[number]:
            continue
        slot = _slot_of(wanted, number, columns, slots, multipliers)
        column = slots[slot]
        if column != EMPTY_SLOT:
            if is_dead(dead, column) == alive:
                _flip(dead, column)
                changed += 1
        elif alive:
            for word in range(wanted.shape[1]):
                columns[word, column_count] = wanted[number, word]
            slots[slot] = column_count
            column_count += 1
            changed += 1
    return column_count, changed


@kernel
def read_living(
    wanted: Words,
    rows: Words,
    prefix_bits: int,
    prefix_offsets: Offsets,
    dead: Bitmap,
    frozen: Words,
    frozen_slots: Slots,
    frozen_dead: Bitmap,
    active: Words,
    active_slots: Slots,
    active_dead: Bitmap,
    multipliers: Words,
    living: Flags,
) -> None:
    """Write, for each ``wanted`` value, whether the set holds it and it was not removed."""
    for number in range(wanted.shape[0]):
        row = _place_in_rows(wanted, number, rows, prefix_bits, prefix_offsets)
        if row >= 0:
            living[number] = not is_dead(dead, row)
            continue
        column = frozen_slots[_slot_of(wanted, number, frozen, frozen_slots, multipliers)]
        if column != EMPTY_SLOT:
            living[number] = not is_dead(frozen_dead, column)
            continue
        column = active_slots[_slot_of(wanted, number, active, active_slots, multipliers)]
        living[number] = column != EMPTY_SLOT and not is_dead(active_dead, column)
