"""Digests of files: right, in one pass, and never of something endless or missing."""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

import pytest

from federation.errors import RequestMalformed, TooLarge
from federation.media.files import digest_bytes, digest_file, digest_stream, read_file

CONTENT = bytes(range(256)) * 5_000  # Several chunks and a part of one.


def test_bytes_stream_and_file_have_the_same_digests(tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_bytes(CONTENT)
    expected = digest_bytes(CONTENT)
    assert expected.sha256 == hashlib.sha256(CONTENT).digest()
    assert expected.md5 == hashlib.md5(CONTENT, usedforsecurity=False).digest()
    assert expected.byte_count == len(CONTENT)
    assert digest_stream(io.BytesIO(CONTENT)) == expected
    assert digest_file(path) == expected
    assert digest_file(path, bytes_max=len(CONTENT)) == expected
    assert read_file(path, bytes_max=len(CONTENT)) == CONTENT


def test_empty_file_has_the_known_digests(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    digests = digest_file(path)
    assert digests.md5.hex() == "d41d8cd98f00b204e9800998ecf8427e"
    assert digests.sha256.hex().startswith("e3b0c44298fc1c14")
    assert digests.byte_count == 0


def test_file_one_byte_over_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_bytes(CONTENT)
    for read in (digest_file, read_file):
        with pytest.raises(TooLarge):
            read(path, bytes_max=len(CONTENT) - 1)


def test_endless_stream_is_read_to_the_limit_only() -> None:
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size: int = -1) -> bytes:
            self.given += size
            return bytes(size)

    endless = Endless()
    with pytest.raises(TooLarge):
        digest_stream(endless, bytes_max=1_000_000)  # type: ignore[arg-type]
    assert endless.given == 1_000_001


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path("/dev/zero"), tmp_path / "absent", Path("zero\0byte")):
        for read in (digest_file, read_file):
            with pytest.raises(RequestMalformed) as refusal:
                read(path, bytes_max=1_000)
            assert str(path) not in str(refusal.value)


def test_file_that_hides_its_length_is_still_limited() -> None:
    path = Path("/proc/self/status")
    assert path.stat().st_size == 0
    with pytest.raises(TooLarge):
        read_file(path, bytes_max=100)


def test_digests_do_not_show_in_the_repr() -> None:
    assert repr(digest_bytes(b"x")) == "FileDigests(byte_count=1)"
