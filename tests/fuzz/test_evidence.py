"""Any bytes at the reader and the judge of evidence: a conviction, or a coded error."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from federation.errors import ProtocolError, VerificationError
from federation.protocol.evidence import decode_evidence, encode_evidence
from federation.protocol.keys import check_ed25519
from federation.provenance.convicting import judge_evidence, open_evidence
from tests.vectors.make_evidence import FIRST, FOUNDED, one_size, two_sizes

GOOD = (one_size(5), two_sizes(3, 7), two_sizes(4, 8))


def check_whatever_it_is(raw: bytes) -> None:
    with suppress(ProtocolError):
        assert raw == encode_evidence(decode_evidence(raw))
    convicted = False
    with suppress(ProtocolError, VerificationError):
        convicted = bool(open_evidence(raw, FOUNDED.roster, check_ed25519))
    assert convicted == (raw in GOOD)
    assert convicted == judge_evidence(raw, FIRST, check_ed25519).is_verified


@given(st.binary(max_size=200))
def test_any_bytes(raw: bytes) -> None:
    check_whatever_it_is(raw)


@given(st.sampled_from(GOOD), st.data())
def test_one_changed_byte_convicts_nobody(good: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(good) - 1))
    check_whatever_it_is(good[:at] + bytes([data.draw(st.integers(0, 255))]) + good[at + 1 :])


@given(st.sampled_from(GOOD), st.data())
def test_a_cut_and_pasted_file_convicts_nobody(good: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, len(good)))
    check_whatever_it_is(good[:start] + data.draw(st.binary(max_size=20)) + good[end:])
