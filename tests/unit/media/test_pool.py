"""The pool answers, and a picture made to break, stall or fill its worker harms no other."""

from __future__ import annotations

import asyncio
import concurrent.futures
import hashlib
import io
import os
import resource
import signal
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from federation.errors import FederationError, RequestMalformed
from federation.local_errors.askers import TooBusy
from federation.local_errors.config import ConfigInvalid
from federation.local_errors.content import PictureTooLarge, PictureUnreadable
from federation.media.confined import ConfinedWorker
from federation.media.drawing import draw_picture
from federation.media.limits import PICTURES_WAITING_MAX, PictureLimits
from federation.media.pictures import pdq_of_picture
from federation.media.pool import HashingPool, PictureSignals

PICTURE = draw_picture(1, width=240, height=180)
OTHER = draw_picture(2, width=240, height=180)

# Small caps, so that an attack ends soon; honest test pictures need a hundredth of each.
TIGHT = PictureLimits(
    file_bytes_max=1_000_000,
    pixels_max=5_000 * 5_000,
    memory_bytes_max=256 * 1024**2,
    cpu_seconds_max=1,
    wall_seconds_max=20,
)


def expected_signals(picture: bytes) -> PictureSignals:
    hashed = pdq_of_picture(picture)
    return PictureSignals(
        pdq=hashed.pdq,
        quality=hashed.quality,
        sha256=hashlib.sha256(picture).digest(),
        md5=hashlib.md5(picture, usedforsecurity=False).digest(),
    )


def stalling_picture() -> bytes:
    """A valid progressive JPEG of 220 KB whose last scan comes five thousand times over.

    Each scan is 31 bytes and makes the decoder walk all of 16 million pixels once more.
    """
    encoded = io.BytesIO()
    Image.new("L", (4_000, 4_000), 128).save(encoded, "JPEG", progressive=True)
    jpeg = encoded.getvalue()
    end = len(jpeg) - 2
    scan = jpeg[jpeg.rindex(b"\xff\xda") : end]
    return jpeg[:end] + 5_000 * scan + jpeg[end:]


def filling_picture() -> bytes:
    """A flat picture within the pixel limit whose hashing takes 600 MiB."""
    encoded = io.BytesIO()
    Image.new("L", (4_900, 4_900)).save(encoded, "JPEG")
    return encoded.getvalue()


def png(width: int, height: int, pixels: bytes) -> bytes:
    """A one-bit PNG file, its pixels compressed as they are given."""
    file = b"\x89PNG\r\n\x1a\n"
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b"")):
        checksum = zlib.crc32(name + content)
        file += struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)
    return file


@pytest.fixture(scope="module")
def pool() -> Iterator[HashingPool]:
    """One worker, so that whoever comes next meets whatever the attack before it left."""
    with HashingPool(workers=1, limits=TIGHT) as pool:
        yield pool


def test_bytes_and_path_give_all_signals(pool: HashingPool, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(PICTURE)
    expected = expected_signals(PICTURE)
    assert pool.hash_picture(PICTURE) == expected
    assert pool.hash_picture(path) == expected


async def test_event_loop_can_wait_for_many(pool: HashingPool) -> None:
    pictures = [PICTURE, OTHER] * 10
    futures = [asyncio.wrap_future(pool.submit(picture)) for picture in pictures]
    expected = [expected_signals(PICTURE), expected_signals(OTHER)] * 10
    assert await asyncio.gather(*futures) == expected


def test_more_pictures_than_may_wait_pass_one_after_another(pool: HashingPool) -> None:
    expected = expected_signals(PICTURE)
    for _ in range(PICTURES_WAITING_MAX + 1):
        assert pool.hash_picture(PICTURE) == expected


ATTACKS: dict[str, tuple[bytes, type[FederationError]]] = {
    "empty": (b"", PictureUnreadable),
    "no picture": (b"%PDF-1.7" * 1_000, PictureUnreadable),
    "truncated": (PICTURE[:-1_000], PictureUnreadable),
    "long file": (bytes(TIGHT.file_bytes_max + 1), PictureTooLarge),
    "size in the header only": (png(60_000, 60_000, b""), PictureTooLarge),
    "50 KB that unpack to 400 megapixels": (
        png(20_000, 20_000, bytes(2_501 * 20_000)),
        PictureTooLarge,
    ),
    "within the pixels, over the memory": (filling_picture(), PictureTooLarge),
    "within pixels and memory, endless": (stalling_picture(), PictureTooLarge),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_ends_in_its_code_and_the_next_picture_is_hashed(
    pool: HashingPool, name: str
) -> None:
    attack, error = ATTACKS[name]
    with pytest.raises(error):
        pool.hash_picture(attack)
    assert pool.hash_picture(PICTURE) == expected_signals(PICTURE)


def test_pixels_that_unpack_to_more_than_the_header_says_are_not_unpacked(
    pool: HashingPool,
) -> None:
    assert pool.hash_picture(png(64, 64, bytes(100_000_000))).quality == 0
    assert pool.hash_picture(PICTURE) == expected_signals(PICTURE)


def test_picture_beside_an_attack_is_unharmed() -> None:
    with HashingPool(workers=2, limits=TIGHT) as pool:
        attack = pool.submit(stalling_picture())
        neighbours = [pool.submit(PICTURE) for _ in range(20)]
        expected = expected_signals(PICTURE)
        assert [neighbour.result() for neighbour in neighbours] == [expected] * 20
        with pytest.raises(PictureTooLarge, match="CPU"):
            attack.result()


def test_worker_that_sleeps_past_the_wall_clock_is_killed() -> None:
    limits = PictureLimits(wall_seconds_max=2)
    with HashingPool(workers=1, limits=limits) as pool:
        # Once without the attack, so that the worker's start is not what takes long.
        assert pool.hash_picture(PICTURE) == expected_signals(PICTURE)
        with pytest.raises(PictureTooLarge, match="longer than 2 seconds"):
            pool.hash_picture(stalling_picture())
        assert pool.hash_picture(PICTURE) == expected_signals(PICTURE)


def test_only_a_worker_that_went_over_a_cap_is_replaced(pool: HashingPool) -> None:
    def pid_after(picture: bytes) -> int:
        with pytest.raises((PictureUnreadable, PictureTooLarge)):
            pool.hash_picture(picture)
        pool.hash_picture(PICTURE)
        (worker,) = pool._idle
        return worker.pid

    pool.hash_picture(PICTURE)
    first = pool._idle[0].pid
    assert pid_after(b"no picture") == first
    assert pid_after(png(60_000, 60_000, b"")) == first
    assert pid_after(filling_picture()) != first


def test_idle_worker_that_died_is_replaced(pool: HashingPool) -> None:
    pool.hash_picture(PICTURE)
    (worker,) = pool._idle
    os.kill(worker.pid, signal.SIGKILL)
    worker._process.wait()
    assert pool.hash_picture(PICTURE) == expected_signals(PICTURE)


def test_picture_that_crashes_its_decoder_is_unreadable() -> None:
    worker = ConfinedWorker(TIGHT)
    threading.Timer(0.05, os.kill, (worker.pid, signal.SIGSEGV)).start()
    with pytest.raises(PictureUnreadable):
        worker.pdq_of(stalling_picture())
    assert not worker.is_reusable


@pytest.mark.parametrize("reply", [b"\x09" + bytes(33), b"\x00\x65" + bytes(32)])
def test_worker_that_answers_nonsense_is_ended(reply: bytes) -> None:
    worker = ConfinedWorker(TIGHT)
    worker._replies.close()
    worker._replies = io.BytesIO(reply)
    with pytest.raises(PictureUnreadable):
        worker.pdq_of(PICTURE)
    assert not worker.is_reusable


def test_worker_that_cannot_be_confined_gets_no_picture() -> None:
    limits = PictureLimits(memory_bytes_max=2**80)
    with HashingPool(limits=limits) as pool, pytest.raises(ConfigInvalid):
        pool.hash_picture(PICTURE)


def test_python_that_cannot_be_started_is_the_operators_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/absent/python")
    with HashingPool(workers=1) as pool, pytest.raises(ConfigInvalid):
        pool.hash_picture(PICTURE)


def test_worker_can_leave_nothing_behind_and_learns_no_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("A_SECRET_OF_THE_NODE", "not for decoders")
    worker = ConfinedWorker(TIGHT)
    assert resource.prlimit(worker.pid, resource.RLIMIT_FSIZE) == (0, 0)
    assert resource.prlimit(worker.pid, resource.RLIMIT_CORE) == (1, 1)
    assert b"A_SECRET" not in Path(f"/proc/{worker.pid}/environ").read_bytes()
    assert Path(f"/proc/{worker.pid}/fd/2").readlink() == Path("/dev/null")
    worker.end()


def test_file_that_cannot_be_read_or_is_too_long_is_refused(
    pool: HashingPool, tmp_path: Path
) -> None:
    with pytest.raises(RequestMalformed):
        pool.hash_picture(tmp_path / "absent.jpg")
    with pytest.raises(RequestMalformed):
        pool.hash_picture(Path("/dev/zero"))
    long = tmp_path / "long.jpg"
    long.write_bytes(bytes(TIGHT.file_bytes_max + 1))
    with pytest.raises(PictureTooLarge):
        pool.hash_picture(long)


def test_flood_is_refused_before_it_fills_the_memory() -> None:
    stalling = stalling_picture()
    roomy = PictureLimits()
    exact = PictureLimits(file_bytes_max=len(stalling))
    for limits, fits in ((roomy, PICTURES_WAITING_MAX), (exact, 4)):
        with HashingPool(workers=1, limits=limits) as pool:
            for _ in range(fits):
                pool.submit(stalling)
            with pytest.raises(TooBusy):
                pool.submit(stalling)


def test_closing_ends_what_is_under_way_and_takes_no_more() -> None:
    pool = HashingPool(workers=1)
    under_way = pool.submit(stalling_picture())
    waiting = pool.submit(PICTURE)
    while not under_way.running():
        pass
    pool.close()
    assert waiting.cancelled()
    with pytest.raises(TooBusy):
        under_way.result()
    with pytest.raises(TooBusy):
        pool.submit(PICTURE)
    pool.close()


def test_closing_leaves_no_process() -> None:
    with HashingPool(workers=2) as pool:
        concurrent.futures.wait([pool.submit(PICTURE) for _ in range(8)])
        pids = [worker.pid for worker in pool._alive]
    assert pids
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_signals_do_not_show_in_the_repr(pool: HashingPool) -> None:
    assert repr(pool.hash_picture(PICTURE)) == "PictureSignals(quality=100)"


def test_process_that_owns_a_pool_loads_no_picture_decoder() -> None:
    program = (
        "import sys, federation.media.pool; sys.exit(bool({'PIL', 'pdqhash'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
