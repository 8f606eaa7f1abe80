"""The Merkle tree of RFC 6962: its hashes, and the proof that a leaf stands in it.

A log of ``size`` leaves has one root, and an inclusion proof leads from one leaf to it. How a tree
grows is told in ``merkle_growth``, how proofs are made in ``merkle_proofs``.

A proof that is wrong in a way that shows without hashing (a hash that is not 32 bytes, an index
outside the tree, too few or too many hashes) is malformed; one that leads elsewhere is unproven.

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
        leaf: the leaf hash, 32 bytes.
        proof: sibling hashes from the leaf up, 32 bytes each.
        root: the tree's root hash, 32 bytes.

    Raises:
        ProofMalformed: no such index, or not as many hashes of 32 bytes as it takes.
        InclusionUnproven: the path leads to another root.
    """
    check_size(size)
    check_digests((leaf, root, *proof))
    if not 0 <= index < size:
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


# --- shapes ---------------------------------------------------------------------------------------


def check_digest(digest: bytes, what: str) -> None:
    """Accept 32 bytes.

    Raises:
        ProofMalformed: another length.
    """
    if len(digest) != DIGEST_BYTES:
        raise ProofMalformed(f"{what} is not {DIGEST_BYTES} bytes")


def check_digests(digests: Iterable[bytes]) -> None:
    """Accept hashes of 32 bytes each.

    Raises:
        ProofMalformed: one has another length.
    """
    if not set(map(len, digests)) <= {DIGEST_BYTES}:
        raise ProofMalformed(f"a hash is not {DIGEST_BYTES} bytes")


def check_size(size: int) -> None:
    """Accept a tree size below 2^63.

    Raises:
        ProofMalformed: another number.
    """
    if not 0 <= size < SIZE_LIMIT:
        raise ProofMalformed("a tree has between 0 and 2^63 - 1 leaves")


def check_count(proof: Sequence[bytes], expected: int) -> None:
    """Accept a proof of that many hashes.

    Raises:
        ProofMalformed: another count.
    """
    if len(proof) != expected:
        raise ProofMalformed(f"the proof has {len(proof)} hashes where {expected} are needed")
