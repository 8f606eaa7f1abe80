"""A follower's index is the node's, whatever happened to it and in whatever order."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from federation.daemon import index_channel
from federation.daemon.index_channel import Frame, IndexFeeder, IndexFollower, told_frame
from federation.daemon.index_keeper import IndexKeeper
from federation.daemon.live_index import LiveIndex
from federation.local_errors.disk import IndexFileInvalid
from federation.matching.index import SignalIndex
from federation.matching.sections import describe_sections
from federation.protocol.signals import SignalType
from federation.store.index_files import IndexFiles
from tests.builders import make_signal

NUMBERS = 40


class Keeping:
    """The part of the keeper that a feeder asks: every rebuild goes into a file."""

    def __init__(self, index: LiveIndex, files: IndexFiles) -> None:
        self._index, self._files = index, files
        self._names: dict[SignalType, str] = {}

    def file_of(self, kind: SignalType) -> str | None:
        return self._names.get(kind)

    def rebuild(self, kind: SignalType) -> None:
        work = self._index.prepare_rebuild_of(kind)
        if work is None:
            return
        rebuilt = work.run()
        described, parts = describe_sections(rebuilt.settled.sections())
        name = f"{kind}-{rebuilt.rebuilt.generation}"
        self._files.write(name, {"sections": described}, parts, self._files.epoch)
        self._names[kind] = name
        self._index.adopt(rebuilt)


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def streams() -> AsyncIterator[Streams]:
    """The follower's reader and the node's writer."""
    ours, theirs = socket.socketpair()
    _, writer = await asyncio.open_connection(sock=ours)
    reader, back = await asyncio.open_connection(sock=theirs)
    yield reader, writer
    for each in (writer, back):
        each.close()


def held(index: SignalIndex) -> dict[SignalType, set[int]]:
    return {
        kind: {n for n in range(NUMBERS) if index.holds(kind, make_signal(n, kind).value)}
        for kind in SignalType
    }


def feed(index: LiveIndex, keeping: Keeping, writer: asyncio.StreamWriter, cut: Any) -> IndexFeeder:
    return IndexFeeder(index, cast("IndexKeeper", keeping), writer, cut)


@pytest.mark.parametrize("seed", range(4))
async def test_a_follower_has_what_the_node_has(
    tmp_path: Path, streams: Streams, seed: int
) -> None:
    reader, writer = streams
    rng = random.Random(seed)
    index, files = LiveIndex(), IndexFiles(tmp_path / "index")
    keeping = Keeping(index, files)

    def change() -> None:
        kind = rng.choice(list(SignalType))
        values = [make_signal(rng.randrange(NUMBERS), kind).value for _ in range(3)]
        match rng.randrange(7):
            case 0 | 1 | 2:
                index.add_many(kind, values)
            case 3 | 4:
                index.remove_many(kind, values)
            case 5:
                keeping.rebuild(kind)
            case 6:
                index.add_joined("pdq", make_signal(rng.randrange(NUMBERS)).value)

    for _ in range(60):
        change()
    feeder = feed(index, keeping, writer, lambda: pytest.fail("cut off"))
    follower = IndexFollower(files, reader)
    await follower.install_first()
    assert held(index) == held(follower.index)
    for _ in range(60):
        change()
    feeder.close()
    index.add("pdq", make_signal(0).value)  # after the end: not to be heard of
    expected = held(index)
    index.remove("pdq", make_signal(0).value)
    writer.close()
    await follower.follow()
    told = held(follower.index)
    assert expected | {SignalType.PDQ: told[SignalType.PDQ]} == told
    assert expected[SignalType.PDQ] - {0} == told[SignalType.PDQ] - {0}


async def test_a_follower_that_does_not_read_is_cut_off(
    tmp_path: Path, streams: Streams, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_channel, "BEHIND_BYTES_MAX", 1 << 20)
    _, writer = streams
    index = LiveIndex()
    cuts: list[bool] = []
    feed(index, Keeping(index, IndexFiles(tmp_path)), writer, lambda: cuts.append(True))
    rng = random.Random(1)
    for _ in range(64):
        index.add_many("pdq", [rng.randbytes(32) for _ in range(1_024)])
    assert cuts


async def test_an_index_that_is_in_no_file_is_not_followed_yet(
    tmp_path: Path, streams: Streams
) -> None:
    _, writer = streams
    index = LiveIndex()
    index.add("pdq", bytes(32))
    index.adopt(cast("Any", index.prepare_rebuild_of(SignalType.PDQ)).run())
    with pytest.raises(IndexFileInvalid):
        feed(index, Keeping(index, IndexFiles(tmp_path)), writer, lambda: None)


@pytest.mark.parametrize(
    "frames",
    [
        told_frame({}),
        b"\x00\x00\x00\x00\x63",
        b"\x04\x00\x00\x00" + bytes([Frame.ADDED]) + bytes(4),
    ],
)
async def test_frames_that_make_no_sense_end_the_follower(
    tmp_path: Path, streams: Streams, frames: bytes
) -> None:
    reader, writer = streams
    follower = IndexFollower(IndexFiles(tmp_path), reader)
    writer.write(frames)
    with pytest.raises(IndexFileInvalid):
        await follower.install_first()
