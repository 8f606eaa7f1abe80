"""Files of the index: what was written comes back, and no bytes end in anything but our error."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from federation.local_errors.disk import IndexFileInvalid
from federation.store.index_files import PAGE, IndexFiles

PARTS = [b"first", b"", bytes(range(256)) * 40]


def written(folder: Path, about: object = "told") -> tuple[IndexFiles, Path]:
    files = IndexFiles(folder)
    files.write("pdq", {"about": about}, [memoryview(part) for part in PARTS], files.epoch)
    return files, files.path_of("pdq")


def test_what_was_written_comes_back_page_by_page(tmp_path: Path) -> None:
    files, path = written(tmp_path / "index", ["any", {"json": 1}])
    file = files.read("pdq")
    assert PARTS == [bytes(part) for part in file.parts]
    assert {"about": ["any", {"json": 1}]} == file.description
    assert 0 == path.stat().st_mode & 0o077
    assert 0 == path.parent.stat().st_mode & 0o077


def test_two_files_of_one_content_have_one_digest(tmp_path: Path) -> None:
    one, _ = written(tmp_path / "one")
    other, _ = written(tmp_path / "other")
    different, _ = written(tmp_path / "different", "another")
    assert one.read("pdq").sha256 == other.read("pdq").sha256 != different.read("pdq").sha256


def test_writing_to_what_is_mapped_changes_it_for_nobody_else(tmp_path: Path) -> None:
    files, path = written(tmp_path / "index")
    mine, theirs = files.read("pdq"), files.read("pdq")
    mine.parts[0][0] = 0
    assert b"first" == bytes(theirs.parts[0])
    assert path.read_bytes()[PAGE:].startswith(b"first")


def test_what_was_copied_before_a_discard_is_not_put_in_place_after_it(tmp_path: Path) -> None:
    files, path = written(tmp_path / "index")
    epoch = files.epoch
    files.discard()
    assert not path.exists()
    with pytest.raises(IndexFileInvalid):
        files.write("pdq", {}, [], epoch)
    assert [] == list(path.parent.iterdir())


def test_others_are_unlinked_and_what_is_mapped_of_them_stays(tmp_path: Path) -> None:
    files, _ = written(tmp_path / "index")
    mapped = files.read("pdq")
    files.write("newer", {}, [], files.epoch)
    files.keep_only({"newer"})
    assert ["newer.index"] == [path.name for path in files.folder.iterdir()]
    assert b"first" == bytes(mapped.parts[0])


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> tuple[IndexFiles, Path, bytes]:
    files, path = written(tmp_path_factory.mktemp("fuzzed"))
    return files, path, path.read_bytes()


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_changed_byte_or_length_is_noticed(
    room: tuple[IndexFiles, Path, bytes], data: st.DataObject
) -> None:
    files, path, whole = room
    at = data.draw(st.integers(0, len(whole) - 1))
    mask = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(whole)))
    changed = bytearray(whole)
    changed[at] ^= mask
    path.write_bytes(bytes(changed[:end]))
    # The rest of the first page says nothing.
    if bytes(changed[:64]) == whole[:64] and changed[PAGE:] == whole[PAGE:] and end == len(whole):
        files.read("pdq")
        return
    with pytest.raises(IndexFileInvalid):
        files.read("pdq")


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=9_000))
def test_any_bytes_are_refused_by_our_error(
    room: tuple[IndexFiles, Path, bytes], raw: bytes
) -> None:
    files, path, _ = room
    path.write_bytes(raw)
    with pytest.raises(IndexFileInvalid):
        files.read("pdq")
