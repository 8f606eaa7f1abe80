"""A set of fixed-length values that changes at any time and is rebuilt without a pause.

Three layers, of which at most one holds a value:

- the **sorted rows**: immutable, with whatever tables a subclass builds over them;
- the **frozen delta**: what was added before the rebuild that is under way (else empty);
- the **active delta**: what was added since.

To remove a value is to set its bit in the layer's bitmap of the dead; to add it again is to clear
the bit. A rebuild merges rows and frozen delta, leaving out the dead, into new sorted rows::

    if index.needs_rebuild():
        job = index.prepare_rebuild()  # instant; the active delta is frozen, a new one begun
        rebuilt = job.run()  # seconds at ten million; in any thread
        index.adopt(rebuilt)  # instant; replays what died or came back meanwhile

``run`` touches nothing that changes, so it may run in another thread while the owner goes on
adding, removing and searching. All else belongs to one thread; only searches may overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Generic, Self

import numpy as np

from federation.matching import row_kernels
from federation.matching.row_kernels import Bitmap, Flags, Slots, Words
from federation.matching.rows import (
    WORD_BYTES,
    empty_rows,
    pack_in_batches,
    pack_values,
    sort_rows,
    unjoin_rows,
)
from federation.matching.sections import Sections, take_section
from federation.matching.sorted_rows import SortedRows, Tables, build_sorted

# A delta is scanned in full by every PDQ search, about 0.2 ns a value: let it grow to what costs
# a fraction of a search in the tables, but not so little that rebuilds follow each other.
DELTA_MIN = 8_192
DELTA_SHARE = 128
# The dead cost memory only.
DEAD_SHARE = 8

DELTA_CAPACITY_MIN = 64
# Slots per column: a third to two thirds of the slots are taken, so chains stay short.
SLOTS_PER_COLUMN = 2

# Python draws the seed of its string hashing anew in each process, from the system.
PROCESS_SEED = hash("federation.matching.value_set") & (2**64 - 1)


@dataclass(slots=True)
class Delta:
    """Values in the order they came, as columns; ``slots`` finds one of them."""

    columns: Words
    slots: Slots
    dead: Bitmap
    count: int = 0

    @property
    def capacity(self) -> int:
        """How many values there is room for."""
        return int(self.columns.shape[1])

    @property
    def nbytes(self) -> int:
        """Its size in memory, unused room included."""
        return self.columns.nbytes + self.slots.nbytes + self.dead.nbytes

    def living_rows(self) -> Words:
        """A copy of the values that were not removed, as rows."""
        return np.ascontiguousarray(
            self.columns[:, : self.count].T[~_unpack(self.dead, self.count)]
        )


@dataclass(frozen=True, slots=True)
class Rebuilt(Generic[Tables]):
    """What ``RebuildJob.run`` made; for ``adopt``.

    The old rows are freed when the last reference to it goes. At ten million values that takes
    milliseconds; ``retired`` keeps it alive until this object goes, in whatever thread.
    """

    generation: int
    sorted_rows: SortedRows[Tables]
    retired: SortedRows[Tables]

    def moved_to(self, sorted_rows: SortedRows[Tables]) -> Self:
        """The same result in other memory: in a file that several processes map."""
        return replace(self, sorted_rows=sorted_rows)


@dataclass(frozen=True, slots=True)
class RebuildJob(Generic[Tables]):
    """Everything a rebuild needs, none of which changes; ``run`` may be called in any thread."""

    generation: int
    source: SortedRows[Tables]
    dead: Bitmap
    frozen: Delta
    tabulate: Callable[[Words], Tables] = field(repr=False)

    def run(self) -> Rebuilt[Tables]:
        """Merge and build the tables: about 0.4 s per million PDQ values on one core."""
        fresh = sort_rows(self.frozen.living_rows())
        rows = self.source.rows
        died = int(_unpack(self.dead, len(rows)).sum())
        merged = empty_rows(len(rows) - died + len(fresh), rows.shape[1])
        row_kernels.merge_rows(rows, self.dead, fresh, merged)
        return Rebuilt(
            generation=self.generation,
            sorted_rows=build_sorted(merged, self.tabulate),
            retired=self.source,
        )


class ValueSet(Generic[Tables]):
    """A set of byte strings of one length.

    Args:
        value_bytes: the length of every value, a multiple of 8.
        tabulate: builds from sorted rows what the subclass searches with; pure.
        seed: of the hashing inside the deltas; unknown to those who choose the values.

    Raises:
        ValueError: another length; the program's own mistake, as no foreign bytes come here.
    """

    def __init__(
        self, value_bytes: int, tabulate: Callable[[Words], Tables], *, seed: int = PROCESS_SEED
    ) -> None:
        self._value_bytes = value_bytes
        words, rest = divmod(value_bytes, WORD_BYTES)
        if rest or words < 1:
            raise ValueError("values are of whole 8-byte words")
        self._words = words
        self._tabulate = tabulate
        self._multipliers = multipliers_of(seed, 1 + 2 * words)
        self._sorted = build_sorted(empty_rows(0, words), tabulate)
        self._dead = _bitmap(0)
        self._dead_count = 0
        self._frozen = self._make_delta(0)
        self._active = self._make_delta(0)
        self._living_count = 0
        self._generation = 0
        # Values of sorted rows or frozen delta that died or came back during a rebuild; else None.
        self._changed_since: list[Words] | None = None

    def __len__(self) -> int:
        return self._living_count

    def __contains__(self, value: bytes) -> bool:
        """Whether the set holds ``value``.

        Raises:
            SignalMalformed: it has another length than the set's values.
        """
        return bool(self._living(self._arrange(pack_values((value,), self._value_bytes)))[0])

    def add(self, values: Iterable[bytes]) -> int:
        """Add values; they count from now on. Returns how many were not there already.

        Raises:
            SignalMalformed: a value has another length; batches of 65,536 before it were added.
        """
        batches = pack_in_batches(values, self._value_bytes)
        return sum(self._add_rows(self._arrange(rows)) for rows in batches)

    def add_joined(self, joined: bytes | bytearray | memoryview) -> int:
        """Add values that stand one after the other in one buffer, as from a file or database.

        Raises:
            SignalMalformed: the buffer ends within a value; nothing was added.
        """
        return self._add_rows(self._arrange(unjoin_rows(joined, self._value_bytes)))

    def remove(self, values: Iterable[bytes]) -> int:
        """Remove values; they stop counting now. Returns how many were there.

        Raises:
            SignalMalformed: a value has another length; batches of 65,536 before it were removed.
        """
        batches = pack_in_batches(values, self._value_bytes)
        return sum(self._remove_rows(self._arrange(rows)) for rows in batches)

    def memory_bytes(self) -> int:
        """How much memory rows, tables and deltas take; a rebuild under way takes as much again."""
        settled = self._sorted
        return (
            settled.rows.nbytes
            + settled.prefix_offsets.nbytes
            + settled.tables.nbytes
            + self._dead.nbytes
            + self._frozen.nbytes
            + self._active.nbytes
        )

    # --- rebuilding -----------------------------------------------------------------------------

    def needs_rebuild(self) -> bool:
        """Whether so much was added or removed that searches or memory suffer."""
        size = len(self._sorted.rows)
        return self._active.count > max(DELTA_MIN, size // DELTA_SHARE) or (
            self._dead_count > max(DELTA_MIN, size // DEAD_SHARE)
        )

    def prepare_rebuild(self) -> RebuildJob[Tables]:
        """Freeze the active delta and hand out the work of merging it.

        An earlier job that was never adopted (its thread died, say) is superseded: its share of
        the work is in this one, and ``adopt`` will refuse its result.
        """
        if self._frozen.count:
            waiting = np.concatenate([self._frozen.living_rows(), self._active.living_rows()])
            self._frozen, self._active = self._delta_of(waiting), self._make_delta(0)
        else:
            self._frozen, self._active = self._active, self._make_delta(0)
        self._generation += 1
        self._changed_since = []
        frozen = self._frozen
        return RebuildJob(
            generation=self._generation,
            source=self._sorted,
            dead=self._dead.copy(),
            frozen=Delta(frozen.columns, frozen.slots, frozen.dead.copy(), frozen.count),
            tabulate=self._tabulate,
        )

    def adopt(self, rebuilt: Rebuilt[Tables]) -> bool:
        """Put new rows in place of old ones and frozen delta; no change made meanwhile is lost.

        Returns:
            False when a later job superseded this one, or it was adopted before; nothing changed.
        """
        if rebuilt.generation != self._generation or self._changed_since is None:
            return False
        none = empty_rows(0, self._words)
        changed = np.concatenate([none, *self._changed_since])
        living = self._living(changed)
        self._sorted = rebuilt.sorted_rows
        self._dead = _bitmap(len(rebuilt.sorted_rows.rows))
        self._dead_count = 0
        self._frozen = self._make_delta(0)
        self._changed_since = None
        count = self._living_count
        self._remove_rows(changed[~living])
        self._add_rows(changed[living])
        self._living_count = count  # The replay moved values between layers; it changed no one.
        return True

    def rebuild(self) -> None:
        """Rebuild here and now, for a caller who may wait: at start, after a bulk load."""
        self.adopt(self.prepare_rebuild().run())

    # --- a copy elsewhere: on disk, in another process ------------------------------------------

    @property
    def settled(self) -> SortedRows[Tables]:
        """The sorted rows as they are now: immutable, and nearly all of what the set takes."""
        return self._sorted

    def changes(self) -> Sections:
        """What distinguishes the set from its sorted rows, for :meth:`install`.

        Returns:
            ``dead``: the bitmap of the sorted rows that were removed; ``fresh``: the values that
            stand in no sorted row, in the order of bits the set keeps. Both are copies.
        """
        fresh = np.concatenate([self._frozen.living_rows(), self._active.living_rows()])
        return {"dead": self._dead.copy(), "fresh": fresh}

    def install(self, settled: SortedRows[Tables], changes: Sections) -> None:
        """Become the set that some sorted rows and ``changes`` describe; a rebuild is superseded.

        Raises:
            IndexFileInvalid: the changes are not of these rows.
        """
        dead = take_section(changes, "dead", np.uint8, ((len(settled.rows) >> 3) + 1,))
        fresh = take_section(changes, "fresh", np.uint64, (None, self._words))
        self._sorted = settled
        self._dead = dead.copy()
        self._dead_count = int(_unpack(dead, len(settled.rows)).sum())
        self._living_count = len(settled.rows) - self._dead_count
        self._frozen, self._active = self._make_delta(0), self._make_delta(len(fresh))
        self._generation += 1
        self._changed_since = None
        self._add_rows(fresh)

    # --- rows -----------------------------------------------------------------------------------

    def _arrange(self, rows: Words) -> Words:
        """Put freshly packed rows into the order of bits the set keeps; here, as they are."""
        return rows

    def _add_rows(self, rows: Words) -> int:
        known, revived = self._set_settled(rows, alive=True)
        self._reserve(int(len(rows) - np.count_nonzero(known)))
        changed = revived + self._set_active(rows, known, alive=True)
        self._living_count += changed
        return changed

    def _remove_rows(self, rows: Words) -> int:
        known, died = self._set_settled(rows, alive=False)
        changed = died + self._set_active(rows, known, alive=False)
        self._living_count -= changed
        return changed

    def _set_settled(self, rows: Words, *, alive: bool) -> tuple[Flags, int]:
        settled, frozen = self._sorted, self._frozen
        known, changed = np.empty(len(rows), np.bool_), np.empty(len(rows), np.bool_)
        in_rows, in_frozen = row_kernels.set_settled(
            rows, alive, settled.rows, settled.prefix_bits, settled.prefix_offsets, self._dead,
            frozen.columns, frozen.slots, frozen.dead, self._multipliers, known, changed,
        )  # fmt: skip
        self._dead_count += -in_rows if alive else in_rows
        if self._changed_since is not None and in_rows + in_frozen:
            self._changed_since.append(rows[changed])
        return known, in_rows + in_frozen

    def _set_active(self, rows: Words, known: Flags, *, alive: bool) -> int:
        active = self._active
        active.count, changed = row_kernels.set_active(
            rows, alive, known, active.columns, active.count, active.slots, active.dead,
            self._multipliers,
        )  # fmt: skip
        return int(changed)

    def _living(self, rows: Words) -> Flags:
        settled, frozen, active = self._sorted, self._frozen, self._active
        living = np.empty(len(rows), np.bool_)
        row_kernels.read_living(
            rows, settled.rows, settled.prefix_bits, settled.prefix_offsets, self._dead,
            frozen.columns, frozen.slots, frozen.dead,
            active.columns, active.slots, active.dead, self._multipliers, living,
        )  # fmt: skip
        return living

    # --- deltas ---------------------------------------------------------------------------------

    def _make_delta(self, capacity: int) -> Delta:
        """An empty delta; its capacity is a power of two."""
        capacity = max(DELTA_CAPACITY_MIN, 1 << max(capacity - 1, 0).bit_length())
        return Delta(
            columns=np.empty((self._words, capacity), dtype=np.uint64),
            slots=np.full(capacity * SLOTS_PER_COLUMN, row_kernels.EMPTY_SLOT, dtype=np.int32),
            dead=_bitmap(capacity),
        )

    def _delta_of(self, rows: Words) -> Delta:
        """A delta of rows that are all different."""
        delta = self._make_delta(len(rows))
        delta.columns[:, : len(rows)] = rows.T
        delta.count = len(rows)
        row_kernels.fill_slots(delta.columns, delta.count, delta.slots, self._multipliers)
        return delta

    def _reserve(self, more: int) -> None:
        """Make sure that so many more values fit into the active delta."""
        old = self._active
        if old.count + more <= old.capacity:
            return
        new = self._make_delta(old.count + more)
        new.columns[:, : old.count] = old.columns[:, : old.count]
        new.dead[: len(old.dead)] = old.dead
        new.count = old.count
        row_kernels.fill_slots(new.columns, new.count, new.slots, self._multipliers)
        self._active = new


def _bitmap(count: int) -> Bitmap:
    return np.zeros((count >> 3) + 1, dtype=np.uint8)


def _unpack(bitmap: Bitmap, count: int) -> Flags:
    return np.unpackbits(bitmap, count=count, bitorder="little").astype(np.bool_)


def multipliers_of(seed: int, count: int) -> Words:
    """Draw ``count`` 64-bit numbers from a seed (splitmix64)."""
    mask = 2**64 - 1
    drawn = []
    for step in range(1, count + 1):
        mixed = (seed + step * 0x9E3779B97F4A7C15) & mask
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & mask
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask
        drawn.append(mixed ^ (mixed >> 31))
    return np.array(drawn, dtype=np.uint64)
