"""How a process beside the node follows its index: frames over a socket, in order.

    length u32, kind u8, payload

    installed   JSON (files, the arrays' description and lengths) and arrays: what some types are
    added       a signal type and values
    removed     the same
    told        JSON of what else a follower has to know; the first frame, and no other

The node writes, the follower reads. What a follower needs most, the sorted rows, it maps from the
files that the node wrote; the frame says only which. A follower that cannot keep up is cut off.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from typing import Any, Final

from federation.daemon.index_keeper import IndexKeeper
from federation.daemon.live_index import Change, LiveIndex
from federation.local_errors.disk import IndexFileInvalid
from federation.matching.index import SignalIndex
from federation.matching.sections import describe_sections, read_sections
from federation.protocol.signals import SignalType
from federation.store.index_files import IndexFiles

BEHIND_BYTES_MAX: Final = 256 * 1024 * 1024
"""What may wait for a follower: the postings of ten million frames at its start, or minutes of the
fastest import."""

_HEAD: Final = struct.Struct("<IB")
_LENGTH: Final = struct.Struct("<I")


class Frame(IntEnum):
    """What a frame says."""

    INSTALLED = 1
    ADDED = 2
    REMOVED = 3
    TOLD = 4


_OF_CHANGE: Final = {Change.ADDED: Frame.ADDED, Change.REMOVED: Frame.REMOVED}


def told_frame(about: Any) -> bytes:
    """A frame that says something that is not about the index; JSON values."""
    payload = json.dumps(about).encode("utf-8")
    return _HEAD.pack(len(payload), Frame.TOLD) + payload


async def read_frame(reader: asyncio.StreamReader) -> tuple[Frame, memoryview] | None:
    """The next frame; None where the other side has closed.

    Raises:
        IndexFileInvalid: it is of a kind that nobody knows.
    """
    try:
        length, kind = _HEAD.unpack(await reader.readexactly(_HEAD.size))
        payload = memoryview(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    try:
        return Frame(kind), payload
    except ValueError:
        raise IndexFileInvalid("a frame of a kind that nobody knows") from None


class IndexFeeder:
    """The node's end: tells one follower everything from a moment on.

    Args:
        index: what is followed.
        keeper: knows the files that its rows are in.
        writer: to the follower.
        cut: called once when the follower is too far behind.

    Raises:
        IndexFileInvalid: some rows are in no file (a full disk, an erase a moment ago): try later.
    """

    def __init__(
        self,
        index: LiveIndex,
        keeper: IndexKeeper,
        writer: asyncio.StreamWriter,
        cut: Callable[[], None],
    ) -> None:
        self._index, self._keeper, self._writer, self._cut = index, keeper, writer, cut
        kinds = list(index.settled())
        if not all(map(self._is_shared, kinds)):
            raise IndexFileInvalid("the index is in memory only for now")
        self._install(kinds, with_documents=True)
        index.listen(self)

    def close(self) -> None:
        """Tell no more."""
        self._index.ignore(self)

    def changed(self, change: Change, signal_type: SignalType, values: tuple[bytes, ...]) -> None:
        """Signals were added or removed."""
        name = signal_type.value.encode("ascii")
        parts = [bytes([len(name)]), name]
        for value in values:
            parts += (_LENGTH.pack(len(value)), value)
        self._send(_OF_CHANGE[change], parts)

    def rearranged(self, signal_types: Iterable[SignalType]) -> None:
        """Some types have other rows now.

        One whose rows are in memory only now stays as it is over there, in the rows of before: the
        follower was told all its signals.
        """
        self._install(list(filter(self._is_shared, signal_types)), with_documents=False)

    def _is_shared(self, signal_type: SignalType) -> bool:
        rows = self._index.settled()[signal_type].rows
        return not len(rows) or self._keeper.file_of(signal_type) is not None

    def _install(self, kinds: Sequence[SignalType], *, with_documents: bool) -> None:
        documents = [SignalType.TLSH] if with_documents else []
        described, parts = describe_sections(self._index.changes([*kinds, *documents]))
        about = {
            "files": {kind.value: self._keeper.file_of(kind) for kind in kinds},
            "sections": described,
            "lengths": [part.nbytes for part in parts],
        }
        told = json.dumps(about).encode("utf-8")
        self._send(Frame.INSTALLED, [_LENGTH.pack(len(told)), told, *parts])

    def _send(self, kind: Frame, parts: Sequence[bytes | memoryview]) -> None:
        if self._writer.is_closing():
            return
        length = sum(len(part) for part in parts)
        self._writer.writelines([_HEAD.pack(length, kind), *parts])
        if self._writer.transport.get_write_buffer_size() > BEHIND_BYTES_MAX:
            self._cut()


class IndexFollower:
    """The other end: an index that is what the node's is, some milliseconds later.

    Args:
        files: where the node keeps its index.
        reader: from the node.

    Attributes:
        index: for searching.
    """

    def __init__(self, files: IndexFiles, reader: asyncio.StreamReader) -> None:
        self.index = SignalIndex()
        self._files, self._reader = files, reader

    async def install_first(self) -> None:
        """Take the first frame about the index: what it is at the beginning.

        Raises:
            IndexFileInvalid: as :meth:`follow`; or the node closed the socket before it.
        """
        frame = await read_frame(self._reader)
        if frame is None or frame[0] is not Frame.INSTALLED:
            raise IndexFileInvalid("the node does not say what its index is")
        await self._install(frame[1])

    async def follow(self) -> None:
        """Take frames until the node closes the socket.

        Raises:
            IndexFileInvalid: a file or frame is not what it should be: start again.
        """
        while (frame := await read_frame(self._reader)) is not None:
            kind, payload = frame
            match kind:
                case Frame.INSTALLED:
                    await self._install(payload)
                case Frame.ADDED:
                    self.index.add_many(*_read_values(payload))
                case Frame.REMOVED:
                    self.index.remove_many(*_read_values(payload))
                case Frame.TOLD:
                    raise IndexFileInvalid("the node says again what it is")

    async def _install(self, payload: memoryview) -> None:
        (length,) = _LENGTH.unpack_from(payload)
        begin = _LENGTH.size + length
        about = json.loads(bytes(payload[_LENGTH.size : begin]))
        parts = []
        for size in about["lengths"]:
            # A part begins anywhere; an array begins at a multiple of its elements' size.
            parts.append(memoryview(bytearray(payload[begin : begin + size])))
            begin += size
        sections = read_sections(about["sections"], parts)
        empty = self.index.settled() if len(self.index) == 0 else SignalIndex().settled()
        settled = {}
        for name, file_name in about["files"].items():
            kind = SignalType(name)
            settled[kind] = empty[kind]
            if file_name is not None:
                settled[kind] = await asyncio.to_thread(self._map, kind, file_name)
        self.index.install(settled, sections)

    def _map(self, kind: SignalType, name: str) -> Any:
        # Written by the node since it started, or checked by it then.
        file = self._files.read(name, is_checked=False)
        return self.index.restore_sorted(
            kind, read_sections(file.description["sections"], file.parts)
        )


def _read_values(payload: memoryview) -> tuple[str, list[bytes]]:
    at = 1 + payload[0]
    signal_type = bytes(payload[1:at]).decode("ascii")
    values = []
    while at < len(payload):
        (length,) = _LENGTH.unpack_from(payload, at)
        at += _LENGTH.size
        values.append(bytes(payload[at : at + length]))
        at += length
    return signal_type, values
