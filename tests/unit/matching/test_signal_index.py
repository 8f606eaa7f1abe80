"""The types whose values have one length and are found by it, behind one door."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from federation.local_errors.content import SignalMalformed
from federation.matching.found import NO_MATCHES, Found, Matches
from federation.matching.index import SignalIndex
from federation.matching.value_set import DELTA_MIN
from federation.protocol.signals import SignalType, identity_of
from tests.builders import make_signal

VALUES = {
    "pdq": bytes(31) + b"\x01",
    "sha256": hashlib.sha256(b"x").digest(),
    "md5": hashlib.md5(b"x", usedforsecurity=False).digest(),
}


@pytest.mark.parametrize("signal_type", sorted(VALUES))
def test_signal_counts_at_once_and_stops_at_once(signal_type: str) -> None:
    index, value = SignalIndex(), VALUES[signal_type]
    assert NO_MATCHES == index.search(signal_type, value)
    assert index.add(signal_type, value)
    assert not index.add(signal_type, value)
    assert index.holds(signal_type, value)
    assert Matches((Found(value, 0),), 1) == index.search(signal_type, value)
    assert index.remove(signal_type, value)
    assert not index.remove(signal_type, value)
    assert not index.holds(signal_type, value)
    assert NO_MATCHES == index.search(signal_type, value)


@pytest.mark.parametrize("signal_type", ["vpdq", "url", "tlsh"])
def test_signal_of_a_video_a_link_or_a_document_counts_at_once_and_stops_at_once(
    signal_type: str,
) -> None:
    index, kind = SignalIndex(), SignalType(signal_type)
    value = make_signal(1, kind).value
    assert NO_MATCHES == index.search(signal_type, value)
    assert [True, False] == [index.add(signal_type, value) for _ in range(2)]
    assert index.holds(signal_type, value)
    (found,) = index.search(signal_type, value)
    assert (identity_of(kind, value), 0) == (found.value, found.distance)
    assert NO_MATCHES == index.search(signal_type, make_signal(2, kind).value)
    assert [True, False] == [index.remove(signal_type, value) for _ in range(2)]
    assert not index.holds(signal_type, value)
    assert NO_MATCHES == index.search(signal_type, value)


@pytest.mark.parametrize("signal_type", ["vpdq", "url"])
def test_values_without_one_length_cannot_be_joined(signal_type: str) -> None:
    with pytest.raises(SignalMalformed):
        SignalIndex().add_joined(signal_type, bytes(64))


def test_types_do_not_mix() -> None:
    index = SignalIndex()
    index.add("pdq", VALUES["sha256"])
    assert NO_MATCHES == index.search("sha256", VALUES["sha256"])
    assert {name: int(name == "pdq") for name in SignalType} == index.counts()
    assert 1 == len(index)


def test_type_may_be_text_or_member() -> None:
    index = SignalIndex()
    index.add(SignalType.PDQ, VALUES["pdq"])
    assert 1 == index.search("pdq", VALUES["pdq"]).total


def test_only_pdq_matches_at_a_distance() -> None:
    index = SignalIndex()
    near = {name: value[:-1] + bytes([value[-1] ^ 1]) for name, value in VALUES.items()}
    for name, value in VALUES.items():
        index.add(name, value)
    totals = {name: index.search(name, value, 31).total for name, value in near.items()}
    assert {"pdq": 1, "sha256": 0, "md5": 0} == totals
    assert NO_MATCHES == index.search("pdq", near["pdq"], 0)


@pytest.mark.parametrize("unknown", ["", "PDQ", "phash", "sha-256"])
def test_unknown_type_is_refused(unknown: str) -> None:
    index = SignalIndex()
    for refuse in (
        lambda: index.add(unknown, bytes(32)),
        lambda: index.remove(unknown, bytes(32)),
        lambda: index.search(unknown, bytes(32)),
        lambda: index.holds(unknown, bytes(32)),
    ):
        with pytest.raises(SignalMalformed):
            refuse()


@pytest.mark.parametrize("signal_type", sorted(VALUES))
def test_value_of_another_types_length_is_refused_without_being_shown(signal_type: str) -> None:
    wrong = b"\xab" * (32 if signal_type == "md5" else 16)
    with pytest.raises(SignalMalformed) as refused:
        SignalIndex().add(signal_type, wrong)
    assert "ab" not in refused.value.message
    assert "signal-malformed" == refused.value.code


def test_rebuilds_come_one_type_at_a_time_until_none_is_needed() -> None:
    index = SignalIndex()
    count = DELTA_MIN + 1
    for name, value in VALUES.items():
        joined = b"".join(number.to_bytes(len(value)) for number in range(count))
        assert count == index.add_joined(name, joined)
    done = []
    while index.needs_rebuild():
        work = index.prepare_rebuild()
        assert work is not None
        index.add(work.signal_type, VALUES[work.signal_type])
        rebuilt = work.run()
        assert index.adopt(rebuilt)
        assert not index.adopt(rebuilt)
        done.append(work.signal_type)
    assert set(VALUES) == set(done)
    assert len(VALUES) == len(done)
    assert index.prepare_rebuild() is None
    counts = index.counts()
    assert [count, count + 1, count + 1] == [counts[SignalType(name)] for name in VALUES]


def test_load_and_rebuild_at_start() -> None:
    index = SignalIndex()
    values = [hashlib.sha256(number.to_bytes(4)).digest() for number in range(DELTA_MIN + 1)]
    assert DELTA_MIN + 1 == index.add_many("pdq", values)
    index.rebuild()
    assert not index.needs_rebuild()
    assert [1, 1] == [found.total for found in index.search_many("pdq", [values[0], values[-1]])]
    assert 2 == index.remove_many("pdq", [values[0], values[-1]])
    assert [0, 0] == [found.total for found in index.search_many("pdq", [values[0], values[-1]])]


# Run apart, as other tests of this process may have compiled what a warm-up leaves out.
WARM_THEN_WORK = """
from federation.matching import index, pdq_kernels, row_kernels, tlsh_index
from federation.matching.pdq_index import PdqIndex

def compiled():
    modules = (pdq_kernels, row_kernels, tlsh_index)
    kernels = [each for module in modules for each in vars(module).values()]
    return {k.__name__: len(k.signatures) for k in kernels if hasattr(k, "signatures")}

index.warm_up()
before = compiled()
signals = index.SignalIndex()
for signal_type, length in (("pdq", 32), ("sha256", 32), ("md5", 16)):
    signals.add_joined(signal_type, b"".join(n.to_bytes(length) for n in range(20_000)))
    signals.rebuild()
    signals.remove_many(signal_type, (n.to_bytes(length) for n in range(100)))
    signals.add(signal_type, b"x" * length)
    signals.search_many(signal_type, [n.to_bytes(length) for n in range(1_000)], 3)
from federation.protocol.signals_frames import Frame, encode_frames
video = encode_frames([Frame(bytes([n]) * 32, 80, n) for n in range(9)])
for signal_type, value in (("vpdq", video), ("url", b"https://example.org/"), ("tlsh", bytes(35))):
    signals.add(signal_type, value)
    signals.search(signal_type, value)
    signals.remove(signal_type, value)
few = PdqIndex()
few.add(n.to_bytes(32) for n in range(1_000))
job = few.prepare_rebuild()
few.remove([bytes(32)])
few.add([bytes(32), b"x" * 32])
few.adopt(job.run())
few.search(bytes(32), matches_max=None)
assert before["search_rows"] == 1, before
assert before == compiled(), (before, compiled())
"""


def test_nothing_is_left_to_compile_after_warming_up() -> None:
    subprocess.run([sys.executable, "-c", WARM_THEN_WORK], check=True)
