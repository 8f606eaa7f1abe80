"""The Merkle tree of RFC 6962: its hashes, and the proof that a leaf stands in it.

How a tree grows is told in ``merkle_growth``, how proofs are made in ``merkle_proofs``. What is
wrong in a way that shows without hashing is malformed; what leads elsewhere is unproven.

Source: docs/spec/merkle.md; RFC 6962 section 2.1; RFC 9162 section 2.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Final

from federation.errors import InclusionUnproven, ProofMalformed
from federation.protocol.texts import SIZE_LIMIT

DIGEST_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of the tree without leaves."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf: SHA-256 of a zero byte and the entry."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256 of a one byte and its two children, 32 bytes each."""
    return sha256(b"\x01" + left + right).digest()


def verify_inclusion(
    index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes
) -> None:
    """Judge that a leaf stands at an index of the tree (RFC 9162 section 2.1.3.2).

    Args:
        index: zero-based index of the leaf.
        size: leaves in the tree.
        leaf: the leaf hash; this and all hashes have 32 bytes.
        proof: sibling hashes from the leaf up.
        root: the tree's root hash.

    Raises:
        ProofMalformed: no such index, or not as many hashes of 32 bytes as it takes.
        InclusionUnproven: the path leads to another root.
    """
    check_digests((leaf, root, *proof))
    if not 0 <= index < size < SIZE_LIMIT:
        raise ProofMalformed("the index is outside the tree")
    inner, border = path_shape(index, size)
    check_count(proof, inner + border)
    if climb(leaf, proof, index, inner) != root:
        raise InclusionUnproven("the inclusion proof leads to another root")


def path_shape(index: int, size: int) -> tuple[int, int]:
    """How many siblings a path has below, and above, where it leaves the tree's right border.

    The upper ones are all left siblings: above that point the path runs along the border, where a
    node without a right sibling is carried up as it is.
    """
    inner = (index ^ (size - 1)).bit_length()
    return inner, (index >> inner).bit_count()


def climb(
    seed: bytes, path: Sequence[bytes], index: int, inner: int, *, lefts_only: bool = False
) -> bytes:
    """The hash that a path leads to; with ``lefts_only``, in the tree that ends with the seed."""
    digest = seed
    for level, sibling in enumerate(path):
        if level >= inner or index >> level & 1:
            digest = node_hash(sibling, digest)
        elif not lefts_only:
            digest = node_hash(digest, sibling)
    return digest


def check_digests(digests: Iterable[bytes]) -> None:
    """Accept hashes of 32 bytes each. Raises: ProofMalformed: one has another length."""
    if not set(map(len, digests)) <= {DIGEST_BYTES}:
        raise ProofMalformed(f"a hash is not {DIGEST_BYTES} bytes")


def check_count(proof: Sequence[bytes], expected: int) -> None:
    """Accept a proof of that many hashes. Raises: ProofMalformed: another count."""
    if len(proof) != expected:
        raise ProofMalformed(f"the proof has {len(proof)} hashes where {expected} are needed")
