"""The judge of evidence: it convicts the key that signed both, and nobody else."""

from __future__ import annotations

import pytest

from federation.local_errors.proofs import EvidenceUnproven
from federation.protocol.evidence import decode_evidence
from federation.protocol.keys import check_ed25519
from federation.protocol.merkle_growth import verify_consistency
from federation.provenance.convicting import Conviction, judge_evidence, open_evidence
from tests.builders import ACME, NOVA
from tests.vectors.make_evidence import (
    FIRST,
    FOUNDED,
    LOG,
    ONE,
    OTHER,
    one_size,
    prefix_of,
    two_sizes,
)


def test_only_the_judge_convicts() -> None:
    evidence = decode_evidence(one_size(5))
    key = open_evidence(one_size(5), FOUNDED.roster, check_ed25519).key
    with pytest.raises(TypeError):
        Conviction(LOG, key, evidence, one_size(5), object())


@pytest.mark.parametrize("encoded", [one_size(5), two_sizes(4, 8)])
def test_the_conclusion_names_the_logs_member_and_nobody_else(encoded: bytes) -> None:
    report = judge_evidence(encoded, FIRST, check_ed25519)
    assert report.is_verified
    assert ACME in report.conclusion
    assert NOVA not in report.conclusion


@pytest.mark.parametrize("size", range(1, 8))
@pytest.mark.parametrize("later", range(2, 9))
def test_two_sizes_convict_exactly_where_the_branches_differ(size: int, later: int) -> None:
    if size >= later:
        return
    if size <= 2:  # what both branches share
        prefix = prefix_of(OTHER, size, later)
        assert prefix.root_hash == ONE.head(size).root_hash
        with pytest.raises(EvidenceUnproven):
            open_evidence(two_sizes(size, later), FOUNDED.roster, check_ed25519)
        return
    conviction = open_evidence(two_sizes(size, later), FOUNDED.roster, check_ed25519)
    assert conviction.log == LOG


@pytest.mark.parametrize("size", range(1, 8))
@pytest.mark.parametrize("later", range(2, 9))
def test_no_honest_log_fits_its_evidence(size: int, later: int) -> None:
    """An honest log proves one root for each earlier size, and it is the one it signed."""
    if size < later:
        prefix = prefix_of(ONE, size, later)
        assert prefix.root_hash == ONE.head(size).root_hash
        later_root = ONE.head(later).root_hash
        verify_consistency(size, later, prefix.root_hash, later_root, prefix.hashes)


def test_convictions_of_one_log_and_key_by_one_file_are_equal() -> None:
    one, other = (open_evidence(one_size(5), FOUNDED.roster, check_ed25519) for _ in range(2))
    assert one == other
    assert one.id == other.id
