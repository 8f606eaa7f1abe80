"""Any file gives its signals, or says why not; one made to break its reader harms no other."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import io
import itertools
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from federation.errors import FederationError, RequestMalformed, TooLarge
from federation.local_errors.askers import TooBusy
from federation.local_errors.config import ConfigInvalid
from federation.local_errors.content import (
    DocumentTooLarge,
    DocumentUnreadable,
    PictureUnreadable,
    SignalLowQuality,
    VideoTooLarge,
    VideoUnreadable,
)
from federation.media.drawing import draw_picture
from federation.media.filming import encode_film, film
from federation.media.hasher import FileHasher, FileSignals, choose_frames
from federation.media.kinds import BEGINNING_BYTES, FileKind
from federation.media.limits import FILES_WAITING_MAX, FileLimits
from federation.protocol.limits_content import VIDEO_FRAMES_MAX
from federation.protocol.signals import Signal, SignalType
from federation.protocol.signals_frames import Frame, decode_frames
from federation.protocol.signals_local import check_publishable
from tests.unit.media.test_documents import WORDS, pdf

FILM = encode_film(film(2, 3, width=160, height=96, scene_seconds=1))
FILES = {
    "picture.jpg": (draw_picture(1, width=160, height=96), FileKind.PICTURE, ["pdq"]),
    "film.mp4": (FILM, FileKind.VIDEO, ["vpdq"]),
    "named-as-a-picture.jpg": (FILM, FileKind.VIDEO, ["vpdq"]),
    "document.pdf": (pdf(WORDS), FileKind.PDF, ["tlsh"]),
    "text.txt": (WORDS.encode(), FileKind.TEXT, ["tlsh"]),
    "short.txt": (b"too short", FileKind.TEXT, []),
    "archive": (bytes(range(256)), FileKind.OTHER, []),
    "empty": (b"", FileKind.OTHER, []),
}
# Small caps, so that an attack ends soon; honest test files need a hundredth of each.
TIGHT = FileLimits(
    file_bytes_max=40_000_000,
    video_seconds_max=60,
    video_cpu_seconds_max=2,
    video_wall_seconds_max=20,
    document_bytes_max=20_000_000,
    document_memory_bytes_max=300 * 1024**2,
    document_cpu_seconds_max=2,
    document_wall_seconds_max=20,
)


@pytest.fixture(scope="module")
def hasher() -> Iterator[FileHasher]:
    """One worker, so that whoever comes next meets whatever the attack before it left."""
    with FileHasher(workers=1, limits=TIGHT) as hasher:
        yield hasher


def put(folder: Path, content: bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


MARK = b"%PDF-1.7\n"


def box(name: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + name + content


def behind(first: bytes) -> bytes:
    """The film behind another box, its places of frames moved along."""
    at = FILM.index(b"stco") + 8
    count = int.from_bytes(FILM[at : at + 4], "big")
    places = struct.unpack_from(f">{count}I", FILM, at + 4)
    moved = struct.pack(f">{count}I", *(place + len(first) for place in places))
    return first + FILM[: at + 4] + moved + FILM[at + 4 + len(moved) :]


def with_time(packets: bytes) -> bytes:
    """A transport stream as discs have it."""
    return b"".join(MARK[:4] + packets[at : at + 188] for at in range(0, len(packets), 188))


def filmed(container: str, codec: str = "libx264") -> bytes:
    frames = film(2, 3, width=160, height=96, scene_seconds=1)
    return encode_film(frames, container=container, codec=codec)


# Films that players play, each made to look like something else.
DISGUISED = {
    "a PDF's mark in a box of MP4": lambda: behind(box(b"free", MARK)),
    "a PDF's mark in a private box": lambda: behind(box(b"uuid", bytes(16) + MARK)),
    "a rare first box": lambda: behind(box(b"junk", MARK)),
    "a PDF's mark before MPEG-TS": lambda: b"\xff" + MARK + filmed("mpegts"),
    "MPEG-TS of a disc": lambda: with_time(filmed("mpegts")),
    "a program stream": lambda: filmed("mpeg", "mpeg2video"),
    "MPEG-2 without a container": lambda: filmed("mpeg2video", "mpeg2video"),
    "MPEG-4 without a container": lambda: filmed("m4v", "mpeg4"),
    "sound, so it says": lambda: FILM.replace(b"ftypisom", b"ftypM4A ", 1),
}


@pytest.mark.parametrize("name", DISGUISED)
def test_a_film_is_recognised_whatever_it_is_dressed_as(
    hasher: FileHasher, tmp_path: Path, name: str
) -> None:
    found = hasher.hash_file(put(tmp_path, DISGUISED[name]()))
    assert (FileKind.VIDEO, None) == (found.kind, found.unread)
    assert SignalType.VPDQ is found.signals[0].type


def test_a_picture_does_not_wait_for_films(tmp_path: Path) -> None:
    """Both places for films are taken by files that take as long as they like."""
    gate = threading.Event()
    with FileHasher(workers=2) as hasher, ExitStack() as stack:
        stack.callback(gate.set)
        films = [hasher.submit(Slow(FILM, gate)) for _ in range(2)]
        picture = put(tmp_path, draw_picture(1, width=160, height=96))
        assert FileKind.PICTURE is hasher.hash_file(picture).kind
        assert [False, False] == [each.done() for each in films]


class Slow(io.BytesIO):
    """A film whose first bytes are there, and whose rest does not come before the gate opens."""

    def __init__(self, content: bytes, gate: threading.Event) -> None:
        super().__init__(content)
        self._gate = gate

    def read(self, size: int | None = -1) -> bytes:
        if size != BEGINNING_BYTES:
            self._gate.wait()
        return super().read(size)


def test_where_a_picture_is_wanted_a_film_is_refused_by_its_first_bytes(tmp_path: Path) -> None:
    limits = FileLimits(file_bytes_max=BEGINNING_BYTES)  # whoever reads on finds it too long
    with FileHasher(workers=1, limits=limits) as hasher:
        long = put(tmp_path, FILM + bytes(BEGINNING_BYTES))
        with pytest.raises(PictureUnreadable):
            hasher.submit(long, only_picture=True)
        with pytest.raises(TooLarge):
            hasher.hash_file(long)


def test_what_only_bears_the_mark_of_a_pdf_is_told_to_be_unread(
    hasher: FileHasher, tmp_path: Path
) -> None:
    found = hasher.hash_file(put(tmp_path, b"\0\0" + pdf("")))
    assert FileKind.PDF is found.kind
    assert isinstance(found.unread, DocumentUnreadable)


@pytest.mark.parametrize("name", FILES)
def test_every_file_gives_its_kind_and_signals(
    hasher: FileHasher, tmp_path: Path, name: str
) -> None:
    content, kind, types = FILES[name]
    found = hasher.hash_file(put(tmp_path, content, name))
    assert (kind, None) == (found.kind, found.unread)
    assert [*types, "sha256", "md5"] == [each.type.value for each in found.signals]
    assert Signal(SignalType.SHA256, hashlib.sha256(content).digest()) == found.signals[-2]
    with put(tmp_path, content).open("rb") as stream:
        stream.read(5)
        assert found == hasher.hash_file(stream)
    if types:
        check_publishable(found.signals[0])


def flat_film(seconds: int) -> bytes:
    grey = next(film(1, 1, width=160, height=96)) // 255
    return encode_film([grey] * 10 * seconds)


def bomb_pdf() -> bytes:
    """A PDF whose page of 12 kB unpacks to 12 million characters of text."""
    return pdf("a" * 12_000_000, per_line=1_000_000)


@functools.cache
def endless_film() -> bytes:
    """A film of 4000 x 2000 pixels, a few bytes a frame, for far more CPU time than allowed."""
    frame = next(film(1, 1, width=1_000, height=500)).repeat(4, 0).repeat(4, 1)
    return encode_film([frame] * 50, frame_rate=1, options={"preset": "ultrafast"})


ATTACKS: dict[str, tuple[bytes, type[FederationError]]] = {
    "a film without its index": (FILM[:-300], VideoUnreadable),
    "a film of zeros": (FILM[:40] + bytes(100_000), VideoUnreadable),
    "a film without detail": (flat_film(3), SignalLowQuality),
    "a film of an hour": (encode_film([*film(1, 1, width=64, height=64)] * 8, frame_rate=1),
                          VideoTooLarge),
    "a film that takes too long": (endless_film(), VideoTooLarge),
    "a cut picture": (draw_picture(1, width=160, height=96)[:-500], PictureUnreadable),
    "a PDF of rubbish": (b"%PDF-1.7" + os.urandom(10_000), DocumentUnreadable),
    "a PDF that unpacks to too much": (bomb_pdf(), DocumentTooLarge),
    "a long text": (b"word " * 5_000_000, DocumentTooLarge),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_ends_in_its_code_and_the_next_file_is_read(
    hasher: FileHasher, tmp_path: Path, name: str
) -> None:
    content, error = ATTACKS[name]
    found = hasher.hash_file(put(tmp_path, content))
    assert error is type(found.unread)
    assert [SignalType.SHA256, SignalType.MD5] == [each.type for each in found.signals]
    assert hasher.hash_file(put(tmp_path, FILM)).unread is None


def test_wall_clock_ends_a_worker(tmp_path: Path) -> None:
    with FileHasher(workers=1, limits=FileLimits(video_wall_seconds_max=0.05)) as hasher:
        found = hasher.hash_file(put(tmp_path, FILM))
        assert "longer than 0.05 seconds" in str(found.unread)
        assert hasher.hash_file(put(tmp_path, WORDS.encode())).unread is None


def test_memory_cap_ends_in_its_code(tmp_path: Path) -> None:
    limits = FileLimits(video_memory_bytes_max=40 * 1024**2)
    with FileHasher(workers=1, limits=limits) as hasher:
        found = hasher.hash_file(put(tmp_path, endless_film()))
        assert isinstance(found.unread, VideoTooLarge | VideoUnreadable)


def test_a_worker_that_dies_is_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FileHasher(workers=1) as hasher:
        future = hasher.submit(put(tmp_path, endless_film()))
        process = None
        while process is None:
            time.sleep(0.01)
            process = next((each._process for each in list(hasher._under_way)), None)
        os.kill(process.pid, signal.SIGSEGV)
        assert isinstance(future.result().unread, VideoUnreadable)


def test_python_that_cannot_be_started_is_the_operators_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/absent/python")
    with FileHasher(workers=1) as hasher, pytest.raises(ConfigInvalid):
        hasher.hash_file(put(tmp_path, FILM))


def test_files_that_cannot_be_read_are_refused(hasher: FileHasher, tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path, Path("/dev/zero")):
        with pytest.raises(RequestMalformed):
            hasher.hash_file(path)
    long = tmp_path / "long"
    with long.open("wb") as stream:
        stream.truncate(TIGHT.file_bytes_max + 1)
    with pytest.raises(TooLarge):
        hasher.hash_file(long)


async def test_flood_is_refused_and_closing_ends_what_is_under_way(tmp_path: Path) -> None:
    hasher = FileHasher(workers=1)
    path = put(tmp_path, endless_film())
    futures = [hasher.submit(path) for _ in range(FILES_WAITING_MAX)]
    with pytest.raises(TooBusy):
        hasher.submit(path)
    while not hasher._under_way:  # noqa: ASYNC110 - it starts in a thread of its own
        await asyncio.sleep(0.01)
    threading.Timer(0.2, hasher.close).start()
    with pytest.raises(TooBusy):
        await asyncio.wrap_future(futures[0])
    hasher.close()
    assert futures[-1].cancelled()
    with pytest.raises(TooBusy):
        hasher.submit(path)


def test_too_many_frames_are_thinned_evenly_and_flat_ones_left_out() -> None:
    detailed = [Frame(number.to_bytes(32), 80, number) for number in range(1, 4_001)]
    flat = [Frame(b"\x55" * 32, 49, 5_000), Frame(bytes(32), 100, 5_001)]
    chosen = choose_frames([*detailed, *flat])
    assert len(chosen) <= VIDEO_FRAMES_MAX
    assert {3} == {later.at_ms - one.at_ms for one, later in itertools.pairwise(chosen)}
    with pytest.raises(SignalLowQuality):
        choose_frames(flat)


def test_signals_do_not_show_and_the_frames_are_the_films(
    hasher: FileHasher, tmp_path: Path
) -> None:
    found = hasher.hash_file(put(tmp_path, FILM))
    assert "FileSignals(kind=<FileKind.VIDEO: 'video'>, unread=None)" == repr(found)
    assert [0, 1_000, 2_000] == [each.at_ms for each in decode_frames(found.signals[0].value)]
    assert isinstance(found, FileSignals)


def test_process_that_owns_a_hasher_loads_no_decoder() -> None:
    program = (
        "import sys, federation.media.hasher;"
        "sys.exit(bool({'PIL', 'pdqhash', 'av', 'pypdf', 'tlsh'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
