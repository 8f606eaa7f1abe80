"""The ring of remembered uploads: bounded, small, erasable, and whole after a crash."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import RequestMalformed
from federation.protocol.signals import Signal, SignalType
from federation.protocol.signals_frames import decode_frames
from federation.store.upload_ring import FRAMES_MAX, HEADER_BYTES, UploadRing, encode_reference
from tests.builders import make_signal, make_video

TYPES = (SignalType.PDQ, SignalType.SHA256, SignalType.MD5, SignalType.URL)


def remembered(ring: UploadRing) -> list[tuple[str, int]]:
    rows = [ring.read(slot) for slots in ring.slots_since(0) for slot in slots]
    return [(row.reference, row.at_seconds) for row in rows if row is not None]


def filled(path: Path, count: int, capacity: int = 8) -> UploadRing:
    ring = UploadRing.open(path, capacity)
    for number in range(count):
        ring.append(f"upload-{number}", (make_signal(number),), 1_000 + number)
    return ring


def test_a_row_with_a_reference_of_sixteen_bytes_and_a_picture_takes_less_than_sixty(
    tmp_path: Path,
) -> None:
    ring = UploadRing.open(tmp_path / "ring", 100_000)
    ring.append("sixteen-letters!", (make_signal(1),), 1)
    ring.flush()
    assert (tmp_path / "ring").stat().st_size <= 60 * 100_000
    assert 0o600 == (tmp_path / "ring").stat().st_mode & 0o777


@pytest.mark.parametrize("signal_type", TYPES)
@pytest.mark.parametrize("reference", ["Q7", "sixteen-letters!", str(UUID(int=7)), "0f" * 16])
def test_what_was_remembered_is_read_back_after_a_restart(
    tmp_path: Path, signal_type: SignalType, reference: str
) -> None:
    signal = make_signal(3, signal_type)
    ring = UploadRing.open(tmp_path / "ring", 4)
    ring.append(reference, (signal, make_signal(1, SignalType.TLSH)), 1_234)
    del ring  # killed: nothing was closed
    again = UploadRing.open(tmp_path / "ring", 4)
    assert not again.was_closed
    row = again.read(0)
    assert row is not None
    assert (reference, signal_type, signal.identity, 1_234) == (
        row.reference, row.signal_type, row.value, row.at_seconds
    )  # fmt: skip
    assert again.read(1) is None
    again.close()
    assert UploadRing.open(tmp_path / "ring", 4).was_closed
    assert signal.value.hex() not in repr(row)
    assert reference not in repr(row)


def test_of_a_video_frames_of_enough_quality_are_remembered_spread_over_it(
    tmp_path: Path,
) -> None:
    ring = UploadRing.open(tmp_path / "ring", 500)
    ring.append("long", (Signal(SignalType.VPDQ, make_video(1, frames=300)),), 1)
    ring.append("short", (Signal(SignalType.VPDQ, make_video(2, frames=3)),), 2)
    ring.append("dark", (Signal(SignalType.VPDQ, make_video(3, frames=3, quality=49)),), 3)
    frames = [each.pdq for each in decode_frames(make_video(1, frames=300))]
    long = [row.value for row in ring.of_reference("long", SignalType.VPDQ)]
    assert FRAMES_MAX == len(long)
    assert long == sorted(long, key=frames.index)
    assert frames.index(long[-1]) >= 290
    assert 3 == len(ring.of_reference("short", SignalType.VPDQ))
    assert [] == ring.of_reference("dark", SignalType.VPDQ)
    assert [] == ring.of_reference("short", SignalType.PDQ)
    assert FRAMES_MAX == ring.erase("long")
    assert [] == ring.of_reference("long", SignalType.VPDQ)


def test_the_oldest_are_overwritten_and_never_more_kept_than_there_is_room_for(
    tmp_path: Path,
) -> None:
    ring = filled(tmp_path / "ring", 20)
    assert [(f"upload-{number}", 1_000 + number) for number in range(12, 20)] == remembered(ring)
    assert 8 == len(ring)
    assert [range(2, 4)] == ring.slots_since(18)
    assert [] == ring.slots_since(20)


def test_erased_by_reference_or_by_age_nothing_of_it_is_left_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "ring"
    ring = filled(path, 12)
    ring.append("upload-7", (make_signal(70),), 1_012)
    assert 2 == ring.erase("upload-7")
    assert 0 == ring.erase("upload-")
    assert 2 == ring.erase_before(1_008 - 1)
    ring.flush()
    raw = path.read_bytes()
    for number in (5, 6, 7, 70):
        assert make_signal(number).value not in raw
    assert b"upload-7" not in raw
    assert [("upload-8", 1_008)] == remembered(ring)[:1]
    assert 1_008 == ring.oldest_seconds()


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=40))
def test_age_takes_the_oldest_wherever_the_ring_begins(steps: list[tuple[bool, int]]) -> None:
    """Rows are added and let go of, many times around, beside a plain list of what must be left."""
    with TemporaryDirectory() as folder:
        ring, left, number = UploadRing.open(Path(folder) / "ring", 8), list[int](), 0
        for is_added, count in steps:
            if is_added:
                for number in range(number + 1, number + 1 + count):  # noqa: B020 - goes on
                    ring.append(f"upload-{number}", (make_signal(number % 8),), number)
                    left = [*left, number][-8:]
            else:
                before = number - count
                gone = [each for each in left if each < before]
                assert len(gone) == ring.erase_before(max(0, before))
                left = [each for each in left if each >= before]
            assert (left[0] if left else None) == ring.oldest_seconds()
            assert left == [at for _, at in remembered(ring)]


def test_another_capacity_keeps_the_newest(tmp_path: Path) -> None:
    filled(tmp_path / "ring", 12).close()
    smaller = UploadRing.open(tmp_path / "ring", 3)
    assert ["upload-9", "upload-10", "upload-11"] == [name for name, _ in remembered(smaller)]
    smaller.close()
    larger = UploadRing.open(tmp_path / "ring", 30)
    larger.append("next", (make_signal(1),), 2_000)
    assert ["upload-9", "upload-10", "upload-11", "next"] == [
        name for name, _ in remembered(larger)
    ]


@pytest.mark.parametrize("raw", [b"", b"junk", b"\0" * HEADER_BYTES, b"HFUPLD01" + b"\xff" * 9000])
def test_a_file_that_is_no_ring_is_replaced_by_an_empty_one(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "ring").write_bytes(raw)
    assert [] == remembered(UploadRing.open(tmp_path / "ring", 4))


@pytest.mark.parametrize(
    "reference",
    ["", "seventeen-letters", "ä", "line\nfeed", "0F" * 16, str(UUID(int=7)).upper()[:-1]],
)
def test_a_reference_that_is_too_long_or_none_is_refused_without_being_repeated(
    reference: str,
) -> None:
    with pytest.raises(RequestMalformed) as refused:
        encode_reference(reference)
    assert not reference or reference not in refused.value.message


@given(st.text(max_size=40))
def test_whatever_the_reference_it_is_taken_or_refused(reference: str) -> None:
    try:
        raw, _ = encode_reference(reference)
    except RequestMalformed:
        return
    assert 16 == len(raw)
