"""Remembered uploads are found exactly, whichever way round they are searched."""

from __future__ import annotations

from random import Random

import pytest

from federation.matching import upload_search
from federation.matching.index import SignalIndex
from federation.matching.upload_search import (
    UploadColumns,
    rows_of,
    search_exact,
    search_pictures,
    sweep_pictures,
)
from federation.protocol.signals import SignalType

PDQ, SHA256 = 1, 2


def flipped(value: bytes, rng: Random, bits: int) -> bytes:
    number = int.from_bytes(value, "big")
    for bit in rng.sample(range(256), bits):
        number ^= 1 << bit
    return number.to_bytes(32, "big")


def columns_of(rows: list[tuple[int, bytes]]) -> UploadColumns:
    return UploadColumns(
        memoryview(b"".join(value for _, value in rows)),
        memoryview(bytes(code for code, _ in rows)),
        len(rows),
    )


@pytest.mark.parametrize("scanned_max", [1_000, 0])
def test_every_remembered_picture_within_the_distance_is_found_and_none_beyond(
    monkeypatch: pytest.MonkeyPatch, scanned_max: int
) -> None:
    monkeypatch.setattr(upload_search, "SCANNED_MAX", scanned_max)
    rng = Random(7)
    new = [rng.randbytes(32) for _ in range(5)]
    rows, expected = [], set()
    for at in range(400):
        asked = rng.randrange(5)
        bits = rng.choice((0, 1, 30, 31, 32, 60))
        code = rng.choice((PDQ, PDQ | 0x90, SHA256, 0))
        rows.append((code, flipped(new[asked], rng, bits)))
        if bits <= 31 and code & 0x0F == PDQ and at >= 100:
            expected.add((asked, at, bits))
    found, left = search_pictures(columns_of(rows), range(100, 400), PDQ, new, 31)
    assert (expected, 0) == (set(found), len(left))
    for looked_at, asked_of in [(range(100, 100), new), (range(400), [])]:
        found, left = search_pictures(columns_of(rows), looked_at, PDQ, asked_of, 31)
        assert ([], 0) == (found, len(left))


@pytest.mark.parametrize("scanned_max", [1_000, 0])
def test_a_flood_of_copies_is_found_whole_in_several_parts(
    monkeypatch: pytest.MonkeyPatch, scanned_max: int
) -> None:
    monkeypatch.setattr(upload_search, "SCANNED_MAX", scanned_max)
    monkeypatch.setattr(upload_search, "FOUND_MAX", 10)
    monkeypatch.setattr(upload_search, "LOOKED_UP", 7)
    rng = Random(5)
    one = rng.randbytes(32)
    values = [one, flipped(one, rng, 3), flipped(one, rng, 5)]
    rows = columns_of([(PDQ, flipped(one, rng, 2)) for _ in range(50)])
    told, left, parts = [], range(4, 50), 0
    while left:
        found, left = search_pictures(rows, left, PDQ, values, 31)
        told += [(at, row) for at, row, _ in found]
        parts += 1
    assert sorted(told) == [(at, row) for at in range(3) for row in range(4, 50)]
    assert 1 < parts


def test_exact_types_match_only_themselves_and_only_their_type() -> None:
    rng = Random(1)
    values = [rng.randbytes(32) for _ in range(20)]
    rows = [(SHA256 if at % 2 else PDQ, value) for at, value in enumerate(values)]
    same_start = values[3][:8] + rng.randbytes(24)
    found = search_exact(columns_of(rows), range(20), SHA256, [values[2], values[3], same_start])
    assert [(1, 3, 0)] == found
    assert [(at, values[at]) for at in range(1, 20, 2)] == rows_of(
        columns_of(rows), range(20), SHA256
    )


def test_a_sweep_finds_what_anything_known_is_near_to() -> None:
    rng = Random(3)
    known = rng.randbytes(32)
    index = SignalIndex()
    index.add(SignalType.PDQ, known)
    rows = [(PDQ, flipped(known, rng, bits)) for bits in (0, 31, 32, 90)] + [(SHA256, known)]
    found = sweep_pictures(columns_of(rows), range(5), PDQ, index.view_of_pictures(), 31)
    assert [0, 1] == found
