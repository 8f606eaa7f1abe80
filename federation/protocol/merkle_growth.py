"""How a log grows: the right edge that appending needs, and the proof that nothing was unsaid.

A consistency proof shows that a later root commits to everything an earlier one did. Whoever holds
the right edge of a tree, a compact range, can append to it and knows its root.

Source: docs/spec/merkle.md; RFC 6962 section 2.1.2; RFC 9162 section 2.1.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from federation.errors import ProofMalformed
from federation.local_errors.proofs import ConsistencyUnproven
from federation.protocol.merkle import (
    DIGEST_BYTES,
    EMPTY_ROOT,
    check_count,
    check_digests,
    climb,
    node_hash,
    path_shape,
)
from federation.protocol.texts import SIZE_LIMIT

TILE_HEIGHT: Final = 8
"""Tree levels that one tile spans (C2SP tlog-tiles): its 256 hashes are 8 levels below its root."""


@dataclass(frozen=True, slots=True)
class NodeRun:
    """Neighbouring subtree roots that a batch completed on one level of tiles.

    Attributes:
        tile_level: 0 for leaf hashes; level L holds the roots of full subtrees of 256^L leaves.
        start: index of the first hash on that level.
        hashes: the subtrees' roots, in order; 32 bytes each.
    """

    tile_level: int
    start: int
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class CompactRange:
    """All that is needed to append to a tree of ``size`` leaves and to know its root.

    Attributes:
        size: leaves in the tree.
        hashes: roots of the full subtrees that the size is made of, largest first: one for each
            one-bit of ``size``, 32 bytes each.

    Raises:
        ProofMalformed: a size out of range, or hashes that do not fit it.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        check_size(self.size)
        if len(self.hashes) != self.size.bit_count():
            raise ProofMalformed(f"a tree of {self.size} has {self.size.bit_count()} edge hashes")
        check_digests(self.hashes)

    def append(self, leaf: bytes) -> CompactRange:
        """The range with one more leaf hash."""
        return self.extend((leaf,))

    def extend(self, leaves: Sequence[bytes]) -> CompactRange:
        """The range with more leaf hashes, hashed level by level.

        Args:
            leaves: leaf hashes in log order, 32 bytes each.

        Raises:
            ProofMalformed: a leaf hash of another length, or a tree over 2^63 - 1.
        """
        edge = list(self.hashes)
        for _ in self._levels(leaves, edge):
            pass
        return CompactRange(self.size + len(leaves), tuple(edge))

    def extend_with_runs(self, leaves: Sequence[bytes]) -> tuple[CompactRange, tuple[NodeRun, ...]]:
        """As ``extend``, and the hashes that the batch adds to each level of tiles.

        Args:
            leaves: leaf hashes in log order, 32 bytes each.

        Returns:
            The longer range, and a run for each tile level that grew, lowest first.

        Raises:
            ProofMalformed: as ``extend``.
        """
        edge = list(self.hashes)
        runs = tuple(
            NodeRun(level // TILE_HEIGHT, self.size >> level, tuple(completed))
            for level, completed in enumerate(self._levels(leaves, edge))
            if level % TILE_HEIGHT == 0
        )
        return CompactRange(self.size + len(leaves), tuple(edge)), runs

    def root(self) -> bytes:
        """The root hash of the whole tree."""
        return fold_right(self.hashes)

    def _levels(self, leaves: Sequence[bytes], edge: list[bytes]) -> Iterable[list[bytes]]:
        """The nodes that each level gains; once all are seen, ``edge`` is the new right edge."""
        check_size(self.size + len(leaves))
        check_digests(leaves)
        return self._climb(leaves[0], edge) if len(leaves) == 1 else self._rows(leaves, edge)

    def _climb(self, leaf: bytes, edge: list[bytes]) -> list[list[bytes]]:
        """Of one leaf, as most of what is said live: up the edge as far as it is full."""
        levels, count = [[leaf]], self.size
        while count & 1:
            leaf = sha256(b"\x01" + edge.pop() + leaf).digest()
            levels.append([leaf])
            count >>= 1
        edge.append(leaf)
        return levels

    def _rows(self, leaves: Sequence[bytes], edge: list[bytes]) -> Iterator[list[bytes]]:
        gained, count, fresh = list(leaves), self.size, list[bytes]()
        while gained:
            yield gained
            # An odd count leaves a node on this level's edge, waiting for its right sibling.
            row = [edge.pop(), *gained] if count & 1 else gained
            if len(row) & 1:
                fresh.append(row[-1])
            lefts = iter(row)
            # The innermost loop of every import and audit; zip drops the odd node at the end.
            gained = [sha256(b"\x01" + a + b).digest() for a, b in zip(lefts, lefts, strict=False)]
            count >>= 1
        edge.extend(reversed(fresh))


def verify_consistency(
    size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]
) -> None:
    """Judge that one tree is a prefix of another (RFC 9162 section 2.1.4.2).

    The empty tree is a prefix of every tree, and its proof is empty.

    Args:
        size1: leaves in the earlier tree.
        size2: leaves in the later tree.
        root1: root hash of the earlier tree.
        root2: root hash of the later tree.
        proof: the hashes of RFC 6962 section 2.1.2, 32 bytes each.

    Raises:
        ProofMalformed: sizes out of order, or not as many hashes of 32 bytes as it takes.
        ConsistencyUnproven: the proof leads to other roots, or a tree without leaves is given
            another root than ``EMPTY_ROOT``.
    """
    check_size(size2)
    check_digests((root1, root2, *proof))
    if not 0 <= size1 <= size2:
        raise ProofMalformed("the earlier tree is the larger one")
    if size1 in (0, size2):
        check_count(proof, 0)
        if size1 == size2 and root1 != root2:
            raise ConsistencyUnproven("two roots for one size")
        if size1 == 0 and root1 != EMPTY_ROOT:
            raise ConsistencyUnproven("the root of the empty tree is another")
        return
    # The proof is the path, in the later tree, of the last full subtree of the earlier one. Its
    # left siblings lie in the earlier tree too, so the same path climbs to both roots.
    level, index = last_full_subtree(size1)
    seeded = index != 0
    inner, border = path_shape(index, count_at(level, size2))
    check_count(proof, seeded + inner + border)
    seed, path = (proof[0], proof[1:]) if seeded else (root1, proof)
    if climb(seed, path, index, inner, lefts_only=True) != root1:
        raise ConsistencyUnproven("the consistency proof leads to another earlier root")
    if climb(seed, path, index, inner) != root2:
        raise ConsistencyUnproven("the consistency proof leads to another later root")


def last_full_subtree(size: int) -> tuple[int, int]:
    """Level and index of the smallest, rightmost full subtree of a tree that is not empty."""
    level = (size & -size).bit_length() - 1
    return level, (size >> level) - 1


def count_at(level: int, size: int) -> int:
    """Nodes on a level, with the one that the end of the tree cuts short."""
    return (size - 1 >> level) + 1


def fold_right(hashes: Sequence[bytes]) -> bytes:
    """The root over neighbouring full subtrees, largest first."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


# --- shapes ---------------------------------------------------------------------------------------


def check_digest(digest: bytes, what: str) -> None:
    """Accept 32 bytes.

    Raises:
        ProofMalformed: another length.
    """
    if len(digest) != DIGEST_BYTES:
        raise ProofMalformed(f"{what} is not {DIGEST_BYTES} bytes")


def check_size(size: int) -> None:
    """Accept a tree size below 2^63.

    Raises:
        ProofMalformed: another number.
    """
    if not 0 <= size < SIZE_LIMIT:
        raise ProofMalformed("a tree has between 0 and 2^63 - 1 leaves")
