"""The evidence file: one form, one order, and nothing in it that is not read."""

from __future__ import annotations

import pytest

from federation.errors import FederationError, NoteMalformed
from federation.local_errors.proofs import EvidenceMalformed
from federation.protocol.evidence import (
    Prefix,
    decode_evidence,
    encode_evidence,
    evidence_id,
    make_evidence,
)
from federation.protocol.limits_messages import EVIDENCE_BYTES_MAX
from tests.vectors.make_evidence import ONE, OTHER, one_size, prefix_of, two_sizes


@pytest.mark.parametrize("encoded", [one_size(5), two_sizes(3, 7), two_sizes(4, 8)])
def test_evidence_comes_back(encoded: bytes) -> None:
    assert encoded == encode_evidence(decode_evidence(encoded))


def test_the_order_in_which_heads_were_heard_does_not_matter() -> None:
    one, other = ONE.head(5).note, OTHER.head(5).note
    first, second = (encode_evidence(make_evidence(*pair)) for pair in ((one, other), (other, one)))
    assert evidence_id(first) == evidence_id(second)


def test_the_longest_evidence_fits() -> None:
    hashes = (b"\xff" * 32,) * 63
    evidence = make_evidence(ONE.head(3).note, OTHER.head(7).note, Prefix(bytes(32), hashes))
    assert len(encode_evidence(evidence)) < EVIDENCE_BYTES_MAX - 2 * 255


@pytest.mark.parametrize(
    ("one", "other", "prefix"),
    [
        (ONE.head(5).note, ONE.head(5).note, None),
        (ONE.head(3).note, OTHER.head(7).note, None),
        (ONE.head(5).note, OTHER.head(5).note, prefix_of(OTHER, 3, 7)),
    ],
)
def test_what_cannot_be_evidence_is_not_made(
    one: bytes, other: bytes, prefix: Prefix | None
) -> None:
    with pytest.raises(EvidenceMalformed):
        make_evidence(one, other, prefix)


def test_what_is_no_note_is_not_made_into_evidence() -> None:
    with pytest.raises(NoteMalformed):
        make_evidence(b"", ONE.head(5).note)


@pytest.mark.parametrize("cut", range(0, 700, 37))
def test_a_cut_file_is_refused(cut: int) -> None:
    with pytest.raises(FederationError):
        decode_evidence(two_sizes(3, 7)[:cut])
