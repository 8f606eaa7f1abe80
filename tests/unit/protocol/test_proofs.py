"""The tlog-proof text: what goes in comes out, and nothing over its limit goes in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import ProofMalformed, TooLarge
from federation.protocol.limits import (
    NOTE_BYTES_MAX,
    TLOG_PROOF_BYTES_MAX,
    TLOG_PROOF_EXTRA_BYTES_MAX,
)
from federation.protocol.proofs import TlogProof, format_tlog_proof, parse_tlog_proof

DIGEST = bytes(range(32))
PROOFS = st.builds(
    TlogProof,
    index=st.integers(min_value=0, max_value=2**63 - 1),
    hashes=st.lists(st.binary(min_size=32, max_size=32), max_size=5).map(tuple),
    extra=st.none() | st.binary(min_size=1, max_size=100),
    checkpoint_note=st.binary(min_size=1, max_size=100),
)


@given(PROOFS)
def test_proof_comes_back(proof: TlogProof) -> None:
    assert proof == parse_tlog_proof(format_tlog_proof(proof))


def test_largest_proof_fits_its_limit() -> None:
    extra, note = bytes(TLOG_PROOF_EXTRA_BYTES_MAX), bytes(NOTE_BYTES_MAX)
    largest = TlogProof(2**63 - 1, (DIGEST,) * 63, extra, note)
    raw = format_tlog_proof(largest)
    assert TLOG_PROOF_BYTES_MAX >= len(raw)
    assert largest == parse_tlog_proof(raw)
    with pytest.raises(TooLarge):
        TlogProof(0, (), extra + b"x", note)
    with pytest.raises(TooLarge):
        TlogProof(0, (), extra, note + b"x")


def test_proof_over_the_limit_is_refused_unread() -> None:
    with pytest.raises(TooLarge):
        parse_tlog_proof(b"\xff" * (TLOG_PROOF_BYTES_MAX + 1))


@pytest.mark.parametrize(
    ("index", "digests", "extra", "note"),
    [
        (-1, (), None, b"x"),
        (2**63, (), None, b"x"),
        (0, (DIGEST,) * 64, None, b"x"),
        (0, (DIGEST[:31],), None, b"x"),
        (0, (DIGEST + b"x",), None, b"x"),
        (0, (), b"", b"x"),
        (0, (), None, b""),
    ],
)
def test_proof_that_no_text_carries_is_not_made(
    index: int, digests: tuple[bytes, ...], extra: bytes | None, note: bytes
) -> None:
    with pytest.raises(ProofMalformed):
        TlogProof(index, digests, extra, note)
