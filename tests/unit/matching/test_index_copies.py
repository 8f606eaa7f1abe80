"""A copy of the index, from its arrays, answers as the index does; arrays that lie are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.local_errors.disk import IndexFileInvalid
from federation.matching.index import SignalIndex
from federation.matching.pdq_index import PdqIndex
from federation.matching.sections import describe_sections, read_sections
from federation.protocol.signals import SignalType
from tests.builders import make_signal


def value(kind: SignalType, number: int) -> bytes:
    return make_signal(number, kind).value


def copy_of(index: SignalIndex) -> SignalIndex:
    """Another index, over the bytes of what this one is made of."""
    copied = SignalIndex()
    settled = {
        kind: copied.restore_sorted(kind, travelled(rows.sections()))
        for kind, rows in index.settled().items()
    }
    copied.install(settled, travelled(index.changes()))
    return copied


def travelled(sections: Any) -> Any:
    described, buffers = describe_sections(sections)
    return read_sections(described, [memoryview(bytearray(part)) for part in buffers])


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "rebuild", "begin", "copy"]),
        st.sampled_from(list(SignalType)),
        st.integers(0, 12),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_a_copy_at_any_moment_holds_what_the_index_holds(steps: list[Any]) -> None:
    """Also in the middle of a rebuild, and after changes to the copy itself."""
    index, expected = SignalIndex(), {kind: set[int]() for kind in SignalType}
    for step, kind, number in steps:
        match step:
            case "add":
                index.add(kind, value(kind, number))
                expected[kind].add(number)
            case "remove":
                index.remove(kind, value(kind, number))
                expected[kind].discard(number)
            case "begin":
                index.prepare_rebuild_of(kind)
            case "rebuild":
                if (work := index.prepare_rebuild_of(kind)) is not None:
                    index.adopt(work.run())
            case "copy":
                index = copy_of(index)
    copied = copy_of(index)
    assert index.counts() == copied.counts()
    for kind, held in expected.items():
        for number in range(13):
            asked = value(kind, number)
            assert (number in held) is copied.holds(kind, asked)
            assert index.search(kind, asked) == copied.search(kind, asked)


def test_a_rebuild_begun_before_an_install_is_superseded() -> None:
    index = SignalIndex()
    index.add("pdq", value(SignalType.PDQ, 1))
    work = index.prepare_rebuild_of(SignalType.PDQ)
    assert work is not None
    other = SignalIndex()
    other.add("pdq", value(SignalType.PDQ, 2))
    index.install(other.settled(), other.changes())
    assert not index.adopt(work.run())
    assert [False, True] == [index.holds("pdq", value(SignalType.PDQ, n)) for n in (1, 2)]


def tabulated() -> dict[str, Any]:
    index = PdqIndex(scan_rows_max=0)
    index.add(value(SignalType.PDQ, number) for number in range(50))
    index.rebuild()
    return dict(index.settled.sections())


def _point_beyond(sections: dict[str, Any]) -> None:
    sections["ids"] = sections["ids"].copy()
    sections["ids"][3] = 50


def _fall(sections: dict[str, Any]) -> None:
    sections["offsets"] = sections["offsets"].copy()
    sections["offsets"][100] = 60


def _begin_late(sections: dict[str, Any]) -> None:
    sections["prefix_offsets"] = sections["prefix_offsets"].copy()
    sections["prefix_offsets"][0] = 1


LIES: dict[str, Any] = {
    "row numbers beyond the rows": _point_beyond,
    "buckets beyond the entries": _fall,
    "a prefix table that begins late": _begin_late,
    "tags missing": lambda sections: sections.pop("tags"),
    "too few tags": lambda sections: sections.update(tags=sections["tags"][:-1]),
    "tags of another type": lambda sections: sections.update(tags=sections["tags"].view(np.uint8)),
    "rows of another width": lambda sections: sections.update(
        rows=sections["rows"].reshape(100, 2)
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_arrays_that_would_lead_a_kernel_astray_are_refused(lie: str) -> None:
    sections = tabulated()
    PdqIndex().restore_sorted(sections)
    LIES[lie](sections)
    with pytest.raises(IndexFileInvalid):
        PdqIndex().restore_sorted(sections)


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=8))
def test_a_description_of_anything_is_refused_by_our_error(described: Any) -> None:
    if described == []:
        return
    with pytest.raises(IndexFileInvalid):
        read_sections(described, [memoryview(b"12345678")])


def test_changes_of_other_rows_are_refused() -> None:
    many, few = SignalIndex(), SignalIndex()
    for number in range(20):
        many.add("pdq", value(SignalType.PDQ, number))
    work = many.prepare_rebuild_of(SignalType.PDQ)
    assert work is not None
    many.adopt(work.run())
    with pytest.raises(IndexFileInvalid):
        few.install(few.settled(), many.changes())
