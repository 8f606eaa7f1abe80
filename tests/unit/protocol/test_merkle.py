"""The Merkle tree against the definitions of RFC 6962, written out as the RFC says them."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import InclusionUnproven, ProofMalformed
from federation.local_errors.proofs import ConsistencyUnproven
from federation.protocol.merkle import EMPTY_ROOT, leaf_hash, node_hash, verify_inclusion
from federation.protocol.merkle_growth import CompactRange, verify_consistency
from federation.protocol.merkle_proofs import (
    consistency_proof,
    edge_from,
    inclusion_proof,
    root_from,
)

LEAVES = [leaf_hash(f"entry {nth}".encode()) for nth in range(600)]
SIZES = st.integers(min_value=0, max_value=150)


def split(size: int) -> int:
    """The largest power of two below a size."""
    return 1 << (size - 1).bit_length() - 1


def slow_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\x01" + slow_root(leaves[:k]) + slow_root(leaves[k:])).digest()


def slow_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if index < k:
        return [*slow_path(index, leaves[:k]), slow_root(leaves[k:])]
    return [*slow_path(index - k, leaves[k:]), slow_root(leaves[:k])]


def slow_proof(earlier: int, leaves: list[bytes], *, known: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2."""
    if earlier == len(leaves):
        return [] if known else [slow_root(leaves)]
    k = split(len(leaves))
    if earlier <= k:
        return [*slow_proof(earlier, leaves[:k], known=known), slow_root(leaves[k:])]
    return [*slow_proof(earlier - k, leaves[k:], known=False), slow_root(leaves[:k])]


def nodes(level: int, index: int) -> bytes:
    assert (index + 1) << level <= len(LEAVES), "only full subtrees are asked for"
    return slow_root(LEAVES[index << level : (index + 1) << level])


def test_hashes_are_separated_by_their_first_byte() -> None:
    assert sha256(b"\0entry").digest() == leaf_hash(b"entry")
    assert sha256(b"\1" + LEAVES[0] + LEAVES[1]).digest() == node_hash(LEAVES[0], LEAVES[1])


@given(SIZES)
def test_root_is_that_of_the_rfc(size: int) -> None:
    expected = slow_root(LEAVES[:size])
    assert expected == CompactRange().extend(LEAVES[:size]).root()
    assert expected == root_from(size, nodes)
    assert expected == edge_from(size, nodes).root()


@given(st.lists(st.integers(min_value=0, max_value=60), max_size=8))
def test_batches_do_not_matter(batches: list[int]) -> None:
    size, edge = 0, CompactRange()
    for batch in batches:
        edge = edge.extend(LEAVES[size : size + batch])
        size += batch
    one_by_one = CompactRange()
    for leaf in LEAVES[:size]:
        one_by_one = one_by_one.append(leaf)
    assert one_by_one == edge == CompactRange().extend(LEAVES[:size])


@given(st.integers(min_value=0, max_value=300), st.integers(min_value=0, max_value=300))
def test_runs_are_the_subtrees_that_a_batch_completes(size: int, batch: int) -> None:
    longer, runs = edge_from(size, nodes).extend_with_runs(LEAVES[size : size + batch])
    assert edge_from(size + batch, nodes) == longer
    found = {
        (run.tile_level, run.start + nth): digest
        for run in runs
        for nth, digest in enumerate(run.hashes)
    }
    expected = {
        (tile_level, index): nodes(8 * tile_level, index)
        for tile_level in range(3)
        for index in range(size >> 8 * tile_level, size + batch >> 8 * tile_level)
    }
    assert expected == found


@given(st.data())
def test_inclusion_proof_is_that_of_the_rfc_and_holds(data: st.DataObject) -> None:
    size = data.draw(st.integers(min_value=1, max_value=150))
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    proof = inclusion_proof(index, size, nodes)
    assert slow_path(index, LEAVES[:size]) == list(proof)
    root = slow_root(LEAVES[:size])
    verify_inclusion(index, size, LEAVES[index], proof, root)
    with pytest.raises(InclusionUnproven):
        verify_inclusion(index, size, leaf_hash(b"foreign"), proof, root)
    with pytest.raises(ProofMalformed):
        verify_inclusion(index, size, LEAVES[index], (*proof, root), root)


@given(st.data())
def test_inclusion_proof_holds_at_no_other_index(data: st.DataObject) -> None:
    size = data.draw(st.integers(min_value=2, max_value=150))
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    other = data.draw(st.integers(min_value=0, max_value=size - 1).filter(lambda x: x != index))
    proof = inclusion_proof(index, size, nodes)
    with pytest.raises((InclusionUnproven, ProofMalformed)):
        verify_inclusion(other, size, LEAVES[index], proof, slow_root(LEAVES[:size]))


@given(SIZES, SIZES)
def test_consistency_proof_is_that_of_the_rfc_and_holds(one: int, two: int) -> None:
    size1, size2 = sorted((one, two))
    root1, root2 = slow_root(LEAVES[:size1]), slow_root(LEAVES[:size2])
    proof = consistency_proof(size1, size2, nodes)
    assert (slow_proof(size1, LEAVES[:size2]) if size1 else []) == list(proof)
    verify_consistency(size1, size2, root1, root2, proof)
    foreign = leaf_hash(b"foreign")
    with pytest.raises(ConsistencyUnproven):
        verify_consistency(size1, size2, foreign, root2, proof)
    if size1:
        with pytest.raises(ConsistencyUnproven):
            verify_consistency(size1, size2, root1, foreign, proof)


@given(st.integers(min_value=1, max_value=100), st.integers(min_value=1, max_value=100))
def test_rewritten_history_is_inconsistent(size1: int, growth: int) -> None:
    size2 = size1 + growth
    rewritten = [leaf_hash(b"rewritten"), *LEAVES[1:size2]]

    def rewritten_nodes(level: int, index: int) -> bytes:
        return slow_root(rewritten[index << level : (index + 1) << level])

    with pytest.raises(ConsistencyUnproven):
        verify_consistency(
            size1,
            size2,
            slow_root(LEAVES[:size1]),
            slow_root(rewritten),
            consistency_proof(size1, size2, rewritten_nodes),
        )


@pytest.mark.parametrize("flipped", range(4))
def test_every_hash_of_a_proof_counts(flipped: int) -> None:
    proof = list(inclusion_proof(5, 13, nodes))
    assert 4 == len(proof)
    proof[flipped] = bytes([proof[flipped][0] ^ 1]) + proof[flipped][1:]
    with pytest.raises(InclusionUnproven):
        verify_inclusion(5, 13, LEAVES[5], proof, slow_root(LEAVES[:13]))


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0), (0, -1), (0, 1 << 63)])
def test_proof_of_a_place_outside_the_tree_is_not_made(index: int, size: int) -> None:
    with pytest.raises(ProofMalformed):
        inclusion_proof(index, size, nodes)


@pytest.mark.parametrize(("size1", "size2"), [(-1, 3), (4, 3), (0, -1), (0, 1 << 63)])
def test_proof_between_impossible_sizes_is_not_made(size1: int, size2: int) -> None:
    with pytest.raises(ProofMalformed):
        consistency_proof(size1, size2, nodes)


def test_source_of_short_hashes_is_refused() -> None:
    with pytest.raises(ProofMalformed):
        root_from(3, lambda _level, _index: b"short")


def test_range_that_does_not_fit_its_size_is_refused() -> None:
    for size, edge in ((1, ()), (2, LEAVES[:2]), (0, LEAVES[:1]), (1, (b"short",)), (-1, ())):
        with pytest.raises(ProofMalformed):
            CompactRange(size, tuple(edge))


def test_log_cannot_grow_past_63_bits() -> None:
    full = CompactRange((1 << 63) - 1, tuple(LEAVES[:63]))
    with pytest.raises(ProofMalformed):
        full.append(LEAVES[0])


def test_empty_tree() -> None:
    assert EMPTY_ROOT == CompactRange().root() == CompactRange().extend(()).root()
    assert () == CompactRange().extend_with_runs(())[1]
