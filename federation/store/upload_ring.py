"""Signals of what was uploaded lately, in one file of fixed size: the newest overwrites the oldest.

A row for each signal, in columns, so that a search reads only what it compares::

    header    4,096 bytes   magic, version, capacity, rows ever written, whether it was closed
    values    32 each       PDQ, SHA-256, MD5 padded, a link's identity, PDQ of a video's frame
    references 16 each      the platform's own name for the upload
    seconds   4 each        when it was asked about, POSIX
    marks     1 each        type, form of the reference, whether it was told; 0 is an empty row

53 bytes a row. The file is mapped: what was written survives a crash of the process at once, and of
the machine from the next :meth:`UploadRing.flush` on. A torn row is one whose mark is still 0. What
is erased is overwritten with zeros in its place.

This is no table, because a table with an index by reference takes twice the room and is no quicker:
a reference is found by looking through 16 MB, which takes milliseconds.
"""

from __future__ import annotations

import mmap
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Final, Self
from uuid import UUID

from federation.errors import RequestMalformed
from federation.local_errors.disk import StoreFull, StoreUnavailable
from federation.protocol.limits_content import PDQ_QUALITY_MIN
from federation.protocol.signals import Signal, SignalType
from federation.protocol.signals_frames import decode_frames

REFERENCE_BYTES: Final = 16
VALUE_BYTES: Final = 32
ROW_BYTES: Final = VALUE_BYTES + REFERENCE_BYTES + 4 + 1
HEADER_BYTES: Final = 4_096

MAGIC: Final = b"HFUPLD01"
_HEADER: Final = struct.Struct("<8sQQB")
_TOLD: Final = 0x80
_FORM_SHIFT: Final = 4
_USED: Final = re.compile(rb"[^\0]")
_TYPE_MASK: Final = 0x0F

REMEMBERED_TYPES: Final = {
    SignalType.PDQ: 1,
    SignalType.SHA256: 2,
    SignalType.MD5: 3,
    SignalType.URL: 4,
    SignalType.VPDQ: 5,
}
"""The types that are remembered, and how a row says so; of a video each frame is a row."""

FRAMES_MAX: Final = 64
"""Frames that are remembered of one video, spread over it: 3.4 kB, and the share of them that a
known video has is within a few percent of the share of all."""

_TYPES: Final = {code: kind for kind, code in REMEMBERED_TYPES.items()}
LENGTHS: Final = {SignalType.MD5: 16}
"""What is remembered of a type where it is not 32 bytes."""


class _Form(IntEnum):
    """How a reference was written."""

    TEXT = 0
    UUID = 1
    HEX = 2


@dataclass(frozen=True, slots=True)
class Remembered:
    """One remembered signal.

    Attributes:
        slot: its row.
        reference: the platform's own name for the upload.
        signal_type: of the signal.
        value: its value; of a link, its identity.
        at_seconds: when it was asked about, POSIX.
        is_told: whether a match with it was told.
    """

    slot: int
    reference: str = field(repr=False)
    signal_type: SignalType
    value: bytes = field(repr=False)
    at_seconds: int
    is_told: bool


def encode_reference(reference: str) -> tuple[bytes, int]:
    """A reference as 16 bytes, and how it was written.

    Raises:
        RequestMalformed: not 1 to 16 printable ASCII characters, nor a UUID, nor 32 hex digits.
    """
    if reference.isascii() and reference.isprintable() and 1 <= len(reference) <= REFERENCE_BYTES:
        return reference.encode("ascii").ljust(REFERENCE_BYTES, b"\0"), _Form.TEXT
    try:
        read = UUID(reference)
    except ValueError:
        read = None
    if read is not None and reference == str(read):
        return read.bytes, _Form.UUID
    if read is not None and reference == read.hex:
        return read.bytes, _Form.HEX
    raise RequestMalformed(
        f"an upload's reference is 1 to {REFERENCE_BYTES} printable ASCII characters, a UUID, or "
        "32 lower-case hex digits"
    )


def _decode_reference(raw: bytes, form: int) -> str:
    if form == _Form.TEXT:
        return raw.rstrip(b"\0").decode("ascii")
    read = UUID(bytes=raw)
    return str(read) if form == _Form.UUID else read.hex


class UploadRing:
    """An open ring; made by :meth:`open`.

    Attributes:
        was_closed: whether the process before this one ended in good order.
    """

    def __init__(self, mapped: mmap.mmap, capacity: int, written: int, *, was_closed: bool) -> None:
        self.was_closed = was_closed
        self._mapped = mapped
        self._view = memoryview(mapped)
        self._capacity, self._written = capacity, written
        self._empty_before = 0  # of the rows ever written, those up to this one are empty
        self._references = HEADER_BYTES + capacity * VALUE_BYTES
        self._seconds = self._references + capacity * REFERENCE_BYTES
        self._marks = self._seconds + capacity * 4

    @classmethod
    def open(cls, path: Path, capacity: int) -> Self:
        """Open a ring, or make one; readable by its owner only.

        One of another capacity is carried over, as far as there is room, newest last.

        Args:
            path: the file.
            capacity: rows.

        Raises:
            StoreFull, StoreUnavailable: the disk.
        """
        try:
            existing = _map(path) if path.exists() and path.stat().st_size else None
            held = _read_header(existing) if existing is not None else None
            if existing is not None and held is not None and held[0] == capacity:
                ring = cls(existing, capacity, held[1], was_closed=held[2])
                ring._write_header(closed=False)
                return ring
            fresh = path.with_name(path.name + ".new")
            _make(fresh, HEADER_BYTES + capacity * ROW_BYTES)
            ring = cls(_map(fresh), capacity, 0, was_closed=True)
            if existing is not None and held is not None:
                ring._carry_over(cls(existing, held[0], held[1], was_closed=held[2]))
            ring._write_header(closed=False)
            ring.flush()
            fresh.replace(path)
        except OSError as error:
            raise StoreUnavailable(f"cannot open {path}: {error.strerror}") from None
        return ring

    def __len__(self) -> int:
        return sum(1 for _ in self._used())

    @property
    def capacity(self) -> int:
        """How many rows there are."""
        return self._capacity

    @property
    def written(self) -> int:
        """How many rows were ever written: what is beyond an earlier number came since."""
        return self._written

    def append(self, reference: str, signals: tuple[Signal, ...], at_seconds: int) -> None:
        """Remember the signals of an upload; those of types that are not remembered are left out.

        Raises:
            RequestMalformed: not a reference.
        """
        raw, form = encode_reference(reference)
        for signal in signals:
            code = REMEMBERED_TYPES.get(signal.type)
            if code is not None:
                for value in _values_of(signal):
                    self._append_row(value, raw, at_seconds, code | form << _FORM_SHIFT)
        self._write_header(closed=False)

    def read(self, slot: int) -> Remembered | None:
        """One row; None where it is empty."""
        mark = self._view[self._marks + slot]
        if not mark:
            return None
        signal_type = _TYPES[mark & _TYPE_MASK]
        at = HEADER_BYTES + slot * VALUE_BYTES
        value = bytes(self._view[at : at + VALUE_BYTES])
        at = self._references + slot * REFERENCE_BYTES
        reference = bytes(self._view[at : at + REFERENCE_BYTES])
        (seconds,) = struct.unpack_from("<I", self._mapped, self._seconds + slot * 4)
        return Remembered(
            slot,
            _decode_reference(reference, (mark & ~_TOLD) >> _FORM_SHIFT),
            signal_type,
            value[: LENGTHS.get(signal_type, VALUE_BYTES)],
            seconds,
            is_told=bool(mark & _TOLD),
        )

    def slots_since(self, written: int) -> list[range]:
        """The rows written since so many had been, as one range or two."""
        first = max(written, self._written - self._capacity)
        if first >= self._written:
            return []
        begin, end = first % self._capacity, self._written % self._capacity
        if begin < end:
            return [range(begin, end)]
        return [range(begin, self._capacity), range(end)]

    def columns(self) -> tuple[memoryview, memoryview, int]:
        """What a search reads: views of the mapped file, which may change under them.

        Returns:
            Values, 32 bytes a row; marks, a byte a row; how many rows are in use from the first on.
        """
        values = self._view[HEADER_BYTES : self._references]
        marks = self._view[self._marks : self._marks + self._capacity]
        return values, marks, min(self._written, self._capacity)

    def mark_told(self, slot: int) -> None:
        """A match with this row was told."""
        if self._view[self._marks + slot]:
            self._view[self._marks + slot] |= _TOLD

    def erase(self, reference: str) -> int:
        """Overwrite everything remembered under a reference; returns how many signals that was.

        Raises:
            RequestMalformed: not a reference.
        """
        slots = self._slots_of(reference)
        for slot in slots:
            self._blank(slot)
        if slots:
            self.flush()
        return len(slots)

    def of_reference(self, reference: str, signal_type: SignalType) -> list[Remembered]:
        """What is remembered of one type under a reference, in the order of rows.

        Raises:
            RequestMalformed: not a reference.
        """
        rows = (self.read(slot) for slot in self._slots_of(reference))
        return [row for row in rows if row is not None and row.signal_type is signal_type]

    def erase_before(self, at_seconds: int) -> int:
        """Overwrite what was remembered before a time; returns how many signals that was."""
        erased = 0
        while (slot := self._oldest_slot()) is not None:
            if self._seconds_of(slot) >= at_seconds:
                break  # rows come in the order of time
            self._blank(slot)
            erased += 1
        if erased:
            self.flush()
        return erased

    def oldest_seconds(self) -> int | None:
        """When the oldest remembered signal was asked about; None where nothing is remembered."""
        slot = self._oldest_slot()
        return None if slot is None else self._seconds_of(slot)

    def _oldest_slot(self) -> int | None:
        """The oldest row that is not empty; where it was found, the next search begins."""
        for slots in self.slots_since(self._empty_before):
            found = _USED.search(self._mapped, self._marks + slots.start, self._marks + slots.stop)
            if found is not None:
                slot = found.start() - self._marks
                age = (self._written - 1 - slot) % self._capacity
                self._empty_before = self._written - 1 - age
                return slot
        self._empty_before = self._written
        return None

    def _seconds_of(self, slot: int) -> int:
        return int(struct.unpack_from("<I", self._mapped, self._seconds + slot * 4)[0])

    def flush(self) -> None:
        """Have the system write what was remembered to the disk.

        Raises:
            StoreFull, StoreUnavailable: it cannot.
        """
        try:
            self._mapped.flush()
        except OSError as error:
            raise StoreUnavailable(f"cannot keep remembered uploads: {error.strerror}") from None

    def close(self) -> None:
        """Flush, and say that this process ended in good order."""
        self._write_header(closed=True)
        self.flush()

    def _slots_of(self, reference: str) -> list[int]:
        raw, form = encode_reference(reference)
        slots = []
        at = self._mapped.find(raw, self._references, self._seconds)
        while at >= 0:
            slot, within = divmod(at - self._references, REFERENCE_BYTES)
            mark = self._view[self._marks + slot]
            if not within and mark and (mark & ~_TOLD) >> _FORM_SHIFT == form:
                slots.append(slot)
            at = self._mapped.find(raw, at + (1 if within else REFERENCE_BYTES), self._seconds)
        return slots

    def _used(self) -> Iterator[int]:
        """Rows that are not empty, oldest first."""
        for slots in self.slots_since(0):
            for slot in slots:
                if self._view[self._marks + slot]:
                    yield slot

    def _append_row(self, value: bytes, reference: bytes, at_seconds: int, mark: int) -> None:
        slot = self._written % self._capacity
        self._view[self._marks + slot] = 0
        at = HEADER_BYTES + slot * VALUE_BYTES
        self._view[at : at + VALUE_BYTES] = value
        at = self._references + slot * REFERENCE_BYTES
        self._view[at : at + REFERENCE_BYTES] = reference
        struct.pack_into("<I", self._mapped, self._seconds + slot * 4, at_seconds)
        self._view[self._marks + slot] = mark
        self._written += 1

    def _blank(self, slot: int) -> None:
        self._view[self._marks + slot] = 0
        at = HEADER_BYTES + slot * VALUE_BYTES
        self._view[at : at + VALUE_BYTES] = bytes(VALUE_BYTES)
        at = self._references + slot * REFERENCE_BYTES
        self._view[at : at + REFERENCE_BYTES] = bytes(REFERENCE_BYTES)

    def _carry_over(self, earlier: UploadRing) -> None:
        used = list(earlier._used())
        for slot in used[-self._capacity :]:
            view, mark = earlier._view, earlier._view[earlier._marks + slot]
            value = bytes(view[HEADER_BYTES + slot * VALUE_BYTES :][:VALUE_BYTES])
            reference = bytes(
                view[earlier._references + slot * REFERENCE_BYTES :][:REFERENCE_BYTES]
            )
            row = earlier.read(slot)
            if row is not None:
                self._append_row(value, reference, row.at_seconds, mark)

    def _write_header(self, *, closed: bool) -> None:
        _HEADER.pack_into(self._mapped, 0, MAGIC, self._capacity, self._written, closed)


def _values_of(signal: Signal) -> list[bytes]:
    """What rows hold of a signal: 32 bytes each."""
    if signal.type is not SignalType.VPDQ:
        return [signal.identity.ljust(VALUE_BYTES, b"\0")]
    good = [each.pdq for each in decode_frames(signal.value) if each.quality >= PDQ_QUALITY_MIN]
    count = min(len(good), FRAMES_MAX)
    return [good[at * len(good) // count] for at in range(count)]


def _make(path: Path, length: int) -> None:
    """A file of that length, its room taken from the disk now rather than when it is written to.

    Raises:
        StoreFull: there is no room.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, length)
    except OSError:
        path.unlink(missing_ok=True)
        raise StoreFull(f"there is no room for {length} bytes of remembered uploads") from None
    finally:
        os.close(descriptor)


def _map(path: Path) -> mmap.mmap:
    descriptor = os.open(path, os.O_RDWR)
    try:
        return mmap.mmap(descriptor, 0)
    finally:
        os.close(descriptor)


def _read_header(mapped: mmap.mmap) -> tuple[int, int, bool] | None:
    """Capacity, rows written, whether it was closed; None where it is no ring."""
    if len(mapped) < HEADER_BYTES:
        return None
    magic, capacity, written, closed = _HEADER.unpack_from(mapped, 0)
    if magic != MAGIC or len(mapped) != HEADER_BYTES + capacity * ROW_BYTES:
        return None
    return capacity, written, bool(closed)
